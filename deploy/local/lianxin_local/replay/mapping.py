"""Which columns of a file mean what: by their usual names, and by `--map field=column[,column …]`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lianxin_local.problem import Problem
from lianxin_local.replay.rows import Row

# Field -> the column names under which it is found unasked, the first that there is.
USUAL: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "message", "description", "body"),
    "title": ("title", "case_title", "subject"),
    "time": (
        "time", "occurred_at", "submitted_at", "requested_datetime", "created_at", "open_dt", "opened_at",
    ),
    "external_id": (),
    "station": ("station",),
    "grid": (),
    "topic": (),
    "address": ("address", "location_street_name"),
    "lat": ("lat", "latitude", "location.lat"),
    "lon": ("lon", "lng", "long", "longitude", "location.lon"),
    "accepted_at": ("accepted_at",),
    "answered_at": ("answered_at",),
    "answer": ("answer", "reply"),
    "resolved_at": ("resolved_at", "replied_at", "closed_dt", "closed_at"),
    "outcome": ("outcome",),
    "score": ("score",),
    "rated_at": ("rated_at",),
    "comment": (),
}  # fmt: skip
# What is read only where every record is given its own time.
TIMED = (
    "time",
    "accepted_at",
    "answered_at",
    "answer",
    "resolved_at",
    "outcome",
    "score",
    "rated_at",
    "comment",
)
# What may be made of several columns, and what stands between them.
JOINED = {"text": "\n", "address": " ", "answer": "\n"}


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of each field that the file holds."""

    of: dict[str, tuple[str, ...]]

    def value(self, row: Row, field: str) -> str:
        """What `row` holds for `field`, its columns joined; empty where it holds nothing."""
        parts = [row.get(column, "").strip() for column in self.of.get(field, ())]
        return JOINED.get(field, "").join(part for part in parts if part)

    def has(self, field: str) -> bool:
        """Whether the file holds `field`."""
        return field in self.of

    def in_words(self) -> str:
        """What is read from where, in one line."""
        return ", ".join(
            field if columns == (field,) else f"{field} from {' + '.join(columns)}"
            for field, columns in self.of.items()
        )


def parsed(options: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`field=column,column …` as given on the command line; no column switches a field off. Raises
    `Problem`."""
    asked: dict[str, tuple[str, ...]] = {}
    for option in options:
        field, sign, columns = option.partition("=")
        if not sign or field not in USUAL:
            raise Problem(f"--map {option}: give field=column, the field one of {', '.join(USUAL)}", code=2)
        names = tuple(name.strip() for name in columns.split(",") if name.strip())
        if len(names) > 1 and field not in JOINED:
            raise Problem(f"--map {option}: {field} comes from one column", code=2)
        asked[field] = names
    return asked


def columns_of(
    found: Sequence[str], asked: Mapping[str, tuple[str, ...]], *, event_time: bool, answers: bool
) -> Columns:
    """The columns to read of a file that has `found`. Raises `Problem` for one that it lacks, saying which it
    has."""
    of: dict[str, tuple[str, ...]] = {}
    for field, usual in USUAL.items():
        if field in TIMED and not (event_time and (answers or field == "time")):
            continue
        columns = asked.get(field, next(((name,) for name in usual if name in found), ()))
        if missing := [name for name in columns if name not in found]:
            raise Problem(
                f"the file has no column {', '.join(missing)} (--map {field}=…); it has {', '.join(found)}"
            )
        if columns:
            of[field] = columns
    if "text" not in of and "title" not in of:
        raise Problem(
            f"which column is the text? Say --map text=COLUMN[,COLUMN]; there is {', '.join(found)}"
        )
    if event_time and "time" not in of:
        raise Problem(
            f"--event-time: which column is the time? Say --map time=COLUMN; there is {', '.join(found)}"
        )
    if ("lat" in of) != ("lon" in of):
        raise Problem("a place needs both: --map lat=COLUMN --map lon=COLUMN")
    if "resolved_at" not in of and (
        needing := [name for name in ("answer", "score") if name in asked and name in of]
    ):
        raise Problem(f"{needing[0]} is played when the case is resolved: say --map resolved_at=COLUMN")
    return Columns(of)
