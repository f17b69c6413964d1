"""Whom the claims of an identity service mean in the registry. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.people import Person, person_of

_MOST = 254  # characters; a mail address has no more (RFC 5321)


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """Which claim says who somebody is, and what it holds: the registry's id or a registered mail address.
    `unverified_mail`: the service lets nobody choose their address, so `email_verified` is not asked for."""

    claim: str
    holds: Literal["id", "mail"]
    unverified_mail: bool = False


def value_of(claims: Mapping[str, Any], mapping: ClaimMapping) -> str | None:
    """What the claim says; None where it is missing, or is an address that nobody has checked: whoever may
    write any address there could sign in as anybody."""
    value = claims.get(mapping.claim)
    if not isinstance(value, str) or not value.strip() or len(value) > _MOST:
        return None
    # Some services send the word instead of the value.
    if mapping.holds == "mail" and not mapping.unverified_mail and claims.get("email_verified") not in (
        True, "true",
    ):  # fmt: skip
        return None
    return value.strip()


def person_meant(value: str, mapping: ClaimMapping, city: Snapshot) -> Person | None:
    """The one person whom `value` means; None for nobody, and for an address that several have."""
    if mapping.holds == "id":
        return person_of(value, city) or person_of(value.upper(), city)
    address = f"mail:{value.lower()}"
    owners = [one.id for one in city.deputies.values() if address in map(str.lower, one.channels)]
    return person_of(owners[0], city) if len(owners) == 1 else None
