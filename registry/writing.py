"""A city's records as files: NDJSON, one record a line, the same bytes for the same records."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

Records = list[tuple[str, msgspec.Struct]]


def of_kind(kind: str, records: Iterable[msgspec.Struct]) -> Records:
    """Each record with its kind."""
    return [(kind, record) for record in records]


def write(out: Path, files: Mapping[str, Records]) -> dict[str, int]:
    """Write each `{name}.ndjson` into `out`; returns the number of records by file."""
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
