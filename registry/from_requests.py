"""Make a city out of its service requests: `python registry/from_requests.py FILE OUT`.

FILE is a table of 311 requests (CSV, plain or gzipped; columns in `requests_file.py`), OUT the directory for
the city's files; the same table makes the same bytes. Wards become districts, departments first-level topics,
request types the topics below them. From the table are these names, where each ward's requests lie, how many
are open at a time and how long a type may take. Made up are the outlines (`parcels.py`), the deputies and the
stations: there is somebody for every ward and department, with room for the most requests that were ever open
there at once.
"""

import argparse
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lianxin_contracts.registry import (
    Calendar,
    Channel,
    City,
    Department,
    Deputy,
    Grid,
    Limit,
    Mandate,
    Policy,
    Region,
    Staff,
    Station,
    Topic,
)
from parcels import Parcel, Spot, parcels
from requests_file import Request, WrongFile, read, write_placed
from writing import Records, of_kind, write

# Codes that no division of the National Bureau of Statistics has.
PREFIX = "900"
# Of 999 that a code has room for: small enough that a neighbour is near.
GRIDS, COMMUNITIES = 25, 25
CAP = 50
ROOM = 1.25  # deputies for so many times what was open at once: the shares are never even
SETTLES = 5.0  # the weight of a term that settles the topic

Point = tuple[Decimal, Decimal]


def main() -> None:
    """Read the arguments, write the files, tell what was made and what could not be told apart."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("file", type=Path, metavar="FILE")
    arguments.add_argument("out", type=Path, metavar="OUT")
    arguments.add_argument("--id", default="requests", help="the city's id")
    arguments.add_argument("--name", default="City of the requests")
    arguments.add_argument("--zone", type=_zone, default="America/New_York", help="IANA time zone")
    arguments.add_argument(
        "--placed",
        type=Path,
        metavar="CSV",
        help="also write the table with a station where a ward has no point",
    )
    given = arguments.parse_args()
    try:
        requests = read(given.file, given.zone)
        made = make(requests, City(given.id, given.name, given.zone.key, ("en", "zh")))
        if given.placed is not None:
            write_placed(given.file, given.placed, made.stations_for(requests))
    except (WrongFile, OSError, ValueError) as error:
        sys.exit(str(error))
    for name, count in write(given.out, made.files).items():
        print(f"{count:6} {name}")
    print(made.told())


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"{name!r} is no IANA time zone") from None


@dataclass(frozen=True, slots=True)
class Made:
    """The city's files; how many requests have a ward and coordinates (`placed`); and how many of these lie
    in another ward, by their point (longitude, latitude): most requests there are of that one. `wards` has
    the ward of each point, `homes` the station of each ward."""

    files: dict[str, Records]
    placed: int
    elsewhere: Mapping[Point, int]
    wards: Mapping[Point, str]
    homes: Mapping[str, str]

    def stations_for(self, requests: Iterable[Request]) -> list[str | None]:
        """The station that stands for each request's place: its ward's home where its coordinates are missing
        or lie in another ward; None where it has coordinates of its own, or no ward."""
        return [
            None
            if request.ward is None or (request.at is not None and self.wards[request.at] == request.ward)
            else self.homes.get(request.ward)
            for request in requests
        ]

    def told(self) -> str:
        """What became of the requests' places, in words."""
        lost = sum(self.elsewhere.values())
        lines = [
            f"{self.placed - lost} of {self.placed} requests with ward and coordinates lie in their ward"
        ]
        lines += [
            f"{count} do not: they are at {lat}, {lon}, where most requests are of another ward"
            for (lon, lat), count in self.elsewhere.items()
        ]
        return "\n".join(lines)


def make(requests: Sequence[Request], city: City) -> Made:
    """The city of these requests. Raises ValueError where none of them has both a ward and coordinates."""
    wards = _wards_of_points(requests)
    ground = parcels([Spot(*at, ward) for at, ward in wards.items()])
    regions, grids = _regions(ground)
    codes = {region.name: region.id for region in regions if region.kind == "district"}
    topics, topic_of = _topics(requests)
    first = {topic.id: topic.name for topic in topics if topic.parent is None}
    stations = _stations(codes, grids)
    deputies, mandates = _deputies(codes, stations, first, _most_open(requests, wards, topic_of))
    files: dict[str, Records] = {
        "city": of_kind("city", [city]),
        "calendars": of_kind("calendar", _calendars(requests)),
        "policies": of_kind("policy", _policies(requests, topic_of)),
        "regions": of_kind("region", regions),
        "grids": of_kind("grid", grids),
        "topics": of_kind("topic", topics),
        "stations": of_kind("station", stations.values()),
        "deputies": of_kind("deputy", deputies),
        "mandates": of_kind("mandate", mandates),
        "offices": [
            *of_kind("department", [Department(_slug(name), name) for name in _departments(requests)]),
            *of_kind("staff", _staff(codes)),
            *of_kind("channel", _channels()),
        ],
    }
    placed = [(r.at, r.ward) for r in requests if r.ward is not None and r.at is not None]
    elsewhere = Counter(at for at, ward in placed if wards[at] != ward)
    homes = {ward: station.id for ward, station in stations.items()}
    return Made(files, len(placed), elsewhere, wards, homes)


def _wards_of_points(requests: Iterable[Request]) -> dict[Point, str]:
    """The ward of most requests at each point; of equally many the first by name."""
    found: dict[Point, Counter[str]] = defaultdict(Counter)
    for request in requests:
        if request.at is not None and request.ward is not None:
            found[request.at][request.ward] += 1
    return {at: min(counts, key=lambda ward: (-counts[ward], ward)) for at, counts in found.items()}


def _regions(ground: Iterable[Parcel]) -> tuple[list[Region], list[Grid]]:
    """Each ward a district; its parcels, in the order in which they were cut and so near to one another, fill
    communities and these fill streets."""
    by_ward: dict[str, list[Parcel]] = defaultdict(list)
    for parcel in ground:
        by_ward[parcel.ward].append(parcel)
    regions: dict[str, Region] = {}
    grids = []
    for number, ward in enumerate(sorted(by_ward, key=_natural), start=1):
        district = f"{PREFIX}{number:03d}"
        regions[district] = Region(district, "district", ward)
        for index, parcel in enumerate(by_ward[ward]):
            of_street, of_community = divmod(index // GRIDS, COMMUNITIES)
            street, name = f"{district}{of_street + 1:03d}", f"{ward}-{of_street + 1:02d}"
            regions.setdefault(street, Region(street, "street", name, district))
            community, name = f"{street}{of_community + 1:03d}", f"{name}-{of_community + 1:02d}"
            regions.setdefault(community, Region(community, "community", name, street))
            grid = f"{community}{index % GRIDS + 1:03d}"
            name = f"{name}-{index % GRIDS + 1:02d}"
            grids.append(Grid(grid, name, community, street, district, parcel.ring, synthetic=True))
    return list(regions.values()), grids


def _natural(name: str) -> tuple[int, str]:
    number = re.search(r"\d+", name)
    return (int(number[0]) if number else 0, name)


def _departments(requests: Iterable[Request]) -> list[str]:
    return sorted({request.department for request in requests})


def _topics(requests: Sequence[Request]) -> tuple[list[Topic], dict[str, str]]:
    """The topics, departments first, and the topic's code of each request type. A type belongs to the
    department that has most of its requests. Its name is the one term that settles it; of names that contain
    one another the longest counts."""
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    for request in requests:
        by_type[request.type][request.department] += 1
    code_of: dict[str, str] = {}
    below = []
    for name in sorted(by_type):
        department = min(by_type[name], key=lambda d, counts=by_type[name]: (-counts[d], d))  # type: ignore[misc]
        code = plain = f"{_slug(department)}.{_slug(name)}"
        again = 2
        while code in code_of.values():
            code, again = f"{plain}-{again}", again + 1
        code_of[name] = code
        terms = dict.fromkeys((name, " ".join(name.split())), SETTLES)
        below.append(Topic(code, name, name, _slug(department), terms))
    names = {_slug(name): name for name in _departments(requests)}
    above = [Topic(code, names[code], names[code]) for code in sorted({t.parent or "" for t in below})]
    return above + below, code_of


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "other"


def _stations(codes: dict[str, str], grids: Iterable[Grid]) -> dict[str, Station]:
    """One home for each ward, by the ward's name, in the first of its grids."""
    home: dict[str, str] = {}
    for grid in grids:
        home.setdefault(grid.district, grid.id)
    return {
        ward: Station(f"S{code[3:]}", f"{ward} home", home[code], "street_home")
        for ward, code in codes.items()
    }


def _most_open(
    requests: Iterable[Request], wards: dict[Point, str], topic_of: dict[str, str]
) -> dict[tuple[str, str], int]:
    """The most requests that were open at once, by ward (where they lie) and first-level topic."""
    steps: dict[tuple[str, str], list[tuple[datetime, int]]] = defaultdict(list)
    for request in requests:
        ward = request.ward if request.at is None else wards.get(request.at)
        if ward is not None:
            here = steps[ward, topic_of[request.type].partition(".")[0]]
            here.append((request.opened, 1))
            if request.closed is not None:
                here.append((max(request.closed, request.opened), -1))
    return {where: _highest(changes) for where, changes in steps.items()}


def _highest(changes: list[tuple[datetime, int]]) -> int:
    level = highest = 0
    for _, change in sorted(changes, key=lambda one: (one[0], -one[1])):
        level += change
        highest = max(highest, level)
    return highest


def _deputies(
    codes: dict[str, str],
    stations: dict[str, Station],
    topics: dict[str, str],
    most: dict[tuple[str, str], int],
) -> tuple[list[Deputy], list[Mandate]]:
    """For each ward one deputy for all topics, and for each department as many as its requests need."""
    deputies, mandates = [], []
    for ward, code in codes.items():
        wanted = {"": 1} | {topic: math.ceil(ROOM * most.get((ward, topic), 0) / CAP) for topic in topics}
        for topic, count in wanted.items():
            for number in range(1, max(count, 1) + 1):
                id_ = f"D{code[3:]}-{topic or 'all'}-{number}"
                name = f"{ward}, {topics.get(topic, 'all topics')}, No. {number}"
                deputies.append(Deputy(id_, name, "city", stations[ward].id, CAP, language="en"))
                mandates.append(Mandate(f"M{id_[1:]}", id_, (code,), (topic,) if topic else ()))
    return deputies, mandates


def _calendars(requests: Sequence[Request]) -> list[Calendar]:
    """Plain weekends: the table says nothing of holidays."""
    years = [request.opened.year for request in requests]
    return [Calendar(str(year), year, published=False) for year in range(min(years), max(years) + 2)]


def _policies(requests: Iterable[Request], topic_of: dict[str, str]) -> list[Policy]:
    """Each type may take what the table most often gives it: the median from opening to target."""
    given: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        if request.target is not None and request.target > request.opened:
            given[topic_of[request.type]].append((request.target - request.opened).total_seconds())
    timed = [
        Policy(code, topics=(code,), resolve=_limit(timedelta(seconds=median(times))))
        for code, times in sorted(given.items())
    ]
    return [Policy("opinion"), *timed]


def _limit(time: timedelta) -> Limit:
    if time < timedelta(days=1):
        return Limit(math.ceil(time / timedelta(hours=1)), "hours")
    return Limit(math.ceil(time / timedelta(days=1) - 0.01), "days")


def _staff(codes: dict[str, str]) -> list[Staff]:
    supervisors = [
        Staff(f"supervisor-{code}", f"{ward} supervisor", ("supervisor",), (code,))
        for ward, code in codes.items()
    ]
    return [
        Staff("triage", "Triage", ("triage",)),
        Staff("supervisor", "Supervisor", ("supervisor",)),
        *supervisors,
    ]


def _channels() -> list[Channel]:
    """`demo` is whose keys a local stack makes; `replay` is for keys that play a file at its own times."""
    return [
        Channel("demo", "Demo"),
        Channel("qr", "Stations' QR codes", "page"),
        Channel("desk", "Phone desk", "desk", "desk"),
        Channel("open311", "Open311", "open311"),
        Channel("file", "Files", "file"),
        Channel("replay", "Replay", "replay"),
    ]


if __name__ == "__main__":
    main()
