"""The city in force as the router uses it: the registry's snapshot, its index, the context of decisions."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lianxin_chassis.logs import get_logger
from lianxin_chassis.long_lived import keep_out_of_collection
from lianxin_contracts.inbound import Place
from lianxin_contracts.lifecycle import RoundedPlace
from lianxin_contracts.registry import Snapshot
from lianxin_router.desk import Desk
from lianxin_router.domain.city_context import CityContext
from lianxin_router.domain.ports import Context
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.cluster import Fingerprinter
from lianxin_router.routing.coordinates import to_wgs84
from lianxin_router.routing.route import RULES_VERSION

log = get_logger(__name__)

# 0.001 degrees of latitude are 111 m: what an anonymous reader may know (design, section 5).
ROUNDING_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class City:
    """One version of the city, indexed."""

    snapshot: Snapshot
    index: CityIndex
    unrouted: CityContext  # tables that every batch shares
    fingerprinter: Fingerprinter

    @classmethod
    def of(cls, snapshot: Snapshot, fingerprinter: Fingerprinter) -> "City":
        """Index a snapshot: about a tenth of a second for Wuxi."""
        index = CityIndex.of(snapshot)
        route = Desk(index).route
        unrouted = CityContext(snapshot, route=route, near=near, rules_version=RULES_VERSION)
        return cls(snapshot, index, unrouted, fingerprinter)

    def context(self, desk: Desk) -> Context:
        """What decisions ask, with `desk` to route."""
        return self.unrouted.routed_by(desk.route)


def near(place: Place) -> RoundedPlace:
    """`place` in WGS-84, rounded to about 100 m."""
    lat, lon = to_wgs84(place)
    return RoundedPlace(round(lat, ROUNDING_DECIMALS), round(lon, ROUNDING_DECIMALS))


class CityInForce:
    """The newest snapshot, indexed aside (about a second for a large city) and then switched as a whole."""

    def __init__(self, on_switch: Callable[[City], None], fingerprinter: Fingerprinter) -> None:
        self._fingerprinter = fingerprinter
        self.current: City | None = None
        self._on_switch = on_switch
        self._snapshots: asyncio.Queue[Snapshot] = asyncio.Queue()

    def accept(self, snapshot: Snapshot) -> None:
        """Take a snapshot that came into force; for `RegistryFollower.on_switch`."""
        self._snapshots.put_nowait(snapshot)

    async def run(self) -> None:
        """Index what is accepted, until cancelled."""
        while True:
            snapshot = await self._snapshots.get()
            while not self._snapshots.empty():
                snapshot = self._snapshots.get_nowait()
            self.current = await asyncio.to_thread(City.of, snapshot, self._fingerprinter)
            log.info("city in force", version=snapshot.version, grids=len(snapshot.grids))
            self._on_switch(self.current)
            keep_out_of_collection()
