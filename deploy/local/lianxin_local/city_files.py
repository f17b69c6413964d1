"""A city as files: NDJSON, one record a line, `{"record": KIND, …fields}`; docs/registry.md tells how.

Reading never stops at the first fault: every line that is wrong is named, with its file, line and field.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lianxin_contracts.registry import KINDS, Snapshot, assemble, counts_of, digest_of

SUFFIX = ".ndjson"
VERSION_LENGTH = 16  # hexadecimal digits of the digest: 64 bits tell any number of versions apart


@dataclass(frozen=True, slots=True)
class Found:
    """One record and the place that it was read from."""

    kind: str
    data: msgspec.Struct
    file: str
    line: int

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.data.id)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: `line` 0 means the whole file or the whole city."""

    file: str
    line: int
    what: str
    field: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {f'{self.field}: ' if self.field else ''}{self.what}"


class Unreadable(Exception):
    """The files don't hold a city: `faults` says why."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class CityFiles:
    """A city that was read whole: its records and the version that follows from their content."""

    records: tuple[Found, ...]

    @property
    def pairs(self) -> list[tuple[str, msgspec.Struct]]:
        """The records as contracts' functions take them."""
        return [(found.kind, found.data) for found in self.records]

    @property
    def counts(self) -> dict[str, int]:
        """How many records there are of each kind."""
        return counts_of(self.pairs)

    def digest(self) -> str:
        """SHA-256 of the content: the order of lines and files does not matter."""
        return digest_of(self.pairs)

    def snapshot(self) -> Snapshot:
        """The city in memory, under the version that its content gives it."""
        return assemble(version_of(self.digest()), self.pairs, None)


def version_of(digest: str) -> str:
    """The same content is the same version, whoever loads it and how often."""
    return digest[:VERSION_LENGTH]


def read_city(path: Path) -> CityFiles:
    """Every record of the file, or of the directory's `*.ndjson` in the order of names.

    Raises `Unreadable` naming every line that can't be read and every id that occurs twice. References
    between records are `city_check.check`'s business.
    """
    files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise Unreadable([Fault(str(path), 0, f"no {SUFFIX} files here")])
    records: list[Found] = []
    faults: list[Fault] = []
    for file in files:
        try:
            lines = file.read_bytes().split(b"\n")
        except OSError as error:
            faults.append(Fault(str(file), 0, error.strerror or repr(error)))
            continue
        for number, line in enumerate(lines, start=1):
            if line.strip():
                read = _read_line(file.name, number, line)
                (faults if isinstance(read, Fault) else records).append(read)  # type: ignore[arg-type]
    faults += _twice(records)
    if faults:
        raise Unreadable(faults)
    return CityFiles(tuple(records))


def _read_line(file: str, number: int, line: bytes) -> Found | Fault:
    try:
        fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Fault(file, number, f"no JSON object: {error}")
    kind = _text(fields.pop("record", None))
    if kind is None or kind not in KINDS:
        known = ", ".join(KINDS)
        return Fault(file, number, f"{kind!r} is none of {known}", "record")
    model = KINDS[kind]
    if strange := sorted(set(fields) - set(model.__struct_fields__)):
        return Fault(file, number, f"a {kind} has no such field", strange[0])
    try:
        data = msgspec.json.decode(msgspec.json.encode(fields), type=model)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        return Fault(file, number, f"{kind}: {what}", where.strip("`").removeprefix("$.") or None)
    if not getattr(data, "id", ""):
        return Fault(file, number, f"{kind}: it is empty", "id")
    return Found(kind, data, file, number)


def _text(raw: msgspec.Raw | None) -> str | None:
    if raw is None:
        return None
    value = msgspec.json.decode(raw)
    return value if isinstance(value, str) else repr(value)


def _twice(records: Iterable[Found]) -> list[Fault]:
    first: dict[tuple[str, str], Found] = {}
    faults = []
    for found in records:
        earlier = first.setdefault((found.kind, found.id), found)
        if earlier is not found:
            what = f"{found.kind} {found.id!r} is already in {earlier.file}:{earlier.line}"
            faults.append(Fault(found.file, found.line, what, "id"))
    return faults
