"""Photos of a case: intake keeps and serves them, and a person who may see the case is handed links that open
them for a while. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from msgspec import Struct

from lianxin_contracts import lifecycle
from lianxin_contracts.links import photo_link, upload_permit

# How long a page may lie open before its photos are no longer had, and somebody who was handed a link is not
# let in for ever.
OPEN_FOR = timedelta(hours=2)
# A permit to upload: the page asks for another when it has run out.
UPLOAD_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Photo:
    """Where a photo is, and its small version."""

    address: str
    thumb: str


class PhotoLinks:
    """Makes links to photos. `base_url` is intake's address for browsers, empty where none is set: then there
    are no links."""

    def __init__(self, secret: bytes, base_url: str) -> None:
        self._secret = secret
        self._base = base_url if secret else ""

    @property
    def origin(self) -> str:
        """Where the pictures of a page may come from, for its content security policy; empty for nowhere."""
        parts = urlsplit(self._base)
        return f"{parts.scheme}://{parts.netloc}" if self._base else ""

    def upload(self, holder: str, now: datetime) -> dict[str, str | int] | None:
        """Where and by which permit `holder`'s browser may upload evidence, and until when (seconds since the
        epoch); None where there are no links."""
        if not self._base:
            return None
        until = now + UPLOAD_FOR
        permit = upload_permit(self._secret, holder, until)
        address = f"{self._base.rstrip('/')}/v1/attachments"
        return {"permit": permit, "address": address, "until": int(until.timestamp())}

    def of(self, data: Struct, now: datetime) -> tuple[Photo, ...]:
        """The photos that a lifecycle event names, good for `OPEN_FOR` from `now`."""
        return tuple(self._photo(one, now + OPEN_FOR) for one in named_by(data)) if self._base else ()

    def _photo(self, attachment: str, until: datetime) -> Photo:
        return Photo(
            photo_link(self._secret, self._base, attachment, until),
            photo_link(self._secret, self._base, attachment, until, thumb=True),
        )


def named_by(data: Struct) -> Sequence[str]:
    """The ids of the photos that a lifecycle event names: what the resident sent, or what was done."""
    match data:
        case lifecycle.Submitted():
            return data.attachments
        case lifecycle.Progressed() | lifecycle.Resolved() | lifecycle.Visited():
            return data.evidence
        case _:
            return ()
