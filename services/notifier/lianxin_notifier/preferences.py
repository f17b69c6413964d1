"""How a person wants to be reached: what deputies set themselves, on top of what the registry says. Pure.

A person may put the registry's addresses in another order and switch some off, and may add only what reaches
nobody else: `push`, whose targets are the browsers where they switched it on. An address of somebody else can
not be put in here, so nothing has to be proved about one.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

# A channel without an address: the person's own browsers, on which they allowed it.
PUSH = "push"
OWN_CHANNELS = (PUSH,)

# A time of day in the city's zone.
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Language = Literal["zh", "en"]


class Quiet(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing but urgent alerts from `start` until `end`, over midnight where `end` is earlier; never where
    they are the same. `days_off`: nor on days that are no working days, from midnight to midnight."""

    start: TimeOfDay
    end: TimeOfDay
    days_off: bool = False


class Digest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is not urgent comes together: daily at `at`, and once `or_when` alerts wait (0: daily only)."""

    at: TimeOfDay = "08:30"
    or_when: Annotated[int, Meta(ge=0, le=1_000)] = 0


class Preferences(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person's wishes; what is None is as the registry says, or is not wished.

    `channels` are addresses as the registry writes them (`mail:…`), and `push`, in order; () means the inbox
    alone. Until `paused_until` (exclusive, a date in the city) nothing but urgent alerts leaves the inbox.
    """

    channels: Annotated[tuple[str, ...], Meta(max_length=20)] | None = None
    quiet: Quiet | None = None
    digest: Digest | None = None
    language: Language | None = None
    paused_until: date | None = None


DEFAULT = Preferences()


def foreign(preferences: Preferences, registered: Sequence[str]) -> list[str]:
    """The channels that this person may not choose: not the registry's for them, nor their own browsers."""
    allowed = {*registered, *OWN_CHANNELS}
    return [channel for channel in preferences.channels or () if channel not in allowed]


def channels_of(preferences: Preferences, registered: Sequence[str]) -> tuple[str, ...]:
    """Where alerts go, in order, each once. What the registry no longer names counts no more; somebody none
    of whose choices is left is reached as the registry says."""
    if preferences.channels is None:
        return tuple(dict.fromkeys(registered))
    left = [c for c in dict.fromkeys(preferences.channels) if c in registered or c in OWN_CHANNELS]
    if preferences.channels and not left:
        return tuple(dict.fromkeys(registered))
    return tuple(left)


def language_of(preferences: Preferences, registered: str) -> str:
    """In which language this person is written to."""
    return preferences.language or registered
