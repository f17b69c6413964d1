"""The port by which channels that bring pictures as bytes (WeChat, mail) have them kept as attachments."""

from typing import Protocol

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.problems import ProblemError
from lianxin_intake.photos.desk import PhotoDesk
from lianxin_intake.photos.images import MAX_BYTES, BadImage

log = get_logger(__name__)


class PhotoKeeper(Protocol):
    """Keeps pictures, so that an opinion may name them."""

    async def keep(self, picture: bytes, channel: str, name: str) -> str | None:
        """The id of the attachment that `picture` was kept as for `channel`; None where it is none that is
        taken. The same picture under the same `name` again gets the same id, so that what is sent again says
        the same. Raises what `outages.outage` tells to be a fault of the surroundings."""


class DeskPhotos:
    """Has pictures kept where uploads are."""

    def __init__(self, desk: PhotoDesk) -> None:
        self._desk = desk

    async def keep(self, picture: bytes, channel: str, name: str) -> str | None:
        """As `PhotoKeeper`. Raises `Outage` with the database away, and where too many come at once."""
        if len(picture) > MAX_BYTES:
            return None
        try:
            with self._desk.place():
                return (await self._desk.take(picture, channel, name)).id
        except BadImage as error:
            log.info("a picture is none that is taken", channel=channel, code=error.code)
            return None
        except ProblemError as error:
            if error.status != 503:
                raise
            raise Outage(error.code, what="photos") from None
