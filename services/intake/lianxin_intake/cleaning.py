"""Words from channels that a person typed freely into: without what the door would refuse. Pure."""

import re

_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff]"
)
_BREAKS = re.compile("[\\s\u2028\u2029]+")


def clean_text(text: str) -> str:
    """`text` without control and invisible characters, and without blanks round it. Joiners stay: emoji and
    some scripts need them."""
    return _UNWANTED.sub("", text).strip()


def clean_line(text: str, most: int) -> str:
    """The same on one line of at most `most` characters."""
    return _BREAKS.sub(" ", _UNWANTED.sub(" ", text)).strip()[:most].strip()
