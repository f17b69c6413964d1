"""The JSON Schemas (2020-12) of every event type, and the AsyncAPI document, as files under `docs/`.

    python -m lianxin_contracts.schemas --write docs     # after an additive change of a payload
    python -m lianxin_contracts.schemas --check docs     # what the tests do

The committed files are the baseline that a change is held against: a change that could not read what was
written before is not written, but refused with the reason. Such a change is a new type beside the old one.
"""

import argparse
import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lianxin_contracts import asyncapi
from lianxin_contracts.codec import MODELS
from lianxin_contracts.compatibility import breaks

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = "schemas"
ASYNCAPI = "asyncapi.json"
VERSION = 1  # of every type's schema: it grows by additions, and a change that can't is a new type

Document = Mapping[str, Any]


def path_of(topic: str, type_: str) -> str:
    """Where the schema of `type_` on `topic` is kept, relative to the folder of the documents."""
    return f"{FOLDER}/{topic}/{type_}.v{VERSION}.json"


def schema_of(topic: str, type_: str) -> Document:
    """The JSON Schema of one type's payload, complete in itself."""
    model = MODELS[topic][type_]
    found = json.loads(msgspec.json.encode(msgspec.json.schema(model)))  # tuples as JSON has them: lists
    for definition in found["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return {
        "$schema": DIALECT,
        "$id": f"urn:lianxin:{topic}:{type_}:v{VERSION}",
        "title": f"{type_} on {topic}",
        **found,
    }


def documents() -> dict[str, Document]:
    """Every document by its path: one schema for each type, and the AsyncAPI document that points to them."""
    places = {(topic, type_): path_of(topic, type_) for topic, models in MODELS.items() for type_ in models}
    found = {place: schema_of(topic, type_) for (topic, type_), place in places.items()}
    found[ASYNCAPI] = asyncapi.document(places)
    return found


def text_of(document: Document) -> str:
    """A document as it stands in its file."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def stale(folder: Path) -> list[str]:
    """The paths under `folder` that are missing, differ from what would be generated, or are left over."""
    wanted = documents()
    differing = [
        place
        for place, document in wanted.items()
        if not (folder / place).is_file() or (folder / place).read_text("utf-8") != text_of(document)
    ]
    return sorted(differing + [place for place in _kept(folder) if place not in wanted])


def incompatible(folder: Path) -> list[str]:
    """What the committed schemas under `folder` allowed and the models no longer read, one line each."""
    wanted = documents()
    found: list[str] = []
    for place in _kept(folder):
        if place not in wanted:
            found.append(f"{place}: type removed")
            continue
        committed = json.loads((folder / place).read_text("utf-8"))
        found += [f"{place}: {broken}" for broken in breaks(committed, wanted[place])]
    return found


def write(folder: Path) -> None:
    """Write every document under `folder`. Overwrites; ask `incompatible` first."""
    for place, document in documents().items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text_of(document), "utf-8")


def _kept(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in (folder / FOLDER).glob("*/*.json"))


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0 when all is well, 1 with the reasons on standard error when not."""
    parser = argparse.ArgumentParser(prog="python -m lianxin_contracts.schemas", description=__doc__)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--write", type=Path, metavar="FOLDER", help="write schemas and AsyncAPI document")
    how.add_argument("--check", type=Path, metavar="FOLDER", help="say which committed files are not current")
    options = parser.parse_args(arguments)
    folder: Path = options.write or options.check
    if broken := incompatible(folder):
        return _refused("What was written under these can't be read any more; nothing is changed:", broken)
    if options.write:
        write(folder)
        return 0
    if differing := stale(folder):
        return _refused("Not current (--write brings them up to date):", differing)
    return 0


def _refused(what: str, lines: list[str]) -> int:
    sys.stderr.write("\n  ".join([what, *lines]) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
