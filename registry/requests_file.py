"""A city's service requests (311) as a table: what a registry needs of each."""

import csv
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

COLUMNS = ("open_dt", "target_dt", "closed_dt", "type", "department", "ward", "latitude", "longitude")
GZIP = b"\x1f\x8b"


class WrongFile(Exception):
    """The file is not such a table; `str()` says where and what."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Instants are in UTC; `ward` and `at` (longitude, latitude in degrees) where known."""

    type: str
    department: str
    ward: str | None
    at: tuple[Decimal, Decimal] | None
    opened: datetime
    target: datetime | None
    closed: datetime | None


def read(path: Path, zone: ZoneInfo) -> list[Request]:
    """Every request of a CSV file, plain or gzipped, whose times are civil times in `zone`.

    Raises `WrongFile` naming the line and column that can't be used, and OSError.
    """
    rows = _table(path)
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        raise WrongFile(f"{path}: there is no column {', '.join(missing)}")
    return list(_requests(rows, path, zone))


def _table(path: Path) -> "csv.DictReader[str]":
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw.startswith(GZIP) else raw).decode("utf-8-sig")
    return csv.DictReader(io.StringIO(text, newline=""))


def write_placed(path: Path, to: Path, stations: Sequence[str | None]) -> None:
    """Write the table of `path` to `to` (CSV) with a column `station`: that of each row, and then without its
    coordinates; None leaves the row as it is."""
    rows = _table(path)
    with to.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, [*(rows.fieldnames or ()), "station"])
        out.writeheader()
        for row, station in zip(rows, stations, strict=True):
            away = {} if station is None else {"latitude": "", "longitude": ""}
            out.writerow({**row, **away, "station": station or ""})


def _requests(rows: "csv.DictReader[str]", path: Path, zone: ZoneInfo) -> Iterator[Request]:
    for row in rows:
        cells = {name: (row[name] or "").strip() for name in COLUMNS}
        try:
            opened = _instant(cells["open_dt"], zone)
            if opened is None or not cells["type"] or not cells["department"]:
                raise ValueError("open_dt, type and department are needed")
            yield Request(
                cells["type"],
                cells["department"],
                ward_of(cells["ward"]),
                _point(cells["longitude"], cells["latitude"]),
                opened,
                _instant(cells["target_dt"], zone),
                _instant(cells["closed_dt"], zone),
            )
        except ValueError as error:
            raise WrongFile(f"{path}:{rows.line_num}: {error}") from None


def ward_of(text: str) -> str | None:
    """One name for one ward: the file writes `Ward 3` and `03`. None where it names none."""
    number = re.search(r"\d+", text)
    return f"Ward {int(number[0])}" if number else text.strip() or None


def _instant(text: str, zone: ZoneInfo) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) if text else None


def _point(lon: str, lat: str) -> tuple[Decimal, Decimal] | None:
    if not lon or not lat:
        return None
    try:
        point = Decimal(lon), Decimal(lat)
        on_earth = abs(point[0]) <= 180 and abs(point[1]) < 90
    except InvalidOperation:
        raise ValueError(f"{lat!r}, {lon!r} are no degrees") from None
    if not on_earth:
        raise ValueError(f"{lat}, {lon} is nowhere on earth")
    return point
