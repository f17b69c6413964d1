"""Links to photos that open for a short time, and permits to hand photos in, for whoever was given one.

Intake keeps the photos and serves them; the notifier knows who may see them, and gives that person's browser
a signed link, or a permit to upload evidence. Both know the secret (`LIANXIN_LINK_SECRET`); neither asks the
other.
"""

import hmac
from datetime import datetime
from urllib.parse import quote, unquote, urlencode

# No link is good for longer, seconds: so long a deputy may leave a page open before looking at its photos.
LONGEST_S = 24 * 3600
# No permit to upload is good for longer, seconds: long enough for nine photos on a poor line.
LONGEST_UPLOAD_S = 3600


def signature(secret: bytes, attachment: str, until: int) -> str:
    """What opens `attachment` until `until` (seconds since the epoch): 128 bits of HMAC-SHA-256, hex."""
    return hmac.digest(secret, f"photo link:{until}:{attachment}".encode(), "sha256").hex()[:32]


def photo_link(secret: bytes, base_url: str, attachment: str, until: datetime, *, thumb: bool = False) -> str:
    """The address of a photo at intake, `base_url` being intake's public address; opens until `until` (aware;
    cut to whole seconds)."""
    moment = int(until.timestamp())
    query = {"until": str(moment), "sig": signature(secret, attachment, moment)}
    if thumb:
        query["size"] = "thumb"
    return f"{base_url.rstrip('/')}/v1/attachments/{quote(attachment, safe='')}?{urlencode(query)}"


def opens(secret: bytes, attachment: str, until: int, given: str, now: datetime) -> bool:
    """Whether `given` is the signature of a link to `attachment` that is still good at `now` (aware)."""
    left = until - now.timestamp()
    good = hmac.compare_digest(given.encode(), signature(secret, attachment, until).encode())
    return good and 0 <= left <= LONGEST_S


def upload_permit(secret: bytes, holder: str, until: datetime) -> str:
    """A permit for `holder` (a deputy's or staff's id) to upload photos until `until` (aware; cut to whole
    seconds): the moment, 128 bits of HMAC-SHA-256 in hex, and the holder, for a header."""
    moment = int(until.timestamp())
    return f"{moment}.{_upload_signature(secret, holder, moment)}.{quote(holder, safe='')}"


def permitted(secret: bytes, permit: str, now: datetime) -> str | None:
    """The holder of `permit` where it is ours and still good at `now` (aware); None for anything else."""
    moment, _, rest = permit.partition(".")
    given, _, quoted = rest.partition(".")
    holder = unquote(quoted)
    if not holder or not (moment.isascii() and moment.isdigit() and len(moment) <= 11):
        return None
    left = int(moment) - now.timestamp()
    good = hmac.compare_digest(given.encode(), _upload_signature(secret, holder, int(moment)).encode())
    return holder if good and 0 <= left <= LONGEST_UPLOAD_S else None


def _upload_signature(secret: bytes, holder: str, until: int) -> str:
    return hmac.digest(secret, f"photo upload:{until}:{holder}".encode(), "sha256").hex()[:32]
