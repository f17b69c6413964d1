"""Who is asking: the channel behind an `Authorization: Bearer` key, and what the key may do."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Channel, ChannelKey, Scope, Snapshot, hash_of_key


class Registry(Protocol):
    """What intake needs of the chassis's `RegistryFollower`."""

    @property
    def current(self) -> Snapshot | None:
        """The city in force."""

    def channel_key(self, hash_: str) -> ChannelKey | None:
        """The key with this hash."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A channel whose key was accepted. `key` is the key's hash: it may be counted by, never shown."""

    channel: Channel
    scopes: frozenset[Scope]
    key: str

    def may(self, scope: Scope) -> bool:
        """Whether the key has `scope`."""
        return scope in self.scopes


def city_of(registry: Registry) -> Snapshot:
    """The city in force. Raises 503 until there is one."""
    city = registry.current
    if city is None:
        raise not_loaded()
    return city


def not_loaded(key: str | None = None) -> ProblemError:
    """503: nothing was accepted. `key`, where given, is the Idempotency-Key to send again with."""
    extra: dict[str, str] = {} if key is None else {"idempotency_key": key}
    return ProblemError(
        503,
        "registry_not_loaded",
        "The city's registry is not loaded yet",
        "Nothing was accepted. Send the same request again in a few seconds.",
        headers={"Retry-After": "5"} | ({} if key is None else {"Idempotency-Key": key}),
        **extra,
    )


def caller_of(authorization: str | None, registry: Registry, city: Snapshot) -> Caller:
    """The channel whose key `authorization` (the header's value) holds.

    Raises 401 for a missing, unknown, revoked or replaced key, and 403 for a key whose channel is not in the
    registry.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized("No channel key", "Send the header Authorization: Bearer <channel key>.")
    return caller_with(hash_of_key(token.strip()), registry, city)


def caller_with(hash_: str, registry: Registry, city: Snapshot) -> Caller:
    """The channel whose key has the hash `hash_`. Raises as `caller_of`."""
    key = registry.channel_key(hash_)
    if key is None or not key.holds(datetime.now(UTC)):
        raise _unauthorized(
            "The channel key is unknown, revoked or was replaced", "Ask the operator for a key of this city."
        )
    channel = city.channels.get(key.channel)
    if channel is None:
        raise ProblemError(
            403,
            "channel_inactive",
            "The key's channel is not active",
            f"The registry in force has no channel {key.channel!r}. Ask the operator to add it.",
        )
    return Caller(channel, frozenset(key.scopes), key.id)


def require(caller: Caller, *scopes: Scope) -> None:
    """Raises 403 where the key has none of `scopes`."""
    if not any(caller.may(scope) for scope in scopes):
        raise ProblemError(
            403,
            "scope_missing",
            "This key may not do that",
            f"It needs the scope {' or '.join(map(repr, scopes))}. Ask the operator for a key that has it.",
        )


def _unauthorized(title: str, detail: str) -> ProblemError:
    return ProblemError(401, "unauthorized", title, detail, headers={"WWW-Authenticate": "Bearer"})
