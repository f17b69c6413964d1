"""`docs/registry.md` describes every kind of record as the contracts have it, and its examples are a city."""

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec
import pytest

from lianxin_contracts.registry import KINDS, Unit
from lianxin_local.city_check import check
from lianxin_local.city_files import read_city

PAGE = (Path(__file__).parents[2] / "docs" / "registry.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = "".join(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def rows(kind: str) -> dict[str, tuple[str, str]]:
    """Of a kind's table: (default, meaning) by field, in order."""
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| ?(.*?) ?\|$", SECTIONS[kind], re.MULTILINE)
    return {field: (default, meaning) for field, default, meaning in found}


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    made = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"`{msgspec.json.encode(made).decode()}`"


def test_the_page_has_the_kinds_of_the_contracts_in_their_order() -> None:
    assert list(SECTIONS) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_fields_and_defaults_of_the_contracts(kind: str) -> None:
    expected = {field.name: default_of(field) for field in msgspec.structs.fields(KINDS[kind])}
    assert {field: default for field, (default, _) in rows(kind).items()} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_that_a_field_may_have_is_explained(kind: str) -> None:
    for field in msgspec.structs.fields(KINDS[kind]):
        if get_origin(field.type) is Literal:
            _, meaning = rows(kind)[field.name]
            named = set(re.findall(r"`(\w+)`", meaning))
            assert set(get_args(field.type)) <= named, field.name


def test_every_unit_of_a_limit_is_named() -> None:
    assert set(get_args(Unit)) <= set(re.findall(r"`(\w+)`", SECTIONS["policy"]))


def test_the_examples_are_a_sound_city_with_every_kind_in_it(tmp_path: Path) -> None:
    (tmp_path / "city.ndjson").write_text(EXAMPLES, encoding="utf-8")
    city = read_city(tmp_path)
    assert check(city) == []
    assert set(city.counts) == set(KINDS)
