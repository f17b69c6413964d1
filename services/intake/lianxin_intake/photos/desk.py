"""Where photos are taken in: checked and drawn anew off the event loop, a few at a time, and kept."""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_intake.attachments import AttachmentIds, upload_of
from lianxin_intake.photos.images import BadImage, Picture, picture
from lianxin_intake.photos.store import Kept, PhotoStore
from lianxin_intake.rates import retry_after
from lianxin_intake.store import unreadable

log = get_logger(__name__)

# Decoded at the same time, each in a thread: Pillow lets go of the interpreter while it works.
AT_ONCE = 2
# In hand at the same time, each with up to 12 MB; more would wait longer than phones do.
MOST_IN_HAND = 12
# An accepted opinion that names an upload is on the log for so long, whatever becomes of the router.
CLAIMED_FOR = timedelta(days=30)
_AWAY_S = 5.0
_BUSY_S = 3.0


@dataclass(frozen=True, slots=True)
class Taken:
    """An upload that was kept: its signed id, and its size in pixels."""

    id: str
    width: int
    height: int


class PhotoDesk:
    """Takes in uploads, and tells their ids. `links`: the secret of links to photos, empty for none."""

    def __init__(
        self,
        ids: AttachmentIds,
        store: PhotoStore,
        secret: bytes,
        *,
        links: bytes = b"",
        unnamed_for: timedelta = timedelta(days=1),
    ) -> None:
        self.store = store
        self.links = links
        self._ids = ids
        self._secret = secret
        self._unnamed_for = unnamed_for
        self._in_hand = 0
        self._free = asyncio.Semaphore(AT_ONCE)
        self._claiming: set[asyncio.Task[None]] = set()

    def issued(self, attachment: str, channel: str) -> bool:
        """As `AttachmentIds.issued`."""
        return self._ids.issued(attachment, channel)

    def claimed(self, attachments: Sequence[str]) -> None:
        """Have `attachments` kept until the router has told whose they are. In the background: an opinion is
        accepted without the database."""
        uploads = [upload for one in attachments if (upload := upload_of(one)) is not None]
        task = asyncio.create_task(self._claim(uploads))
        self._claiming.add(task)
        task.add_done_callback(self._claiming.discard)

    async def close(self) -> None:
        """Return when nothing is claimed any more."""
        await asyncio.gather(*self._claiming, return_exceptions=True)

    @contextmanager
    def place(self, photos: int = 1) -> Iterator[None]:
        """Room for `photos` in memory. Raises 503 where there is none."""
        if self._in_hand + photos > MOST_IN_HAND:
            raise ProblemError(
                503,
                "photos_busy",
                "Too many photos come at once",
                "Nothing was kept. Send it again after as many seconds as Retry-After says.",
                headers=retry_after(_BUSY_S),
            )
        self._in_hand += photos
        try:
            yield
        finally:
            self._in_hand -= photos

    async def take(self, raw: bytes, channel: str, name: str | None) -> Taken:
        """Keep the image `raw` that `channel` sent under its own `name` for it; the same again is kept once.

        Raises `BadImage`, and `ProblemError`: 409 for another image under this name, 503 with the database
        away.
        """
        attachment = self._ids.of(channel, name)
        upload = upload_of(attachment)
        assert upload is not None  # we made it
        digest = (await asyncio.to_thread(hmac.digest, self._secret, raw, "sha256")).hex()
        now = datetime.now(UTC)
        until = now + self._unnamed_for
        with told_when_away():
            kept = await self.store.find(upload) if name is not None else None
        if kept is None:
            drawn = await self._drawn(raw)
            with told_when_away():
                kept = await self.store.put(upload, channel, digest, drawn, now, until)
        else:
            with told_when_away():
                await self.store.keep_until([upload], until)
        return _taken(attachment, kept, digest)

    async def _drawn(self, raw: bytes) -> Picture:
        async with self._free:
            return await asyncio.to_thread(picture, raw)

    async def _claim(self, uploads: Sequence[str]) -> None:
        try:
            await self.store.keep_until(uploads, datetime.now(UTC) + CLAIMED_FOR)
        except Exception as error:
            if not unreadable(error):
                raise
            # They have a day; the lifecycle names them long before.
            log.warning("uploads could not be claimed", uploads=len(uploads), error=repr(error))


def _taken(attachment: str, kept: Kept | None, digest: str) -> Taken:
    if kept is None:
        raise away()
    if kept.digest != digest:
        raise ProblemError(
            409,
            "idempotency_conflict",
            "Another image was sent under this Idempotency-Key",
            "Nothing was changed. Send another image under another key.",
        )
    return Taken(attachment, kept.width, kept.height)


@contextmanager
def told_when_away() -> Iterator[None]:
    """Turns a database that can't be reached now into a 503 that says so."""
    try:
        yield
    except Exception as error:
        if not unreadable(error):
            raise
        log.warning("photos can't be read or kept", error=repr(error))
        raise away() from None


def away() -> ProblemError:
    """503: photos need the database."""
    return ProblemError(
        503,
        "photos_unavailable",
        "Photos can't be kept or shown at the moment",
        "Opinions are accepted without photos all the same. Send it again in a few seconds.",
        headers=retry_after(_AWAY_S),
    )


def bad_image(error: BadImage) -> ProblemError:
    """415 for what is no image that is read here, 422 for one that can't be taken."""
    return ProblemError(
        415 if error.wrong_type else 422,
        error.code,
        "The photo can't be taken",
        error.message,
        errors=[{"field": "photos", "code": error.code, "message": error.message}],
    )
