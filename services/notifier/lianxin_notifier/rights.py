"""Who is asking and for whom: a channel key and the person that is acted for, or somebody who is signed in
and acts as self."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from msgspec.structs import replace

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.inbound import Actor
from lianxin_contracts.registry import ChannelKey, Scope, Snapshot, hash_of_key
from lianxin_notifier.people import Person


class Registry(Protocol):
    """What is needed of the chassis's `RegistryFollower`."""

    @property
    def current(self) -> Snapshot | None:
        """The city in force."""

    def channel_key(self, hash_: str) -> ChannelKey | None:
        """The key with this hash."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A channel whose key was accepted, or a `person` who is signed in by `session`."""

    channel: str
    scopes: frozenset[Scope]
    person: Person | None = None
    session: str | None = None

    @property
    def name(self) -> str:
        """Who it is, for the log."""
        return self.channel if self.person is None else self.person.id

    def may(self, *scopes: Scope) -> bool:
        """Whether the key has one of `scopes`."""
        return any(scope in self.scopes for scope in scopes)


def city_of(registry: Registry) -> Snapshot:
    """The city in force. Raises 503 until there is one."""
    city = registry.current
    if city is None:
        raise ProblemError(
            503,
            "registry_not_loaded",
            "The city's registry is not loaded yet",
            "Nothing was done. Send the same request again in a few seconds.",
            headers={"Retry-After": "5"},
        )
    return city


def caller_of(authorization: str | None, registry: Registry, *scopes: Scope) -> Caller:
    """The channel whose key `authorization` (the header's value) holds, if the key has one of `scopes`.

    Raises 401 for a missing, unknown or revoked key, 403 for one without the scope.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized("No channel key", "Send the header Authorization: Bearer <channel key>.")
    city_of(registry)  # before that keys may simply not have been read
    key = registry.channel_key(hash_of_key(token.strip()))
    if key is None or not key.holds(datetime.now(UTC)):
        raise _unauthorized(
            "The channel key is unknown, revoked or was replaced", "Ask the operator for a key of this city."
        )
    caller = Caller(key.channel, frozenset(key.scopes))
    if not caller.may(*scopes):
        needed = " or ".join(scopes)
        raise ProblemError(403, "scope_missing", "This key may not do that", f"It needs the scope {needed}.")
    return caller


def actor_of(id_: str | None, city: Snapshot) -> Actor:
    """The deputy or member of staff with this id. Raises 422 where none was named or nobody has it."""
    if not id_:
        raise ProblemError(
            422,
            "actor_missing",
            "For whom?",
            "A key of scope act says for whom it acts: give `as`, the id of a deputy or member of staff.",
        )
    if id_ in city.deputies:
        return Actor("deputy", id_)
    if id_ in city.staff:
        return Actor("staff", id_)
    raise ProblemError(
        422,
        "actor_unknown",
        "Nobody has this id",
        f"The registry knows no deputy or member of staff {id_!r}.",
    )


def acting(caller: Caller, as_: str | None, city: Snapshot) -> Actor:
    """Who acts: whoever is signed in as self, else the one that a key names in `as`. On the log with all that
    follows from it: who really acted may be asked years later. Raises 403 for somebody else's name."""
    if caller.person is None:
        return replace(actor_of(as_, city), via=caller.channel)
    _require_self(caller.person, as_)
    return caller.person.actor


def receiver_for(caller: Caller, id_: str | None, city: Snapshot) -> str:
    """Whose inbox is asked for. Raises 403 for somebody else's, 404 and 422 as `receiver_of`."""
    if caller.person is None:
        return receiver_of(id_, city)
    _require_self(caller.person, id_)
    return caller.person.id


def _require_self(person: Person, named: str | None) -> None:
    if named is not None and named != person.id:
        raise ProblemError(403, "not_yourself", "Whoever is signed in acts and looks as self only")


def receiver_of(id_: str | None, city: Snapshot) -> str:
    """The id of an inbox's owner. Raises 422 where none is named, 404 where nobody has it."""
    if not id_:
        raise ProblemError(422, "invalid", "A field is missing or wrong", "Give `deputy`, an id.")
    if id_ not in city.deputies and id_ not in city.staff:
        raise ProblemError(
            404,
            "deputy_unknown",
            "Nobody has this id",
            "The registry knows no such deputy or member of staff.",
        )
    return id_


def _unauthorized(title: str, detail: str) -> ProblemError:
    return ProblemError(401, "unauthorized", title, detail, headers={"WWW-Authenticate": "Bearer"})
