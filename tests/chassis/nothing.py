"""Stand-ins for measurements: nothing is parked, and any bytes are an event."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from lianxin_chassis.parking import Key, ParkingLot, Partition, State
from lianxin_chassis.records import Headers
from lianxin_contracts.envelope import Event
from tests.chassis.worker import Said

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_EVENT = Event("1", "tests", "said.v1", "", _NOW, _NOW, Said(1))


class NothingParked(ParkingLot):
    """A parking lot without a database."""

    def __init__(self) -> None:
        """Needs none."""

    async def parked(self, group: str, partitions: Collection[Partition]) -> dict[Key, State]:
        return {}

    async def measure(self, group: str, topics: Iterable[str]) -> None:
        return None


def event_of_bytes(_topic: str, _value: bytes, _headers: Headers) -> Event:
    return _EVENT
