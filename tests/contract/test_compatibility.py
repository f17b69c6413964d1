"""What the guard of the schemas catches, and what it lets pass."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct, field

from lianxin_contracts.compatibility import breaks


class Part(Struct):
    code: str
    note: str | None = None


class Kept(Struct):
    """The payload as it was committed."""

    id: str
    stage: Literal["open", "closed"]
    count: int
    ratio: Annotated[float, Meta(ge=0, le=1)]
    part: Part
    text: Annotated[str, Meta(min_length=1, max_length=100)]
    maybe: int | None = None
    names: tuple[str, ...] = ()
    values: dict[str, int] = field(default_factory=dict)
    pair: tuple[str, int] = ("", 0)
    language: str = "zh"


def changed(**hints: Any) -> type[Struct]:
    """`Kept` with some fields of another type (and default), some taken away (None), some added."""
    fields: dict[str, tuple[Any, ...]] = {}
    for kept in msgspec.structs.fields(Kept):
        default = () if kept.required else (_default(kept),)
        fields[kept.name] = (Kept.__annotations__[kept.name], *default)
    for name, hint in hints.items():
        if hint is None:
            del fields[name]
        else:
            fields[name] = hint if isinstance(hint, tuple) else (hint,)
    return msgspec.defstruct("Kept", [(name, *rest) for name, rest in fields.items()], kw_only=True)


def _default(kept: Any) -> Any:
    return (
        kept.default if kept.default is not msgspec.NODEFAULT else field(default_factory=kept.default_factory)
    )


def found(model: type[Struct]) -> list[str]:
    return [str(b) for b in breaks(msgspec.json.schema(Kept), msgspec.json.schema(model))]


def test_no_change_breaks_nothing():
    assert found(changed()) == []


def part_with(**fields: Any) -> type[Struct]:
    return msgspec.defstruct("Part", [(name, *rest) for name, rest in fields.items()], kw_only=True)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(changed(more=(int, 0)), id="a new field with a default"),
        pytest.param(changed(stage=Literal["open", "paused", "closed"]), id="a new value"),
        pytest.param(changed(stage=str), id="any text where there were values"),
        pytest.param(changed(count=float), id="any number where there were integers"),
        pytest.param(changed(count=int | None), id="null allowed"),
        pytest.param(changed(count=int | str), id="another type allowed"),
        pytest.param(changed(ratio=float), id="bounds dropped"),
        pytest.param(changed(text=Annotated[str, Meta(max_length=200)]), id="bounds widened"),
        pytest.param(changed(id=(str, "")), id="a required field that got a default"),
        pytest.param(
            changed(part=part_with(code=(str,), note=(str | None, None), by=(str, ""))),
            id="a new field inside",
        ),
    ],
)
def test_an_additive_change_passes(model: type[Struct]):
    assert found(model) == []


@pytest.mark.parametrize(
    ("model", "said"),
    [
        pytest.param(changed(language=None), "language: field removed", id="a field removed"),
        pytest.param(changed(more=int), "more: new field is required", id="a new required field"),
        pytest.param(changed(maybe=(int | None,)), "maybe: field became required", id="a field required"),
        pytest.param(
            changed(count=str), "count: type narrowed: integer is no longer allowed", id="other type"
        ),
        pytest.param(
            changed(maybe=(int, 0)), "maybe: type narrowed: null is no longer allowed", id="null no longer"
        ),
        pytest.param(
            changed(ratio=Annotated[int, Meta(ge=0, le=1)]),
            "ratio: type narrowed: number is no longer allowed",
            id="integers only",
        ),
        pytest.param(
            changed(id=Literal["a"]), "id: type narrowed to the values ['a']", id="values where any text was"
        ),
        pytest.param(changed(stage=Literal["open"]), "stage: value 'closed' removed", id="a value removed"),
        pytest.param(
            changed(ratio=Annotated[float, Meta(ge=0.5, le=1)]),
            "ratio: minimum raised from 0 to 0.5",
            id="minimum raised",
        ),
        pytest.param(
            changed(ratio=Annotated[float, Meta(ge=0, le=0.5)]),
            "ratio: maximum lowered from 1 to 0.5",
            id="maximum lowered",
        ),
        pytest.param(
            changed(text=Annotated[str, Meta(min_length=2, max_length=100)]),
            "text: minLength raised from 1 to 2",
            id="longer texts only",
        ),
        pytest.param(
            changed(text=Annotated[str, Meta(min_length=1, max_length=9)]),
            "text: maxLength lowered from 100 to 9",
            id="shorter texts only",
        ),
        pytest.param(
            changed(id=Annotated[str, Meta(pattern="^a")]),
            "id: pattern became '^a'",
            id="a pattern asked for",
        ),
        pytest.param(
            changed(id=Annotated[datetime, Meta(tz=True)]),
            "id: format became 'date-time'",
            id="a form asked for",
        ),
        pytest.param(
            changed(language=(str, "en")), "language: default changed from 'zh' to 'en'", id="another default"
        ),
        pytest.param(
            changed(names=(tuple[int, ...], ())),
            "names[]: type narrowed: string is no longer allowed",
            id="narrower items",
        ),
        pytest.param(
            changed(values=(dict[str, str], field(default_factory=dict))),
            "values{}: type narrowed: integer is no longer allowed",
            id="narrower values",
        ),
        pytest.param(
            changed(pair=(tuple[str, str], ("", ""))),
            "pair[1]: type narrowed: integer is no longer allowed",
            id="a narrower item of a pair",
        ),
        pytest.param(
            changed(part=part_with(note=(str | None, None))), "part.code: field removed", id="a field inside"
        ),
        pytest.param(
            changed(part=part_with(code=(str,), note=(str,))),
            "part.note: field became required",
            id="a requirement inside",
        ),
    ],
)
def test_a_change_that_leaves_something_unreadable_is_caught(model: type[Struct], said: str):
    assert said in found(model)


def test_ignoring_unknown_fields_may_not_be_given_up():
    strict = msgspec.defstruct(
        "Kept", [("id", str)], forbid_unknown_fields=True, namespace={"__doc__": "strict"}
    )
    lenient = msgspec.defstruct("Kept", [("id", str)])

    assert [str(b) for b in breaks(msgspec.json.schema(lenient), msgspec.json.schema(strict))] == [
        "payload: unknown fields are no longer ignored"
    ]


class Tree(Struct):
    name: str
    children: tuple["Tree", ...] = ()


def test_a_type_that_holds_itself_is_compared_to_its_end():
    assert breaks(msgspec.json.schema(Tree), msgspec.json.schema(Tree)) == []
