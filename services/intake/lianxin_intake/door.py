"""The door: from a request's bytes to the one record that says it, confirmed by the broker.

`Door.prepare` is all judgement and no I/O; `Door.hand_in` is all I/O and no judgement. A single request,
a line of a batch and a CloudEvent come through the same two.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from lianxin_chassis.outages import NotConfirmed, Overloaded
from lianxin_chassis.problems import ProblemError
from lianxin_chassis.publisher import Unpublishable
from lianxin_chassis.tracing import child
from lianxin_contracts import ids, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_contracts.inbound import Place, Submitted
from lianxin_contracts.registry import Channel, Snapshot
from lianxin_intake import opinion
from lianxin_intake.contact import ContactSealer
from lianxin_intake.identity import Identities, Identity
from lianxin_intake.opinion import Fault, OpinionBody, Unreadable
from lianxin_intake.recent import RecentOpinions, Remembered
from lianxin_intake.rights import Caller
from lianxin_intake.tracking import TrackingCodes

SUBMITTED = "opinion.submitted"
# How soon to come back when the broker did not confirm, seconds.
RETRY_AFTER_S = 2
# While the broker does not confirm, later records of the same upload try it for this long only, seconds.
PROBE_S = 0.5


class Publishing(Protocol):
    """What intake needs of the chassis's `Publisher`."""

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        """Return when all are acknowledged; raise `NotConfirmed` or `Overloaded`."""

    @property
    def connected(self) -> bool:
        """False while the broker is away."""


class KnownDigests(Protocol):
    """Digests of opinions that are in the projection."""

    async def of(self, opinions: Sequence[str]) -> dict[str, str]:
        """The digests that can be had in a short time; never raises."""


class Attachments(Protocol):
    """Tells the ids of uploads that were made here."""

    def issued(self, attachment: str, channel: str) -> bool:
        """Whether `attachment` is the id of an upload by `channel`."""

    def claimed(self, attachments: Sequence[str]) -> None:
        """Opinions that name `attachments` were accepted. Returns at once, never raises."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An opinion that may be accepted: all that is missing is the broker's word. `key` is the sender's own
    Idempotency-Key for it; `is_event`: a CloudEvent's own name makes a repeat safe, and no key does; `fresh`
    as in `Identity`."""

    id: str
    code: str
    key: str | None
    is_event: bool
    fresh: bool
    channel: str
    digest: str
    at: datetime
    record: OutRecord
    attachments: tuple[str, ...] = ()


class Door:
    """Judges and hands in opinions."""

    def __init__(
        self,
        secret: bytes,
        sealer: ContactSealer,
        attachments: Attachments,
        publisher: Publishing,
        recent: RecentOpinions,
        known: KnownDigests,
        *,
        deadline_s: float,
    ) -> None:
        self._secret = secret
        self._sealer = sealer
        self._attachments = attachments
        self._publisher = publisher
        self._recent = recent
        self._known = known
        self._deadline_s = deadline_s
        self.codes = TrackingCodes(secret)
        self.identities = Identities(secret)

    def prepare(
        self,
        raw: bytes,
        caller: Caller,
        city: Snapshot,
        *,
        key: str | None = None,
        event: str | None = None,
        line: str | None = None,
        by_content: bool = False,
        traceparent: str | None = None,
    ) -> Prepared:
        """Judge the opinion in `raw`. What names it, in this order: `key`, the request's Idempotency-Key;
        `event`, the name of the CloudEvent that brought it; its external_id; `line`, its place in an upload
        that has a name, or, with `by_content`, everything that it says, contact included.

        Raises `ProblemError` 400, 403 or 422, saying what is wrong and where.
        """
        try:
            body = opinion.read(raw)
        except Unreadable as error:
            raise unreadable(error) from None
        now = datetime.now(UTC)
        found = opinion.faults(body, city)
        if body.occurred_at is not None:
            found += earlier_time_faults(body.occurred_at, caller, now)
        found += self.attachment_faults(body.attachments, caller.channel.id)
        if found:
            raise invalid(found)
        if by_content:
            line = f"content:{self.digest(body)}"
        identity = self.identities.of(caller.channel.id, key, event, body.external_id, line)
        return self._prepared(body, caller.channel, identity, key, event is not None, now, traceparent)

    def attachment_faults(self, attachments: Sequence[str], channel: str) -> list[Fault]:
        """Which of `attachments` are no uploads by `channel`."""
        return [
            Fault("attachments", "unknown_attachment", f"No upload has the id {attachment[:80]!r}.")
            for attachment in attachments
            if not self._attachments.issued(attachment, channel)
        ]

    def claim(self, attachments: Sequence[str]) -> None:
        """Something that names `attachments` was accepted: they are kept."""
        if attachments:
            self._attachments.claimed(attachments)

    def code_of(self, channel: str, key: str) -> str:
        """The tracking code of what `channel` may send under the Idempotency-Key `key`."""
        return self.codes.of(self.identities.of(channel, key).opinion)

    def digest(self, said: Struct) -> str:
        """A keyed hash of `said` (hex): tells a repeat from another body and, to who has it, nothing else."""
        return hmac.digest(self._secret, msgspec.json.encode(said), "sha256").hex()

    def _prepared(
        self,
        body: OpinionBody,
        channel: Channel,
        identity: Identity,
        key: str | None,
        is_event: bool,
        now: datetime,
        traceparent: str | None,
    ) -> Prepared:
        contact, place = body.contact, body.location
        without_contact = body if contact is None else msgspec.structs.replace(body, contact=None)
        digest = self.digest(without_contact)
        code = self.codes.of(identity.opinion)
        said = Submitted(
            channel=channel.id,
            text=body.text,
            digest=digest,
            title=body.title,
            topic=body.topic,
            station=body.station,
            grid=body.grid,
            place=Place(place.lat, place.lon, place.crs) if place is not None else None,
            address=body.address,
            attachments=body.attachments,
            external_id=body.external_id,
            language=body.language or opinion.DEFAULT_LANGUAGE,
            contact=self._sealer.seal(contact, code) if contact is not None else None,
            entry=channel.entry,
            media_url=body.media_url,
        )
        event = Event(
            id=ids.derived(identity.opinion, SUBMITTED, digest),
            source=f"/intake/{channel.id}",
            type=SUBMITTED,
            subject=identity.opinion,
            time=body.occurred_at or now,
            recordedtime=now,
            data=said,
            traceparent=child(traceparent),
        )
        return Prepared(
            id=identity.opinion,
            code=code,
            key=key,
            is_event=is_event,
            fresh=identity.fresh,
            channel=channel.id,
            digest=digest,
            at=event.time,
            record=to_record(event, topics.INBOUND, identity.opinion),
            attachments=body.attachments,
        )

    async def hand_in(self, batch: Sequence[Prepared]) -> list[ProblemError | None]:
        """Have the broker confirm `batch`; for each None, or why it was not accepted: 409, 413 or 503.

        Returns within the deadline that the door was made with. A 503 may have been written all the same:
        sent again under its key it is recognised.
        """
        conflicting, taken = await self._conflicts(batch)
        wanted = [prepared for prepared in batch if id(prepared) not in conflicting]
        failed = await self._publish(wanted, taken) if wanted else {}
        answers: list[ProblemError | None] = []
        for prepared in batch:
            if id(prepared) in conflicting:
                answers.append(conflict())
            else:
                answers.append(failed.get(prepared.record))
                if answers[-1] is None:
                    self.claim(prepared.attachments)
        return answers

    async def known(self, batch: Iterable[Prepared]) -> set[str]:
        """Which ids of `batch` were handed in before, as far as this instance and the projection know: what
        another instance took a moment ago may be missing."""
        opinions = {prepared.id for prepared in batch if not prepared.fresh}
        remembered = {one for one in opinions if self._recent.get(one) is not None}
        unsure = sorted(opinions - remembered)
        return remembered | set(await self._known.of(unsure) if unsure else ())

    async def _conflicts(self, batch: Iterable[Prepared]) -> tuple[set[int], set[str]]:
        """Which of `batch` say something else under an id that is taken, by `id()`: equal ids may repeat. And
        the ids that are taken from now on."""
        unsure = [
            prepared.id for prepared in batch if not prepared.fresh and self._recent.get(prepared.id) is None
        ]
        known = await self._known.of(unsure) if unsure else {}
        found: set[int] = set()
        taken: set[str] = set()
        for prepared in batch:
            before = self._recent.get(prepared.id)
            digest = before.digest if before is not None else known.get(prepared.id, prepared.digest)
            if digest != prepared.digest:
                found.add(id(prepared))
            elif self._recent.remember(
                prepared.id, Remembered(prepared.digest, prepared.channel, prepared.at)
            ):
                taken.add(prepared.id)
        return found, taken

    async def _publish(self, batch: Sequence[Prepared], taken: set[str]) -> dict[OutRecord, ProblemError]:
        """Why each record was not confirmed. Ids of `taken` of which nothing was written are given back."""
        records = [prepared.record for prepared in batch]
        try:
            await self._publisher.publish(records, self._deadline_s if self._publisher.connected else PROBE_S)
        except NotConfirmed as error:
            missing = set(error.unconfirmed)
            unwritten = set(error.unsent)
        except Overloaded:
            missing = unwritten = set(records)
        except Unpublishable:
            self._give_back(batch, taken)
            return {record: too_large() for record in records}
        else:
            return {}
        self._give_back([prepared for prepared in batch if prepared.record in unwritten], taken)
        return {
            prepared.record: self._not_confirmed(prepared) for prepared in batch if prepared.record in missing
        }

    def _give_back(self, batch: Iterable[Prepared], taken: set[str]) -> None:
        for prepared in batch:
            if prepared.id in taken:
                self._recent.forget(prepared.id)

    def _not_confirmed(self, prepared: Prepared) -> ProblemError:
        if prepared.is_event:
            return not_confirmed(None)
        return not_confirmed(prepared.key or self.identities.retry_key(prepared.channel, prepared.id))


def earlier_time_faults(occurred_at: datetime, caller: Caller, now: datetime) -> list[Fault]:
    """What is wrong with an earlier time that `caller` gives. Raises 403 for a key that may give none."""
    if not caller.may("backdate"):
        raise ProblemError(
            403,
            "backdate_scope_missing",
            "This key may not say when it happened",
            "Leave occurred_at out, or use a key with the scope 'backdate'.",
            field="occurred_at",
        )
    # A key of the phone desk or of an offline outbox reports the last days; replay, anything.
    any_age = caller.channel.entry == "direct" or caller.may("replay")
    return opinion.time_faults(occurred_at, now, any_age=any_age)


def unreadable(error: Unreadable) -> ProblemError:
    """400: the sender's program is wrong."""
    extra: dict[str, Any] = {}
    if error.field:
        extra["errors"] = [{"field": error.field, "code": error.code, "message": error.message}]
    return ProblemError(400, error.code, "The body can't be read", error.message, **extra)


def invalid(found: Sequence[Fault], title: str = "The opinion can't be accepted as it is") -> ProblemError:
    """422: what is wrong with the sender's data, each with its field."""
    return ProblemError(
        422,
        found[0].code if len(found) == 1 else "invalid",
        title,
        " ".join(f"{fault.field}: {fault.message}" for fault in found),
        errors=[{"field": fault.field, "code": fault.code, "message": fault.message} for fault in found],
    )


def conflict(
    title: str = "Another opinion was sent under this Idempotency-Key or external_id",
) -> ProblemError:
    """409: this id was used for something else."""
    return ProblemError(
        409,
        "idempotency_conflict",
        title,
        "Nothing was changed. Send something new under a new key; what was sent can't be replaced.",
    )


def too_large() -> ProblemError:
    """413: the broker would never take it."""
    return ProblemError(413, "too_large", "The opinion is too large", f"At most {opinion.MAX_BYTES} bytes.")


def not_confirmed(key: str | None) -> ProblemError:
    """503: maybe written, maybe not; `key` makes the next try safe, or a CloudEvent's own name (None)."""
    if key is None:
        return ProblemError(
            503,
            "not_confirmed",
            "The opinion could not be confirmed in time",
            f"Send the same event again in {RETRY_AFTER_S} seconds: source and id make it count once.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    return ProblemError(
        503,
        "not_confirmed",
        "The opinion could not be confirmed in time",
        f"Send it again in {RETRY_AFTER_S} seconds with the Idempotency-Key given here: it is counted once.",
        headers={"Retry-After": str(RETRY_AFTER_S), "Idempotency-Key": key},
        idempotency_key=key,
    )
