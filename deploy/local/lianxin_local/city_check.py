"""Does a city hold together? Every reference leads somewhere, numbers make sense, nobody is left out."""

import zoneinfo
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import time
from itertools import pairwise
from typing import Any

import shapely

from lianxin_contracts import addresses, registry
from lianxin_local.city_files import CityFiles, Fault, Found

# Of the smaller grid's area: less is the roundness of coordinates.
OVERLAP = 0.01
CODE_LENGTHS = {"district": 6, "street": 9, "community": 12}

Complaint = tuple[str, str]  # field, what is wrong
Ids = Mapping[str, Mapping[str, Any]]


def check(city: CityFiles) -> list[Fault]:
    """Everything that keeps the city from being loaded; empty when it is sound."""
    known: dict[str, dict[str, Any]] = defaultdict(dict)
    for found in city.records:
        known[found.kind][found.id] = found.data
    faults = [
        Fault(found.file, found.line, f"{found.kind} {found.id!r}: {what}", field)
        for found in city.records
        for field, what in _RULES[found.kind](found.data, known)
    ]
    return faults + [Fault("the city", 0, what) for what in _whole(known)]


def warnings(city: CityFiles) -> list[str]:
    """What works but is probably not meant."""
    return list(_overlaps([found for found in city.records if found.kind == "grid"]))


def _whole(known: Ids) -> Iterator[str]:
    if len(known["city"]) != 1:
        yield f"it needs exactly one city record, and has {len(known['city'])}"
    if not any(policy.kind == "opinion" and not policy.topics for policy in known["policy"].values()):
        yield "it needs a policy of kind opinion without topics, for the cases that no other one covers"
    if not any("triage" in staff.roles and not staff.areas for staff in known["staff"].values()):
        yield "it needs a member of staff with role triage and no areas: routing must end at a person"
    for kind in ("grid", "deputy", "topic", "channel"):
        if not known[kind]:
            yield f"it has no {kind}"


def _city(city: registry.City, _known: Ids) -> Iterator[Complaint]:
    try:
        zoneinfo.ZoneInfo(city.zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        yield "zone", f"{city.zone!r} is no IANA time zone"


def _region(region: registry.Region, known: Ids) -> Iterator[Complaint]:
    wanted = CODE_LENGTHS[region.kind]
    if len(region.id) != wanted or not region.id.isdigit():
        yield "id", f"a {region.kind} has {wanted} digits"
    if region.kind == "district":
        return
    if region.parent is None or region.parent not in known["region"]:
        yield "parent", f"there is no region {region.parent!r}"
    elif not region.id.startswith(region.parent):
        yield "parent", f"the code does not begin with {region.parent}"


def _grid(grid: registry.Grid, known: Ids) -> Iterator[Complaint]:
    if len(grid.id) != 15 or not grid.id.isdigit():
        yield "id", "a grid has 15 digits"
    for field in ("community", "street", "district"):
        code = getattr(grid, field)
        if code not in known["region"] or known["region"][code].kind != field:
            yield field, f"there is no {field} {code!r}"
        elif not grid.id.startswith(code):
            yield field, f"the code does not begin with {code}"
    if not grid.polygon:
        return
    if any(not (-180 <= lon <= 180 and -90 <= lat <= 90) for lon, lat in grid.polygon):
        yield "polygon", "points are (longitude, latitude) in degrees"
    elif len(grid.polygon) < 4 or grid.polygon[0] != grid.polygon[-1]:
        yield "polygon", "it must be a closed ring: the last point is the first"
    elif not shapely.is_valid(polygon := shapely.Polygon(grid.polygon)):
        yield "polygon", shapely.is_valid_reason(polygon)


def _station(station: registry.Station, known: Ids) -> Iterator[Complaint]:
    yield from _named(known, "grid", {"grid": station.grid})


def _topic(topic: registry.Topic, known: Ids) -> Iterator[Complaint]:
    if topic.parent is not None:
        if topic.parent not in known["topic"]:
            yield "parent", f"there is no topic {topic.parent!r}"
        elif known["topic"][topic.parent].parent is not None:
            yield "parent", "topics have two levels, not three"
    for word, weight in topic.words.items():
        if not word.strip() or not weight > 0:
            yield "words", f"{word!r} needs letters and a weight above 0"


def _deputy(deputy: registry.Deputy, known: Ids) -> Iterator[Complaint]:
    if deputy.station is not None:
        yield from _named(known, "station", {"station": deputy.station})
    if deputy.cap < 0:
        yield "cap", "it can't be negative"
    for channel in deputy.channels:
        if what := addresses.complaint(channel):
            yield "channels", f"{channel!r}: {what}"


def _mandate(mandate: registry.Mandate, known: Ids) -> Iterator[Complaint]:
    yield from _named(known, "deputy", {"deputy": mandate.deputy})
    if not mandate.areas:
        yield "areas", "it needs at least one region or grid"
    yield from _areas(mandate.areas, known)
    yield from _named(known, "topic", {"topics": mandate.topics})
    if mandate.until is not None and mandate.until <= mandate.since:
        yield "until", "it must be after since"


def _duty(duty: registry.Duty, known: Ids) -> Iterator[Complaint]:
    yield from _named(known, "deputy", {"deputy": duty.deputy})
    if duty.station is not None:
        yield from _named(known, "station", {"station": duty.station})
    if not duty.weekdays or any(not 1 <= day <= 7 for day in duty.weekdays):
        yield "weekdays", "ISO weekdays are 1 (Monday) to 7"
    if any(not 1 <= week <= 5 for week in duty.weeks):
        yield "weeks", "weeks of the month are 1 to 5"


def _leave(leave: registry.Leave, known: Ids) -> Iterator[Complaint]:
    yield from _named(known, "deputy", {"deputy": leave.deputy})
    if leave.substitute is not None:
        yield from _named(known, "deputy", {"substitute": leave.substitute})
        if leave.substitute == leave.deputy:
            yield "substitute", "nobody stands in for himself"
    if leave.until <= leave.since:
        yield "until", "it must be after since"


def _calendar(calendar: registry.Calendar, _known: Ids) -> Iterator[Complaint]:
    for field in ("holidays", "workdays"):
        for day in getattr(calendar, field):
            if day.year != calendar.year:
                yield field, f"{day} is not in {calendar.year}"
    for day in set(calendar.holidays) & set(calendar.workdays):
        yield "workdays", f"{day} is a holiday too"
    ends = [_clock(moment) for span in calendar.hours for moment in span]
    if not ends or None in ends or any(a >= b for a, b in pairwise(ends)):  # type: ignore[operator]
        yield "hours", "spans of HH:MM in order, each ending after it begins"


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def _policy(policy: registry.Policy, known: Ids) -> Iterator[Complaint]:
    yield from _named(known, "topic", {"topics": policy.topics})
    for field in policy.__struct_fields__:
        limit = getattr(policy, field)
        if isinstance(limit, registry.Limit) and limit.amount <= 0:
            yield field, "a limit is above 0"


def _staff(staff: registry.Staff, known: Ids) -> Iterator[Complaint]:
    yield from _areas(staff.areas, known)
    for role in staff.roles:
        if role not in ("triage", "supervisor", "administrator", "station"):
            yield "roles", f"{role!r} is none of triage, supervisor, administrator and station"
    yield from _named(known, "station", {"stations": staff.stations})
    if ("station" in staff.roles) != bool(staff.stations):
        yield "stations", "whoever has the role station names stations, and nobody else does"


def _nothing(_record: Any, _known: Ids) -> Iterator[Complaint]:
    return iter(())


def _named(known: Ids, kind: str, fields: Mapping[str, str | Iterable[str]]) -> Iterator[Complaint]:
    """A complaint for each id in `fields` that no record of `kind` has."""
    for field, value in fields.items():
        for id_ in (value,) if isinstance(value, str) else value:
            if id_ not in known[kind]:
                yield field, f"there is no {kind} {id_!r}"


def _areas(areas: Iterable[str], known: Ids) -> Iterator[Complaint]:
    for code in areas:
        if code not in known["region"] and code not in known["grid"]:
            yield "areas", f"there is no region or grid {code!r}"


def _overlaps(grids: list[Found]) -> Iterator[str]:
    drawn = [(found.id, shapely.Polygon(found.data.polygon)) for found in grids if found.data.polygon]  # type: ignore[attr-defined]
    tree = shapely.STRtree([polygon for _, polygon in drawn])
    for one, other in tree.query(tree.geometries, predicate="overlaps").T:
        (a, first), (b, second) = drawn[one], drawn[other]
        if a < b and first.intersection(second).area > OVERLAP * min(first.area, second.area):
            yield f"grids {a} and {b} overlap: a point in both belongs to {a}"


_RULES: dict[str, Callable[[Any, Ids], Iterator[Complaint]]] = {
    "city": _city,
    "region": _region,
    "grid": _grid,
    "station": _station,
    "topic": _topic,
    "deputy": _deputy,
    "mandate": _mandate,
    "duty": _duty,
    "leave": _leave,
    "calendar": _calendar,
    "policy": _policy,
    "department": _nothing,
    "staff": _staff,
    "channel": _nothing,
}
