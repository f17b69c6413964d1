"""From rows to what is played, in order of time across the file."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_local.problem import Problem
from lianxin_local.replay.bookmark import opened
from lianxin_local.replay.entries import NO_ANSWER, Answers, Entry, Reading, Unusable
from lianxin_local.replay.mapping import columns_of
from lianxin_local.replay.player import Progress
from lianxin_local.replay.rows import Numbered
from lianxin_local.replay.script import Kind, Script
from lianxin_local.replay.tally import MOST_NAMED, Tally

AT = datetime(2019, 4, 25, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROW = {"text": "路灯坏了", "time": "2019-04-25 09:00:00"}


def read(row: dict[str, str], *, event_time: bool = True, number: int = 7, **how: Any) -> Entry:
    columns = columns_of(tuple(row), {}, event_time=event_time, answers=True)
    reading = Reading(columns, "replay-1", ZoneInfo("Asia/Shanghai"), event_time, **how)
    return reading.entry(Numbered(number, row))


def test_a_row_is_an_opinion_of_its_own_time() -> None:
    entry = read(ROW | {"title": " 路 灯\n", "lat": "31.5", "lon": "120.3"})
    assert entry.at == AT
    assert entry.body == {
        "text": "路灯坏了",
        "title": "路 灯",
        "external_id": "replay-1-7",
        "location": {"lat": 31.5, "lon": 120.3, "crs": "wgs84"},
        "occurred_at": "2019-04-25T01:00:00.000000Z",
    }


def test_without_event_time_it_is_said_now() -> None:
    entry = read(ROW | {"resolved_at": "2019-04-26"}, event_time=False)
    assert (entry.at, entry.answers, entry.body.get("occurred_at")) == (None, None, None)


def test_an_empty_text_is_the_title() -> None:
    assert read(ROW | {"text": " ", "title": "路灯"}).body["text"] == "路灯"


@pytest.mark.parametrize("place", [("", ""), ("0", "0.0"), ("31.5", "")])
def test_a_place_that_is_not_known_is_left_out(place: tuple[str, str]) -> None:
    assert "location" not in read(ROW | dict(zip(("lat", "lon"), place, strict=True))).body


def test_a_station_is_drawn_by_seed_and_row_and_only_where_the_row_has_none() -> None:
    stations = [f"S{n}" for n in range(1000)]
    drawn = [read(ROW, number=n, stations=stations, seed=3).body["station"] for n in range(50)]
    assert drawn == [read(ROW, number=n, stations=stations, seed=3).body["station"] for n in range(50)]
    assert drawn != [read(ROW, number=n, stations=stations, seed=4).body["station"] for n in range(50)]
    assert read(ROW | {"station": "S0007"}, stations=stations).body["station"] == "S0007"


def test_what_became_of_it_is_accepted_an_hour_later_unless_the_file_says_when() -> None:
    told = read(ROW | {"resolved_at": "2019-04-27 09:00:00"}).answers
    assert told == Answers(AT + HOUR, AT + 48 * HOUR, answer=NO_ANSWER)
    told = read(ROW | {"resolved_at": "2019-04-25 09:00:30"}).answers
    assert told is not None
    assert told.accepted == told.resolved, "resolved before the hour was over"
    told = read(
        ROW
        | {"accepted_at": "2019-04-25 12:00", "answered_at": "2019-04-25 13:00", "reply": "修好了"}
        | {"resolved_at": "2019-04-25 14:00", "outcome": "referred", "score": "基本满意"}
        | {"rated_at": "2019-04-26 09:00"}
    ).answers
    assert told == Answers(
        AT + 3 * HOUR, AT + 5 * HOUR, AT + 4 * HOUR, AT + 24 * HOUR, "修好了", "referred", "basically"
    )


@pytest.mark.parametrize(
    ("more", "column"),
    [
        ({"time": ""}, "time"),
        ({"time": "soon"}, "time"),
        ({"lat": "north", "lon": "1"}, "lat"),
        ({"resolved_at": "2019-04-24"}, "resolved_at"),
        ({"resolved_at": "2019-04-26", "accepted_at": "2019-04-27"}, "accepted_at"),
        ({"resolved_at": "2019-04-26", "answered_at": "2019-04-27"}, "answered_at"),
        ({"resolved_at": "2019-04-26", "score": "satisfied", "rated_at": "2019-04-25 10:00"}, "rated_at"),
        ({"resolved_at": "2019-04-26", "score": "great"}, "score"),
        ({"resolved_at": "2019-04-26", "outcome": "done"}, "outcome"),
    ],
)
def test_what_cannot_be_played_names_its_column(more: dict[str, str], column: str) -> None:
    with pytest.raises(Unusable) as told:
        read(ROW | more)
    assert told.value.column == column


def entry(row: int, at: datetime, *after: float) -> Entry:
    """Accepted, resolved and rated so many hours `after` it was submitted."""
    answers = None
    if after:
        accepted, resolved, rated = (at + hours * HOUR for hours in after)
        answers = Answers(accepted, resolved, rated=rated, score="satisfied")
    return Entry(row, {"external_id": f"e-{row}"}, at, answers)


def test_steps_are_merged_in_order_of_time_across_the_rows() -> None:
    script = Script([entry(1, AT + HOUR, 1, 5, 6), entry(2, AT, 2, 3, 9)])
    assert [(step.entry.row, step.kind.name, step.is_last) for step in script.steps()] == [
        (2, "SUBMIT", False),
        (1, "SUBMIT", False),
        (1, "ACCEPT", False),
        (2, "ACCEPT", False),
        (2, "RESOLVE", False),
        (1, "RESOLVE", False),
        (1, "RATE", True),
        (2, "RATE", True),
    ]
    assert [step.number for step in script.steps(6)] == [6, 7]
    assert (len(script), script.opinions) == (8, 2)
    assert script.at(0) == AT
    assert script.at(99) == AT + 9 * HOUR


@given(st.lists(st.tuples(st.integers(0, 5), st.tuples(*[st.integers(0, 3)] * 3)), min_size=1, max_size=20))
def test_no_case_is_acted_on_before_what_comes_before(rows: list[tuple[int, tuple[int, int, int]]]) -> None:
    entries = []
    for number, (begin, gaps) in enumerate(rows, 1):
        accepted, resolved, rated = gaps[0], gaps[0] + gaps[1], sum(gaps)
        entries.append(entry(number, AT + begin * HOUR, accepted, resolved, rated))
    steps = list(Script(entries, assigns=True).steps())
    assert [step.at for step in steps] == sorted(step.at for step in steps if step.at)
    for row in range(1, len(rows) + 1):
        kinds = [step.kind for step in steps if step.entry.row == row]
        assert kinds == [Kind.SUBMIT, Kind.ASSIGN, Kind.ACCEPT, Kind.RESOLVE, Kind.RATE]
        assert [step.is_last for step in steps if step.entry.row == row] == [False] * 4 + [True]


def test_without_times_rows_follow_in_the_order_of_the_file() -> None:
    entries = [Entry(row, {"external_id": f"e-{row}"}) for row in (1, 2)]
    steps = list(Script(entries, assigns=True).steps())
    assert [(step.entry.row, step.kind, step.at) for step in steps] == [
        (1, Kind.SUBMIT, None),
        (1, Kind.ASSIGN, None),
        (2, Kind.SUBMIT, None),
        (2, Kind.ASSIGN, None),
    ]


def test_a_script_of_nothing_has_no_steps() -> None:
    assert list(Script([]).steps()) == []


def test_steps_that_end_out_of_order_are_entered_in_order() -> None:
    progress, entered = Progress(10), []
    for _ in range(20):
        progress.begin()
    numbers = list(range(10, 30))
    random.Random(1).shuffle(numbers)
    for number in numbers:
        progress.end(number, lambda number=number: entered.append(number))
        assert entered == list(range(10, progress.done))
    assert (progress.done, progress.width) == (30, 0)


MANNER = {"event_time": True, "zone": "Asia/Shanghai"}


def test_a_replay_goes_on_from_its_bookmark(tmp_path: Path) -> None:
    bookmark = opened(tmp_path / "b.json", "d1", MANNER, resume=False)
    tally = Tally(sent=3, accepted=2, seconds=1.5)
    tally.refused.add("too_long", 2)
    tally.done["accept"] += 1
    bookmark.done, bookmark.told = 5, tally.told()
    bookmark.save()
    again = opened(tmp_path / "b.json", "d1", MANNER, resume=True)
    assert again.done == 5
    assert Tally.of(again.told) == tally
    assert opened(tmp_path / "b.json", "d1", MANNER, resume=False).done == 0


def test_a_bookmark_of_another_file_or_manner_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "b.json", "d1", MANNER, resume=False).save()
    for digest, manner, says in (
        ("d2", MANNER, "another file"),
        ("d1", MANNER | {"zone": "UTC"}, "another zone"),
    ):
        with pytest.raises(Problem) as told:
            opened(tmp_path / "b.json", digest, manner, resume=True)
        assert says in told.value.message
    with pytest.raises(Problem) as told:
        opened(tmp_path / "none.json", "d1", MANNER, resume=True)
    assert "nothing to resume" in told.value.message


def test_refused_rows_are_counted_and_the_first_of_them_named() -> None:
    tally = Tally(sent=200, accepted=80, seconds=10)
    for row in range(1, 121):
        tally.refused.add("too_long", row)
    told = tally.told()["refused"]["too_long"]
    assert (told["count"], told["rows"]) == (120, list(range(1, MOST_NAMED + 1)))
    assert any("120 too_long: rows 1, 2" in line and "and 70 more" in line for line in tally.in_words())
