"""`lianxin registry diff` says what a load would change, and what that means for open cases."""

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from tests.conftest import new_broker
from tests.support.brokers import Broker

from lianxin_chassis.topics import ensure
from lianxin_contracts import registry as records
from lianxin_contracts.registry import Channel, Deputy, Mandate, Policy, Snapshot, Topic
from lianxin_local.city_diff import compare, effects
from lianxin_local.registry_command import registry
from lianxin_local.registry_publish import operator

TODAY = date(2026, 3, 2)
EAST, RIVER, HILL = "320001", "320001001", "320001101"
OWN: dict[tuple[str, str], Any] = {
    (kind, record.id): record
    for kind, record in (
        ("city", records.City("town", "小城")),
        ("topic", Topic("roads", "道路", "Roads")),
        ("topic", Topic("roads.lamps", "路灯", "Lamps", "roads")),
        ("deputy", Deputy("D1", "代表 1", "town")),
        ("deputy", Deputy("D2", "代表 2", "town")),
        ("mandate", Mandate("M1", "D1", (RIVER, HILL))),
        ("mandate", Mandate("M2", "D2", (RIVER,), ("roads.lamps",))),
        ("policy", Policy("opinion")),
        ("channel", Channel("demo", "演示")),
    )
}


def city(*changed: tuple[str, Any], without: tuple[str, str] | None = None) -> Snapshot:
    """A town with two deputies, with these (kind, record) beside or instead of its own."""
    new = {(kind, record.id): record for kind, record in changed}
    kept = {where: record for where, record in {**OWN, **new}.items() if where != without}
    return records.assemble("v1", [(kind, record) for (kind, _), record in kept.items()], None)


def test_the_same_city_differs_in_nothing() -> None:
    assert not any(found.any for found in compare(city(), city()).values())


def test_records_are_told_as_added_removed_or_changed_field_by_field() -> None:
    moved = msgspec.structs.replace(OWN["deputy", "D1"], cap=5, name="代表 1号")
    found = compare(city(), city(("deputy", moved), ("deputy", Deputy("D3", "代表 3", "town"))))["deputy"]
    assert (found.added, found.removed, found.same) == (("D3",), (), 1)
    assert found.changed == {"D1": {"name": ("代表 1", "代表 1号"), "cap": (30, 5)}}
    assert compare(city(), city(without=("deputy", "D2")))["deputy"].removed == ("D2",)


def test_where_no_city_is_in_force_all_is_added_and_nobody_loses_anything() -> None:
    assert compare(None, city())["mandate"].added == ("M1", "M2")
    assert effects(None, city(), TODAY).losing == {}
    assert list(effects(None, city(), TODAY).told()) == []


@pytest.mark.parametrize(
    ("mandate", "lost"),
    [
        (Mandate("M1", "D1", (RIVER,)), {"D1": (HILL,)}),
        (Mandate("M1", "D1", (EAST,)), {}),
        (Mandate("M1", "D1", (RIVER, HILL), ("roads",)), {"D1": (RIVER, HILL)}),
        (Mandate("M1", "D1", (RIVER, HILL), until=TODAY), {"D1": (RIVER, HILL)}),
        (Mandate("M1", "D1", (RIVER, HILL), until=date(2026, 3, 3)), {}),
        (Mandate("M1", "D2", (RIVER, HILL)), {"D1": (RIVER, HILL)}),
        (Mandate("M2", "D2", (RIVER,), ("roads",)), {}),
    ],
    ids=["area gone", "wider", "fewer topics", "ended", "ends tomorrow", "another's", "topic above"],
)
def test_a_deputy_who_answers_for_less_than_before_is_named_with_what_is_lost(
    mandate: Mandate, lost: dict[str, tuple[str, ...]]
) -> None:
    assert effects(city(), city(("mandate", mandate)), TODAY).losing == lost


def test_a_deputy_who_is_no_more_loses_everything_also_where_the_mandate_was_left() -> None:
    assert effects(city(), city(without=("deputy", "D2")), TODAY).losing == {"D2": (f"{RIVER} roads.lamps",)}


def test_what_a_change_does_to_open_cases_is_said_in_words() -> None:
    slower = Policy("opinion", resolve=records.Limit(9, "days"))
    for change, says in [
        (city(without=("mandate", "M1")), "D1 no longer answer for all that they did"),
        (city(without=("topic", "roads.lamps")), "topics roads.lamps are gone"),
        (city(without=("channel", "demo")), "channels demo are gone: their keys are refused"),
        (city(("policy", slower)), "open cases keep the due times that they have"),
    ]:
        assert any(says in line for line in effects(city(), change, TODAY).told()), says


def written(directory: Path, *deputies: str) -> Path:
    """A sound town's files whose deputies are these."""
    lines: list[dict[str, Any]] = [
        {"record": "city", "id": "town", "name": "小城"},
        {"record": "region", "id": EAST, "kind": "district", "name": "东区"},
        {"record": "region", "id": RIVER, "kind": "street", "name": "河街道", "parent": EAST},
        {"record": "region", "id": f"{RIVER}001", "kind": "community", "name": "柳树社区", "parent": RIVER},
        {
            "record": "grid", "id": f"{RIVER}001001", "name": "一号", "community": f"{RIVER}001",
            "street": RIVER, "district": EAST,
        },
        {"record": "topic", "id": "roads", "name": "道路", "name_en": "Roads"},
        {"record": "policy", "id": "opinion"},
        {"record": "staff", "id": "triage", "name": "分派", "roles": ["triage"]},
        {"record": "channel", "id": "demo", "name": "演示"},
    ]  # fmt: skip
    for id_ in deputies:
        lines.append({"record": "deputy", "id": id_, "name": f"代表 {id_}", "level": "town"})
        lines.append({"record": "mandate", "id": f"M{id_}", "deputy": id_, "areas": [RIVER]})
    directory.mkdir(exist_ok=True)
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (directory / "town.ndjson").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this module's own, for cities of its own."""
    started = new_broker(tmp_path_factory.mktemp("diff-kafka"))
    asyncio.run(ensure(operator(started.bootstrap)))
    yield started
    started.kill()


def told(command: str, broker: Broker, path: Path, *options: str) -> str:
    result = CliRunner().invoke(registry, [command, "--bootstrap", broker.bootstrap, *options, str(path)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.kafka
def test_the_command_compares_the_files_with_what_is_in_force_and_publishes_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    many = [f"D{number:02d}" for number in range(20)]
    old, new = written(tmp_path / "old", "D1", "D2"), written(tmp_path / "new", "D2", *many)

    assert "no city" in told("diff", broker, old).splitlines()[0]
    told("load", broker, old)
    assert "no record differs" in told("diff", broker, old)

    lines = told("diff", broker, new).splitlines()
    assert lines[2].split() == ["deputy", "20", "1", "0", "1"]
    assert "- deputy D1" in lines
    assert "+ deputy D09" in lines
    assert "+ … and 10 more: --all shows them" in lines
    assert any(line.startswith("! D1 no longer answer") for line in lines)
    assert "+ deputy D19" in told("diff", broker, new, "--all").splitlines()

    answer = json.loads(told("diff", broker, new, "--json"))
    assert answer["counts"]["mandate"] == {"added": 20, "removed": 1, "changed": 0, "same": 1}
    assert answer["open_cases"]["deputies_losing"] == {"D1": [RIVER]}
    assert answer["in_force"] != answer["files"]
    assert json.loads(told("diff", broker, old, "--json"))["in_force"] == answer["in_force"]


@pytest.mark.kafka
def test_files_that_are_not_sound_are_refused_before_the_broker_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text("{}\n")
    result = CliRunner().invoke(registry, ["diff", "--bootstrap", "127.0.0.1:1", str(tmp_path)])
    assert result.exit_code == 1
    assert "a.ndjson:1: record" in result.stderr
