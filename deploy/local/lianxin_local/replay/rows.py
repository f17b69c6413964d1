"""The rows of a file: CSV, CSV.gz or NDJSON (also .gz), one at a time, each as text by column."""

import csv
import gzip
import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import msgspec

from lianxin_local.problem import Problem

NDJSON = (".ndjson", ".jsonl")
_CHUNK = 1024 * 1024

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A row and its number, from 1; a CSV's heading is not counted."""

    number: int
    values: Row


@dataclass(frozen=True, slots=True)
class Source:
    """A file of rows. `columns` are those of the heading, or of any of the objects, with what lies in an
    object of its own dotted (`location.lat`). `digest` is the SHA-256 (hex) of the file as it lies there."""

    path: Path
    columns: tuple[str, ...]
    digest: str

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Raises `Problem` for a file that can't be read as what its name says."""
        whole = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                whole.update(chunk)
        with _text(path) as text:
            columns = tuple(_names(text) if _is_ndjson(path) else _heading(text, path))
        return cls(path, columns, whole.hexdigest())

    def rows(self, limit: int | None = None) -> Iterator[Numbered]:
        """The first `limit` rows (all without). Raises `Problem` naming the row that can't be read."""
        with _text(self.path) as text:
            for row in _objects(text) if _is_ndjson(self.path) else _records(text, self.columns, self.path):
                if limit is not None and row.number > limit:
                    return
                yield row


def _is_ndjson(path: Path) -> bool:
    return path.with_suffix("").suffix in NDJSON if path.suffix == ".gz" else path.suffix in NDJSON


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """The file as text. A byte order mark, which spreadsheets write, belongs to no column's name."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        raise Problem(
            f"{path.name} is not UTF-8 ({error.reason}): convert it first, e.g. with iconv"
        ) from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise Problem(f"{path.name} can't be unpacked: {error}") from None


def _heading(text: TextIO, path: Path) -> list[str]:
    heading = next(csv.reader(text), [])
    if not heading:
        raise Problem(f"{path.name} is empty: a CSV file begins with a line of column names")
    if len(set(heading)) < len(heading):
        twice = sorted({name for name in heading if heading.count(name) > 1})
        raise Problem(f"{path.name} has two columns named {', '.join(twice)}: rename one")
    return heading


def _records(text: TextIO, columns: tuple[str, ...], path: Path) -> Iterator[Numbered]:
    csv.field_size_limit(sys.maxsize)  # a long text is for intake to refuse, and to be counted
    reader = csv.reader(text)
    next(reader, None)
    try:
        for number, cells in enumerate((cells for cells in reader if cells), 1):
            if len(cells) != len(columns):
                raise Problem(
                    f"{path.name}, row {number} (line {reader.line_num}): {len(cells)} cells, and the "
                    f"heading has {len(columns)}; is a quotation mark missing?"
                )
            yield Numbered(number, dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        raise Problem(f"{path.name}, line {reader.line_num}: {error}") from None


def _objects(text: TextIO) -> Iterator[Numbered]:
    number = 0
    for line in text:
        if not line.strip():
            continue
        number += 1
        try:
            found = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Problem(f"row {number}: not a JSON object ({error})") from None
        yield Numbered(number, dict(_flat(found)))
    if number == 0:
        raise Problem("the file is empty: NDJSON has one JSON object a line")


def _names(text: TextIO) -> dict[str, None]:
    return {name: None for row in _objects(text) for name in row.values}


def _flat(found: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is None:
            yield f"{prefix}{name}", ""
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else msgspec.json.encode(value).decode()
