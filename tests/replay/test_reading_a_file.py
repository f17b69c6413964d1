"""What a file holds: rows, columns, and the times in it."""

import gzip
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lianxin_local.problem import Problem
from lianxin_local.replay.mapping import columns_of, parsed
from lianxin_local.replay.moments import instant
from lianxin_local.replay.rows import Source

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")


def source(path: Path, text: str) -> Source:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return Source.of(path)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_csv_is_read_row_by_row_whatever_stands_in_its_cells(tmp_path: Path, name: str) -> None:
    found = source(tmp_path / name, '\ufeff题目,text\n"一,二","两\n行"\n\n三,四\n')
    assert found.columns == ("题目", "text")
    assert [(row.number, row.values) for row in found.rows()] == [
        (1, {"题目": "一,二", "text": "两\n行"}),
        (2, {"题目": "三", "text": "四"}),
    ]
    assert [row.number for row in found.rows(1)] == [1]


@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl.gz"])
def test_ndjson_has_the_columns_of_all_its_objects_those_within_objects_dotted(
    tmp_path: Path, name: str
) -> None:
    found = source(
        tmp_path / name, '{"text": "一", "n": 1, "place": {"lat": 31.5}}\n\n{"text": null, "more": true}\n'
    )
    assert found.columns == ("text", "n", "place.lat", "more")
    assert [row.values for row in found.rows()] == [
        {"text": "一", "n": "1", "place.lat": "31.5"},
        {"text": "", "more": "true"},
    ]


def test_the_same_file_has_the_same_digest_and_another_has_another(tmp_path: Path) -> None:
    one, again, other = (
        source(tmp_path / f"{name}.csv", text)
        for name, text in (("a", "x\n1\n"), ("b", "x\n1\n"), ("c", "x\n2\n"))
    )
    assert one.digest == again.digest != other.digest


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "", "is empty"),
        ("a.ndjson", "\n", "is empty"),
        ("a.csv", "x,x\n1,2\n", "two columns named x"),
        ("a.csv", "x,y\n1,2\n3\n", "row 2 (line 3): 1 cells"),
        ("a.ndjson", '{"x": 1}\n[2]\n', "row 2: not a JSON object"),
    ],
)
def test_what_is_no_such_file_is_said_with_its_row(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(Problem) as told:
        list(source(tmp_path / name, text).rows())
    assert says in told.value.message


def test_what_is_not_utf_8_or_not_packed_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("文本\n一\n".encode("gb18030"))
    (tmp_path / "b.csv.gz").write_bytes(b"text\n")
    for name, says in (("a.csv", "not UTF-8"), ("b.csv.gz", "can't be unpacked")):
        with pytest.raises(Problem) as told:
            Source.of(tmp_path / name)
        assert says in told.value.message


def test_columns_are_found_by_their_usual_names() -> None:
    found = columns_of(
        ("row", "title", "text", "open_dt", "latitude", "longitude", "closed_dt"),
        {},
        event_time=True,
        answers=True,
    )
    assert found.of == {
        "text": ("text",),
        "title": ("title",),
        "time": ("open_dt",),
        "lat": ("latitude",),
        "lon": ("longitude",),
        "resolved_at": ("closed_dt",),
    }
    assert "time from open_dt" in found.in_words()


def test_without_event_time_no_time_and_no_answer_is_read() -> None:
    found = columns_of(("text", "time", "reply", "replied_at"), {}, event_time=False, answers=True)
    assert found.of == {"text": ("text",)}
    found = columns_of(("text", "time", "reply", "replied_at"), {}, event_time=True, answers=False)
    assert found.of == {"text": ("text",), "time": ("time",)}


def test_a_text_is_made_of_several_columns_without_the_empty_ones() -> None:
    found = columns_of(
        ("title", "type", "street"), parsed(["text=title,type,street"]), event_time=False, answers=False
    )
    assert found.value({"title": "Lamp ", "type": " ", "street": "Main St"}, "text") == "Lamp\nMain St"


def test_a_field_can_be_switched_off() -> None:
    found = columns_of(("text", "title"), parsed(["title="]), event_time=False, answers=False)
    assert not found.has("title")


@pytest.mark.parametrize(
    ("columns", "maps", "says"),
    [
        (("text",), ["text=body"], "no column body (--map text=…); it has text"),
        (("a", "b"), [], "Say --map text=COLUMN"),
        (("text",), ["colour=a"], "the field one of text, title"),
        (("text",), ["text"], "give field=column"),
        (("text", "a", "b"), ["station=a,b"], "station comes from one column"),
        (("text",), [], "Say --map time=COLUMN"),
        (("text", "time", "lat"), [], "a place needs both"),
        (("text", "time", "reply"), ["answer=reply"], "say --map resolved_at=COLUMN"),
    ],
)
def test_a_column_that_is_missing_is_named_with_what_to_do(
    columns: tuple[str, ...], maps: list[str], says: str
) -> None:
    with pytest.raises(Problem) as told:
        columns_of(columns, parsed(maps), event_time=True, answers=True)
    assert says in told.value.message


@pytest.mark.parametrize(
    ("text", "zone", "is_"),
    [
        ("2019-04-25 09:32:09", SHANGHAI, "2019-04-25T01:32:09+00:00"),
        ("2019/4/25 9:32:09", SHANGHAI, "2019-04-25T01:32:09+00:00"),
        ("2019.4.25", SHANGHAI, "2019-04-24T16:00:00+00:00"),
        ("2019-04-25T09:32", SHANGHAI, "2019-04-25T01:32:00+00:00"),
        ("2019-04-25T09:32:09.5Z", SHANGHAI, "2019-04-25T09:32:09.500000+00:00"),
        ("2019-04-25 09:32:09 -0400", SHANGHAI, "2019-04-25T13:32:09+00:00"),
        ("2011-07-01 01:32:33", NEW_YORK, "2011-07-01T05:32:33+00:00"),
        ("2011-12-01 01:32:33", NEW_YORK, "2011-12-01T06:32:33+00:00"),
        ("2011-11-06 01:30:00", NEW_YORK, "2011-11-06T05:30:00+00:00"),  # twice: the first
    ],
)
def test_a_time_without_a_zone_is_local_time_of_the_files(text: str, zone: ZoneInfo, is_: str) -> None:
    assert instant(text, zone) == datetime.fromisoformat(is_)


def test_a_time_is_read_as_it_is_said_to_be_written() -> None:
    assert instant("07/01/2011 1:32 PM", NEW_YORK, "%m/%d/%Y %I:%M %p").hour == 17


@pytest.mark.parametrize(
    "text", ["soon", "2019-13-01", "07/01/2011", "2019-02-30 10:00:00", "2019-04-25 25:00:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        instant(text, SHANGHAI)
