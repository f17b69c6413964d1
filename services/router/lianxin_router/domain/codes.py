"""What may stand in the lifecycle, which is kept for ever: codes and ids, never what somebody wrote.

Commands carry strings that their senders chose. One that the registry knows may be repeated; any other must
look like an id, and a refusal names the field instead of its value.
"""

import re
from collections.abc import Iterable

from lianxin_contracts.inbound import Actor

# Ids made by our services: UUIDs, hashes, signed attachment ids. Too narrow for a sentence in any script.
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
# BCP 47 as far as we need it: a language with at most a script and a region, `zh-Hans-CN`.
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4}){0,2}")

DEFAULT_LANGUAGE = "zh"


def is_id(text: str) -> bool:
    """Whether `text` looks like an id that a service made."""
    return _ID.fullmatch(text) is not None


def ids_among(texts: Iterable[str]) -> tuple[str, ...]:
    """Those of `texts` that look like ids."""
    return tuple(text for text in texts if is_id(text))


def language_tag(text: str) -> str:
    """`text` where it is a language tag, else the city's default."""
    return text if _LANGUAGE.fullmatch(text) else DEFAULT_LANGUAGE


def as_recorded(actor: Actor) -> Actor:
    """The actor as the log names them: whoever holds the tracking code is `resident`, whatever the sender
    wrote; other actors are known by id before anything is recorded."""
    return Actor(kind="resident", id="resident") if actor.kind == "resident" else actor
