"""Building the tracking projection from batches of the log: load, fold, save. Safe to repeat."""

from collections.abc import Mapping, Sequence

from lianxin_chassis.consumer import Message, Unprocessable
from lianxin_chassis.metric_names import PROJECTION_GAPS
from lianxin_contracts import topics
from lianxin_contracts.words import Words
from lianxin_intake.attachments import upload_of
from lianxin_intake.photos.store import PhotoStore
from lianxin_intake.projection import RESIDENTS_WORDS, Gap, Tracked, fold, photos_of
from lianxin_intake.store import TrackingStore

TOPICS = (topics.LIFECYCLE, topics.WORDS)


class Builder:
    """Handles batches of `TOPICS` for one generation of the projection."""

    def __init__(self, store: TrackingStore, photos: PhotoStore) -> None:
        self._store = store
        self._photos = photos

    async def handle(self, batch: Sequence[Message]) -> None:
        """Apply `batch`; returns when it is durable. Words first, so that a step rarely waits for its words,
        and photos: what is saved is never handled again.

        Raises `Unprocessable` at a gap in a case's sequence, and PyMongo's errors.
        """
        decided = [message for message in batch if message.record.topic == topics.LIFECYCLE]
        known = await self._store.load({message.key for message in decided})
        changed = applied(decided, known)
        erased = [tracked.id for tracked in changed.values() if tracked.erased]
        await self._store.write_words(words_of(batch), erased)
        await self._photos.name(named(changed, known))
        await self._photos.erase(erased)
        await self._store.save(changed.values())


def applied(decided: Sequence[Message], known: Mapping[str, Tracked]) -> dict[str, Tracked]:
    """The opinions that the lifecycle messages `decided` change, as they are then."""
    changed: dict[str, Tracked] = {}
    for message in decided:
        if message.event is None:
            raise Unprocessable(message, "no_value", "a lifecycle record without a value")
        try:
            after = fold(changed.get(message.key) or known.get(message.key), message.event)
        except Gap as gap:
            PROJECTION_GAPS.labels("intake").inc()
            raise Unprocessable(message, "sequence_gap", str(gap)) from gap
        if after is not None:
            changed[message.key] = after
    return changed


def named(changed: Mapping[str, Tracked], known: Mapping[str, Tracked]) -> list[tuple[str, list[str]]]:
    """The uploads that each opinion of `changed` names and did not when it was `known`."""
    found = []
    for opinion, tracked in changed.items():
        fresh = dict.fromkeys(photos_of(tracked))
        for photo in photos_of(known.get(opinion)):
            fresh.pop(photo, None)
        uploads = [upload for photo in fresh if (upload := upload_of(photo)) is not None]
        if uploads and not tracked.erased:
            found.append((opinion, uploads))
    return found


def words_of(batch: Sequence[Message]) -> dict[tuple[str, str], str | None]:
    """What the messages of the words topic leave of each (opinion, part): its text, or None for a deletion.
    Notes that are not for residents are left out."""
    changes: dict[tuple[str, str], str | None] = {}
    for message in batch:
        if message.record.topic != topics.WORDS:
            continue
        opinion, _, part = message.key.partition("/")
        if message.event is None:
            changes[opinion, part] = None
        elif isinstance(words := message.event.data, Words) and words.kind in RESIDENTS_WORDS:
            changes[opinion, part] = words.text
    return changes
