"""Ids of attachments. They are signed, so that an opinion naming one is accepted with the database away.

`{UUID}.{120 bits of HMAC-SHA-256}`: good for the channel that uploaded it and no other, so that an id which
somebody read elsewhere can't be put into an opinion of another channel.
"""

import base64
import hmac
import re

from lianxin_contracts import ids

_FORM = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[A-Za-z0-9_-]{20}")
_MAC_BYTES = 15


class AttachmentIds:
    """Makes and checks ids under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, channel: str, name: str | None) -> str:
        """The id of what `channel` uploads under its own `name` for it (the same each time); a fresh one for
        None."""
        upload = ids.derived("attachment", channel, name) if name is not None else ids.fresh()
        return self._signed(channel, upload)

    def issued(self, attachment: str, channel: str) -> bool:
        """Whether `attachment` is the id of an upload by `channel`."""
        upload = upload_of(attachment)
        if upload is None:
            return False
        return hmac.compare_digest(attachment.encode(), self._signed(channel, upload).encode())

    def _signed(self, channel: str, upload: str) -> str:
        mac = hmac.digest(self._secret, f"attachment:{channel}:{upload}".encode(), "sha256")[:_MAC_BYTES]
        return f"{upload}.{base64.urlsafe_b64encode(mac).decode()}"


def upload_of(attachment: str) -> str | None:
    """The UUID in an id that has the form of ours, whoever signed it; None for anything else."""
    parts = _FORM.fullmatch(attachment)
    return parts[1] if parts is not None else None
