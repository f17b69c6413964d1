"""Files, row by row: how they are cut, what their columns mean, what is told of each row."""

import asyncio
import json
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import pytest
from tests.support.workbooks import packed, parts, workbook

from lianxin_chassis.problems import ProblemError
from lianxin_intake.files import sheet
from lianxin_intake.files.columns import Unusable, asked_for, columns_of
from lianxin_intake.files.delimited import DelimitedTable, Records
from lianxin_intake.files.report import Report
from lianxin_intake.files.rows import Row
from lianxin_intake.files.workbook import Desks, WorkbookTable

SHANGHAI = ZoneInfo("Asia/Shanghai")


async def in_pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(content: bytes, size: int = 7, charset: str | None = None) -> list[Row]:
    table = DelimitedTable(in_pieces(content, size), charset)
    heading = await table.heading()
    return [heading, *[row for rows in [r async for r in table.rows()] for row in rows if not row.is_empty]]


@pytest.mark.parametrize("size", [1, 3, 64, 100_000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
async def test_a_csv_file_is_read_whatever_its_encoding_and_its_pieces(encoding: str, size: int) -> None:
    text = '编号,内容\r\n1,"路灯坏了，\n""三天"""\r\n\r\n2,井盖松了\r\n'
    rows = await read(text.encode(encoding), size)
    assert [(row.number, row.cells) for row in rows] == [
        (1, ("编号", "内容")),
        (2, ("1", '路灯坏了，\n"三天"')),
        (4, ("2", "井盖松了")),
    ]


async def test_semicolons_and_tabs_separate_cells_too() -> None:
    assert (await read(b"a;b\n1;2"))[1].cells == ("1", "2")
    assert (await read(b"a\tb\n1\t2"))[1].cells == ("1", "2")


async def test_an_encoding_may_be_told_where_the_bytes_allow_both() -> None:
    content = "内容\n".encode("gb18030") + "联通".encode("gb18030")
    assert (await read(content, 100, "gb18030"))[1].cells == ("联通",)


async def test_a_row_in_another_encoding_is_refused_alone() -> None:
    content = "内容\n".encode("utf-8-sig") + "路灯坏了\n".encode("gb18030") + "井盖\n".encode()
    found = [row.fault.code if row.fault else row.cells for row in await read(content)]
    assert found == [("内容",), "bad_encoding", ("井盖",)]


async def test_characters_cut_by_the_end_of_the_first_look_are_no_other_encoding() -> None:
    content = b"text\n" + b"x" * (64 * 1024 - 6) + "路\n".encode()
    rows = await read(content, 64 * 1024)
    assert rows[1].cells[0].endswith("路")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "no_heading"),
        (b"\n , \n", 422, "no_heading"),
        ("内容\n".encode("utf-16"), 415, "unsupported_media_type"),
        (b'a,"b\n', 422, "no_heading"),
    ],
)
async def test_a_file_without_a_heading_is_refused_whole(content: bytes, status: int, code: str) -> None:
    with pytest.raises(ProblemError) as refused:
        await read(content)
    assert (refused.value.status, refused.value.code) == (status, code)


async def test_broken_quotation_marks_are_told_at_their_row() -> None:
    rows = await read(b'a,b\n1,"x"y\n2,z\n')
    assert rows[1].fault is not None
    assert rows[1].fault.code == "bad_quoting"
    assert rows[2].cells == ("2", "z")


def test_no_record_grows_beyond_its_limit() -> None:
    records = Records(10)
    found = [*records.feed(b'1,"open\n'), *records.feed(b"x" * 50), *records.feed(b"\n2,b\n"), *records.end()]
    assert found == [(1, None), (2, b"2,b")]


def test_columns_are_found_by_their_usual_names() -> None:
    columns = columns_of(["序号", "内容", "电话", "纬度", "经度", "提出时间"], {})
    body = columns.opinion(["1", " 路灯坏了 ", "110", "31.5", "120.3", "2026/1/2 3:04"], SHANGHAI)
    assert body == {
        "text": "路灯坏了",
        "contact": {"phone": "110"},
        "location": {"lat": 31.5, "lon": 120.3, "crs": "wgs84"},
        "occurred_at": "2026-01-02T03:04:00+08:00",
    }
    assert columns.ignored() == ["序号"]


def test_columns_may_be_named_and_joined() -> None:
    columns = columns_of(["A", "B", "内容"], asked_for(["text=A,B", "title=内容"]))
    assert columns.opinion(["x", "y", "z"], SHANGHAI) == {"text": "x\ny", "title": "z"}
    assert columns.told() == {"text": "A + B", "title": "内容"}


def test_a_title_alone_is_the_text() -> None:
    assert columns_of(["标题"], {}).opinion(["路灯"], SHANGHAI)["text"] == "路灯"


@pytest.mark.parametrize(
    ("heading", "maps", "code"),
    [
        (["a"], [], "no_text_column"),
        (["内容", "内容"], [], "column_twice"),
        (["a"], ["text=b"], "no_column"),
        (["a"], ["wrong=a"], "bad_map"),
        (["a", "b"], ["topic=a,b"], "bad_map"),
        ([str(n) for n in range(501)], [], "too_many_columns"),
    ],
)
def test_columns_that_can_not_be_read_are_told(heading: list[str], maps: list[str], code: str) -> None:
    with pytest.raises(ProblemError) as refused:
        columns_of(heading, asked_for(maps))
    assert (refused.value.status, refused.value.code) == (422, code)


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        (["x", "1", "", ""], ["half_place"]),
        (["x", "north", "2", "soon"], ["bad_number", "bad_time"]),
        (["x", "", "", "2026-02-30"], ["bad_time"]),
        (["x", "", ""], ["wrong_cells"]),
        (["x", "", "", "", "more"], ["wrong_cells"]),
    ],
)
def test_all_that_is_wrong_with_a_row_is_told_at_once(cells: list[str], codes: list[str]) -> None:
    columns = columns_of(["text", "lat", "lon", "occurred_at"], {})
    with pytest.raises(Unusable) as wrong:
        columns.opinion(cells, SHANGHAI)
    assert [fault.code for fault in wrong.value.faults] == codes


async def table_of(content: bytes, name: str | None = None) -> list[Row]:
    async with WorkbookTable(content, name) as table:
        heading = await table.heading()
        return [heading, *[row for rows in [r async for r in table.rows()] for row in rows]]


async def test_a_workbook_is_read_by_value() -> None:
    content = workbook(
        ["内容", "电话", "纬度"],
        [],
        ["路灯", 13812345678.0, ("A1*2", 31.5)],
        [("A1&B1", "井盖"), None, 120.0],
    )
    rows = await table_of(content)
    assert [(row.number, row.cells) for row in rows] == [
        (1, ("内容", "电话", "纬度")),
        (3, ("路灯", "13812345678", "31.5")),
        (4, ("井盖", "", "120")),
    ]
    assert await table_of(content, "意见") == rows


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"PK\x03\x04 no archive", None, 422, "unreadable_workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), None, 422, "unreadable_workbook"),
        (workbook(["a"])[:-30], None, 422, "unreadable_workbook"),
        (packed(parts([["a"]], before=ENTITIES)), None, 422, "unreadable_workbook"),
        (packed({"x.txt": b"x"}), None, 422, "unreadable_workbook"),
        (packed(parts([["a"]]) | {"xl/bomb.xml": bytes(200 * 1024 * 1024)}), None, 413, "workbook_too_large"),
        (packed(parts([["a"]]) | {f"{n}.xml": b"" for n in range(1001)}), None, 413, "workbook_too_large"),
        (workbook(["a"]), "other", 422, "no_sheet"),
        (workbook(), None, 422, "no_heading"),
    ],
    ids=["no archive", "old format", "cut", "entities", "no workbook", "bomb", "members", "sheet", "empty"],
)
async def test_a_workbook_that_can_not_be_read_is_refused_whole(
    content: bytes, name: str | None, status: int, code: str
) -> None:
    with pytest.raises(ProblemError) as refused:
        await table_of(content, name)
    assert (refused.value.status, refused.value.code) == (status, code)


async def test_two_cells_far_apart_take_no_memory_of_ours() -> None:
    """A reader that lays out the whole area would need half a terabyte."""
    members = parts([["内容"]])
    name = "xl/worksheets/sheet1.xml"
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    members[name] = members[name].replace(b"</sheetData>", far)
    with pytest.raises(ProblemError) as refused:
        await table_of(packed(members))
    assert refused.value.code == "workbook_too_large"


async def test_more_workbooks_than_desks_are_asked_to_come_back() -> None:
    desks = Desks(at_once=1)
    async with desks.one():
        with pytest.raises(ProblemError) as refused:
            async with desks.one():
                pass
    assert refused.value.status == 503
    async with desks.one():
        await asyncio.sleep(0)


def test_a_row_beyond_the_most_ends_the_sheet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sheet, "MOST_ROWS", 2)
    with pytest.raises(sheet.Refused):
        sheet.write(workbook(*[["x"]] * 5), None)
    assert len(capsys.readouterr().out.splitlines()) == 3


TAKEN = {"status": 202, "id": "i", "tracking_code": "c"}
FAULTY = {
    "status": 422,
    "problem": {
        "code": "unknown_topic",
        "title": "t",
        "errors": [{"field": "topic", "code": "unknown_topic", "message": "No topic has the code '9'."}],
    },
}


def test_the_report_names_the_column_and_says_how_to_mend_it() -> None:
    columns = columns_of(["内容", "类别代码", "备注"], {})
    report = Report("ndjson", columns, "zh")
    lines = [
        report.row(2, TAKEN), report.row(3, TAKEN | {"repeated": True}), report.row(4, FAULTY), report.end()
    ]  # fmt: skip
    first, again, refused, last = map(json.loads, lines)
    assert (first["status"], again["status"]) == ("accepted", "duplicate")
    assert (refused["row"], refused["status"], refused["code"]) == (4, "refused", "unknown_topic")
    assert refused["errors"][0]["column"] == "类别代码"
    assert "类别代码" in refused["mend"]
    assert last["summary"] == {
        "rows": 3, "accepted": 1, "duplicate": 1, "refused": 1,
        "columns": {"text": "内容", "topic": "类别代码"}, "ignored": ["备注"],
    }  # fmt: skip
    assert json.loads(Report("ndjson", columns, "en").row(4, FAULTY))["mend"] == "No topic has the code '9'."


def test_a_report_in_csv_opens_in_a_spreadsheet_and_runs_nothing_there() -> None:
    columns = columns_of(["内容", "=1+1"], asked_for(["topic==1+1"]))
    report = Report("csv", columns, "en")
    text = (report.head() + report.row(2, TAKEN) + report.row(4, FAULTY) + report.end()).decode("utf-8-sig")
    assert text.splitlines() == [
        "row,status,id,tracking_code,code,column,mend",
        "2,accepted,i,c,,,",
        "4,refused,,,unknown_topic,'=1+1,No topic has the code '9'.",
    ]
