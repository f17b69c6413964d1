"""A small city and a way of speaking to one case, for the tests of the lifecycle.

Two grids of one street, two topics; deputies ann, bea and cai for the first grid, dan for the second, eve
elsewhere; triage staff tom, supervisor sue. Working days are plain weekdays of 2026.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from lianxin_contracts import ids, inbound, registry
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Actor, Place
from lianxin_contracts.lifecycle import ClassifiedAs, Explanation, LocatedBy, Reason, RoundedPlace
from lianxin_contracts.registry import Limit, Policy
from lianxin_router.domain.case import Case
from lianxin_router.domain.city_context import CityContext
from lianxin_router.domain.decide import decide
from lianxin_router.domain.ports import Routed, RouteRequest, ToDeputy, ToTriage
from lianxin_router.domain.story import Decision

# Monday 2 March 2026, 10:00 in Wuxi.
MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

GRID, OTHER_GRID = "320211001001001", "320211001001002"
STREET, DISTRICT = "320211001", "320211"
ROADS, NOISE, POTHOLES = "roads", "noise", "potholes"

RESIDENT = Actor("resident", "resident")
ANN, BEA, CAI, DAN, EVE = (Actor("deputy", name) for name in ("ann", "bea", "cai", "dan", "eve"))
TOM, SUE, ADA = (Actor("staff", name) for name in ("tom", "sue", "ada"))


def by_id(*records: Any) -> dict[str, Any]:
    return {record.id: record for record in records}


def mandate(deputy: str, *areas: str, topics: tuple[str, ...] = (), **dates: Any) -> registry.Mandate:
    return registry.Mandate(f"{deputy}-{'-'.join(areas)}", deputy, areas, topics, **dates)


def a_city(
    policy: Policy | None = None,
    version: str = "v1",
    without_mandate: Iterable[str] = (),
    leaves: Iterable[registry.Leave] = (),
) -> registry.Snapshot:
    gone = set(without_mandate)
    mandates = [
        mandate("ann", GRID), mandate("bea", GRID), mandate("cai", GRID), mandate("dan", OTHER_GRID),
        mandate("eve", "320999001001001"),
    ]  # fmt: skip
    return registry.Snapshot(
        version=version,
        city=registry.City("wuxi", "无锡"),
        grids=by_id(
            registry.Grid(GRID, "一", GRID[:12], STREET, DISTRICT),
            registry.Grid(OTHER_GRID, "二", GRID[:12], STREET, DISTRICT),
        ),
        topics=by_id(
            registry.Topic(ROADS, "道路", "roads"),
            registry.Topic(POTHOLES, "坑洼", "potholes", parent=ROADS, evidence=True),
            registry.Topic(NOISE, "噪声", "noise"),
        ),
        deputies=by_id(*(registry.Deputy(n, n, "county") for n in ("ann", "bea", "cai", "dan", "eve"))),
        mandates=by_id(*(m for m in mandates if m.deputy not in gone)),
        leaves=by_id(*leaves),
        calendars=by_id(registry.Calendar("2026", 2026), registry.Calendar("2027", 2027)),
        policies=by_id(policy or Policy("plain")),
        departments=by_id(registry.Department("water", "水务"), registry.Department("works", "城管")),
        stations=by_id(registry.Station("home", "家站", GRID)),
        staff=by_id(
            registry.Staff("tom", "tom", ("triage",)),
            registry.Staff("sue", "sue", ("supervisor",)),
            registry.Staff("ada", "ada", ("administrator",)),
            registry.Staff("far", "far", ("triage", "supervisor"), ("320999",)),
            registry.Staff("stan", "stan", ("station",), stations=("home",)),
            registry.Staff("stella", "stella", ("station",), stations=("elsewhere",)),
        ),
    )


def a_route(city: registry.Snapshot) -> Any:
    """Routing by the grid and topic that were given: the first deputy by name who has a mandate there."""

    def route(request: RouteRequest) -> Routed:
        grid, topic = request.grid, request.topic
        if request.clues is not None:
            grid, topic = grid or request.clues.grid, topic or request.clues.topic
        if request.known is not None:
            grid, topic = grid or request.known.grid, topic or request.known.topic
        explanation = Explanation(
            city.version, "test", LocatedBy(grid, "grid", 1.0), ClassifiedAs(topic, "choice", 1.0)
        )
        where = (grid, STREET, DISTRICT) if grid else (None, None, None)
        names = sorted(m.deputy for m in city.mandates.values() if grid in m.areas)
        names = [name for name in names if name not in request.excluded]
        if grid and topic and names:
            return ToDeputy(names[0], grid, STREET, DISTRICT, topic, explanation)
        return ToTriage((Reason("unclear"),), explanation, *where, topic)

    return route


def a_context(city: registry.Snapshot | None = None, route: Any = None) -> CityContext:
    city = city or a_city()
    return CityContext(city, route=route or a_route(city), near=a_rounded_place, rules_version="test")


def a_rounded_place(place: Place) -> RoundedPlace:
    return RoundedPlace(round(place.lat, 3), round(place.lon, 3))


SOURCES = {"opinion.seen": "/notifier/ann", "case.due": "/router", "visit.recorded": "/intake/field"}
SOURCES |= {"case.review": "/router", "case.merge": "/router"}
TYPE_OF = {model: type_ for type_, model in inbound.MODELS.items()}


@dataclass(frozen=True)
class Spoken:
    """A command, in which city it was decided, and how."""

    command: Event
    context: CityContext
    decision: Decision


class Talk:
    """One case and everything that is said to it. `at` is hours after Monday 10:00 in the city."""

    def __init__(self, context: CityContext | None = None, opinion: str = "op-1") -> None:
        self.opinion = opinion
        self.context = context or a_context()
        self.known: Case | None = None
        self.log: list[Event] = []
        self.heard: list[Spoken] = []
        self.last: Decision | None = None
        self.said = 0

    @property
    def case(self) -> Case:
        assert self.known is not None
        return self.known

    def says(self, data: msgspec.Struct, at: float = 0.0, **attributes: Any) -> Decision:
        """Hand a command to `decide`; a second saying with the same `id` is the same command."""
        type_ = attributes.pop("type", None) or TYPE_OF[type(data)]
        time = MONDAY + at * HOUR
        self.said += 1
        command = Event(
            id=attributes.pop("id", None) or ids.derived("said", self.opinion, str(self.said)),
            source=attributes.pop("source", default_source(type_)),
            type=type_,
            subject=self.opinion,
            time=time,
            recordedtime=attributes.pop("recorded", time),
            data=data,
        )
        return self.hears(command)

    def hears(self, command: Event) -> Decision:
        decision = decide(self.known, command, self.context)
        self.known = decision.case
        self.heard.append(Spoken(command, self.context, decision))
        self.log += decision.events
        self.last = decision
        return decision

    def submits(self, at: float = 0.0, **body: Any) -> Decision:
        fields: dict[str, Any] = {"channel": "qr", "text": "路灯坏了", "digest": "d1", "grid": GRID}
        attributes = {k: body.pop(k) for k in ("recorded", "id", "source") if k in body}
        fields |= {"topic": NOISE} | body
        return self.says(inbound.Submitted(**fields), at, **attributes)

    def types(self) -> list[str]:
        """The types of the last decision's events, without the prefix `opinion.`."""
        assert self.last is not None
        return [event.type.removeprefix("opinion.") for event in self.last.events]

    def code(self) -> str | None:
        """The code with which the last command was refused."""
        assert self.last is not None
        return self.last.refusal.code if self.last.refusal else None

    def told(self, type_: str) -> list[Event]:
        """Every event of `type_` so far."""
        return [event for event in self.log if event.type == type_]

    def one(self, type_: str) -> Any:
        """The payload of the only event of `type_`."""
        (event,) = self.told(type_)
        return event.data


def default_source(type_: str) -> str:
    if type_ in SOURCES:
        return SOURCES[type_]
    return "/intake/qr" if type_.startswith("opinion.") else "/notifier/desk"


def assigned(**policy: Any) -> Talk:
    """A case that ann holds since Monday 10:00."""
    talk = Talk(a_context(a_city(Policy("plain", **policy))))
    talk.submits()
    return talk


def accepted(**policy: Any) -> Talk:
    """A case that ann has accepted at once."""
    talk = assigned(**policy)
    talk.says(inbound.Accept(ANN))
    return talk


def resolved(at: float = 1.0, **policy: Any) -> Talk:
    """A case that ann has resolved an hour after the resident's submission."""
    talk = accepted(**policy)
    talk.says(inbound.Resolve(ANN, "solved", "修好了"), at)
    return talk


def in_triage(**body: Any) -> Talk:
    """A case whose grid nobody knows."""
    talk = Talk()
    talk.submits(**{"grid": None} | body)
    return talk


def hours(amount: int) -> Limit:
    return Limit(amount, "hours")


def never() -> date:
    return date(2999, 1, 1)
