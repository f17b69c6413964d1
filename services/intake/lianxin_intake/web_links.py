"""Links that people give along with what they say: judged by their form alone. They are kept, shown with a
warning that they lead elsewhere, and never fetched: whoever fetches what strangers name can be sent anywhere.
"""

import re
from urllib.parse import urlsplit

from lianxin_contracts.inbound import MAX_MEDIA_URL

# No white space, control characters, quotes, or marks that change how the rest is read.
_LINK = re.compile(
    'https?://[^\\s\x00-\x1f\x7f-\x9f<>"\\\\\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+',
    re.IGNORECASE,
)
HOW = f"Send an http or https URL of at most {MAX_MEDIA_URL} characters, without a user name in it."


def is_link(link: str) -> bool:
    """Whether `link` is a web address with a host. One with a user name is none: `https://bank@evil.example`
    reads like the bank's."""
    if len(link) > MAX_MEDIA_URL or _LINK.fullmatch(link) is None:
        return False
    try:
        parts = urlsplit(link)
        return bool(parts.hostname) and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
