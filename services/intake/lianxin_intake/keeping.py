"""The port by which channels that bring pictures as bytes (WeChat, mail) have them kept as attachments."""

from typing import Protocol


class PhotoKeeper(Protocol):
    """Keeps pictures, so that an opinion may name them."""

    async def keep(self, picture: bytes, channel: str, name: str) -> str | None:
        """The id of the attachment that `picture` was kept as for `channel`; None where it is none that is
        taken. The same picture under the same `name` again gets the same id, so that what is sent again says
        the same. Raises what `outages.outage` tells to be a fault of the surroundings."""


class NoPhotos:
    """Takes no picture: what brings some says that they were left out."""

    async def keep(self, picture: bytes, channel: str, name: str) -> str | None:
        """Always None."""
        del picture, channel, name
        return None
