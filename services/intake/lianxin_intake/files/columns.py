"""Which columns of a table mean what, and the opinion that a row says: pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lianxin_chassis.problems import ProblemError
from lianxin_intake.opinion import Fault

MOST_COLUMNS = 500
# Field -> the names under which its column is found unasked, the first that there is. A bare number column
# (序号, id) is none of them: it counts within one file, and would make another row of it the same opinion.
USUAL: dict[str, tuple[str, ...]] = {
    "text": ("text", "意见内容", "内容", "意见", "诉求内容", "content", "message", "description"),
    "title": ("title", "标题", "主题", "subject"),
    "topic": ("topic", "类别代码", "主题代码", "分类代码"),
    "station": ("station", "站点编号", "联络站编号", "站点"),
    "grid": ("grid", "网格编号", "网格代码", "网格"),
    "address": ("address", "地址", "地点", "位置"),
    "lat": ("lat", "纬度", "latitude", "location.lat"),
    "lon": ("lon", "经度", "lng", "long", "longitude", "location.lon"),
    "crs": ("crs", "坐标系", "location.crs"),
    "contact.name": ("contact.name", "姓名", "联系人", "name"),
    "contact.phone": ("contact.phone", "电话", "联系电话", "手机", "手机号", "phone"),
    "contact.email": ("contact.email", "邮箱", "电子邮箱", "email"),
    "external_id": ("external_id", "外部编号", "编号", "工单号", "工单编号"),
    "occurred_at": ("occurred_at", "提出时间", "反映时间"),
    "language": ("language", "语言"),
}  # fmt: skip
# What may be made of several columns, and what stands between them.
JOINED = {"text": "\n", "title": " ", "address": " "}
_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)


class Unusable(Exception):
    """A row that says no opinion: `faults` tell where and why."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults[0].code)
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Columns:
    """The `heading` of a table, and the places of the columns of each field in it."""

    heading: tuple[str, ...]
    of: dict[str, tuple[int, ...]]

    def named(self, field: str) -> str | None:
        """The column(s) that `field` was read from, by name; `location` comes from its two."""
        fields = ("lat", "lon") if field == "location" else (field.removeprefix("location."),)
        places = [place for name in fields for place in self.of.get(name, ())]
        return " + ".join(self.heading[place] for place in places) or None

    def told(self) -> dict[str, str]:
        """What is read from where."""
        return {
            field: " + ".join(self.heading[place] for place in places) for field, places in self.of.items()
        }

    def ignored(self) -> list[str]:
        """The columns that are read for nothing."""
        used = {place for places in self.of.values() for place in places}
        return [name for place, name in enumerate(self.heading) if place not in used and name]

    def opinion(self, cells: Sequence[str], zone: ZoneInfo) -> dict[str, Any]:
        """The body of the opinion in a row of `cells`; times that name no zone are civil times in `zone`.
        Raises `Unusable`."""
        cells = list(cells)
        while len(cells) > len(self.heading) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(self.heading):
            message = f"{len(cells)} cells, and the heading has {len(self.heading)}; check quotation marks."
            raise Unusable(Fault("row", "wrong_cells", message))
        found = {field: self._value(cells, field) for field in self.of}
        body: dict[str, Any] = {
            field: found[field]
            for field in ("title", "topic", "station", "grid", "address", "external_id", "language")
            if found.get(field)
        }
        body["text"] = found.get("text") or found.get("title", "")
        contact = {
            name: value for name in ("name", "phone", "email") if (value := found.get(f"contact.{name}"))
        }
        if contact:
            body["contact"] = contact
        faults: list[Fault] = []
        _take(faults, body, "location", lambda: _place(found))
        _take(faults, body, "occurred_at", lambda: _moment(found.get("occurred_at", ""), zone))
        if faults:
            raise Unusable(*faults)
        return body

    def _value(self, cells: Sequence[str], field: str) -> str:
        parts = [cells[place].strip() for place in self.of[field]]
        joined = JOINED.get(field, "").join(part for part in parts if part)
        return joined if field == "text" else " ".join(joined.split())


def columns_of(heading: Sequence[str], asked: Mapping[str, Sequence[str]]) -> Columns:
    """The columns to read of a table with this `heading`: those `asked` for by name, else the usual ones.
    Raises 422, saying which there are."""
    names = tuple(name.strip() for name in heading)
    while names and not names[-1]:
        names = names[:-1]
    shown = ", ".join(name for name in names[:50] if name)[:500]
    if len(names) > MOST_COLUMNS:
        raise _wrong("too_many_columns", f"{len(names)} columns; at most {MOST_COLUMNS}.")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise _wrong("column_twice", f"Two columns are named {twice[0][:80]}: rename one.")
    place = {name.casefold(): at for at, name in enumerate(names) if name}
    of: dict[str, tuple[int, ...]] = {}
    for field, usual in USUAL.items():
        wanted = asked.get(field)
        if wanted is None:
            wanted = next(([name] for name in usual if name in place), [])
        if missing := [name for name in wanted if name.casefold() not in place]:
            raise _wrong("no_column", f"There is no column {missing[0][:80]}; there is {shown}.")
        if wanted:
            of[field] = tuple(place[name.casefold()] for name in wanted)
    if "text" not in of and "title" not in of:
        detail = f"Name the column of the text text or 内容, or say map=text=COLUMN; there is {shown}."
        raise _wrong("no_text_column", detail)
    return Columns(names, of)


def asked_for(options: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`field=column,column` of each `map`; no column switches the field off. Raises 422."""
    asked: dict[str, tuple[str, ...]] = {}
    for option in options:
        field, sign, columns = option.partition("=")
        if not sign or field not in USUAL:
            raise _wrong("bad_map", f"Say map=field=column, the field one of {', '.join(USUAL)}.")
        names = tuple(name.strip() for name in columns.split(",") if name.strip())
        if len(names) > 1 and field not in JOINED:
            raise _wrong("bad_map", f"{field} comes from one column.")
        asked[field] = names
    return asked


def _take(faults: list[Fault], body: dict[str, Any], field: str, read: Any) -> None:
    try:
        value = read()
    except Unusable as wrong:
        faults += wrong.faults
    else:
        if value is not None:
            body[field] = value


def _place(found: Mapping[str, str]) -> dict[str, Any] | None:
    lat, lon = found.get("lat", ""), found.get("lon", "")
    if not lat and not lon:
        return None
    if not (lat and lon):
        raise Unusable(Fault("location", "half_place", "A place needs both latitude and longitude."))
    crs = found.get("crs", "").lower().replace("-", "") or "wgs84"
    if crs not in ("wgs84", "gcj02", "bd09"):
        raise Unusable(Fault("crs", "bad_crs", "The coordinate system is wgs84, gcj02 or bd09."))
    return {"lat": _degrees("lat", lat), "lon": _degrees("lon", lon), "crs": crs}


def _degrees(field: str, text: str) -> float:
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{1,20})?", text) is None:
        raise Unusable(Fault(field, "bad_number", "Degrees are a number such as 31.5689."))
    return float(text)


def _moment(text: str, zone: ZoneInfo) -> str | None:
    if not text:
        return None
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        *parts, offset = match.groups()
        year, month, day, hour, minute, second = (int(part or 0) for part in parts)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        if offset is not None:
            colon = offset if offset == "Z" or ":" in offset else f"{offset[:3]}:{offset[3:]}"
            moment = datetime.fromisoformat(moment.replace(tzinfo=None).isoformat() + colon)
    except ValueError:
        fault = Fault("occurred_at", "bad_time", "Write the time as 2026-11-23 08:00.")
        raise Unusable(fault) from None
    return moment.isoformat()


def _wrong(code: str, detail: str) -> ProblemError:
    return ProblemError(422, code, "The file's columns can't be read", detail)
