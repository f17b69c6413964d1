"""Which keys open the door: those that hold now."""

from datetime import UTC, datetime, timedelta

import pytest

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import registry
from lianxin_contracts.registry import ChannelKey, Snapshot, hash_of_key
from lianxin_intake.rights import caller_of

CITY = Snapshot("v1", registry.City("wuxi", "无锡"), channels={"app": registry.Channel("app", "App")})
HASH = hash_of_key("secret")


class Registry:
    current: Snapshot | None = CITY

    def __init__(self, **fields: object) -> None:
        self._key = ChannelKey(HASH, "app", ("submit",), **fields)  # type: ignore[arg-type]

    def channel_key(self, hash_: str) -> ChannelKey | None:
        return self._key if hash_ == HASH else None


def test_a_key_that_was_replaced_holds_until_its_overlap_is_over() -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert caller_of("Bearer secret", Registry(until=soon), CITY).channel.id == "app"
    with pytest.raises(ProblemError, match="unauthorized"):
        caller_of("Bearer secret", Registry(until=datetime.now(UTC)), CITY)


@pytest.mark.parametrize("header", [None, "", "secret", "Basic secret", "Bearer ", "Bearer other"])
def test_nothing_else_opens_it(header: str | None) -> None:
    with pytest.raises(ProblemError, match="unauthorized"):
        caller_of(header, Registry(), CITY)


def test_a_revoked_key_opens_nothing_whatever_its_overlap() -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(ProblemError, match="unauthorized"):
        caller_of("Bearer secret", Registry(revoked=True, until=later), CITY)
