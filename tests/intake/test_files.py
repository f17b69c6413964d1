"""Files over HTTP and by command: each row judged; mended and sent again, nothing is repeated."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lianxin_contracts import ids, topics
from tests.intake.running import Running
from tests.intake.small_city import NO_SCOPE, REPLAY, SUBMIT
from tests.intake.topics import read_all
from tests.support.brokers import Broker
from tests.support.stacks import LIANXIN
from tests.support.workbooks import packed, parts, workbook

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NDJSON = "application/x-ndjson"


def upload(
    api: Running, content: bytes, type_: str = CSV, key: str = SUBMIT, accept: str = NDJSON, **params: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": type_, "Accept": accept}
    return api.http.post("/v1/files", content=content, headers=headers, params=params)


def report(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    *rows, last = map(json.loads, answer.text.splitlines())
    assert last["summary"]["rows"] == len(rows)
    return rows


def in_log(broker: Broker, *opinions: str) -> list[str]:
    wanted = set(opinions)
    return [event.subject for event in read_all(broker.bootstrap, topics.INBOUND) if event.subject in wanted]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_mended_file_sent_again_repeats_nothing(api: Running, city_broker: Broker, encoding: str) -> None:
    name = str(uuid4())
    text = f"编号,内容,类别代码\n{name},路灯坏了,0101\n,井盖松了{name},0101\n,路面有坑{name},9999\n,,\n"
    first = report(upload(api, text.encode(encoding)))
    assert [(row["row"], row["status"]) for row in first] == [
        (2, "accepted"),
        (3, "accepted"),
        (4, "refused"),
    ]
    assert (first[2]["code"], first[2]["errors"][0]["column"]) == ("unknown_topic", "类别代码")
    assert first[0]["id"] == ids.opinion_id("app", name)
    again = report(upload(api, text.replace("9999", "0101").encode(encoding)))
    assert [row["status"] for row in again] == ["duplicate", "duplicate", "accepted"]
    assert [row["id"] for row in again[:2]] == [row["id"] for row in first[:2]]
    assert set(in_log(city_broker, *(row["id"] for row in again))) == {row["id"] for row in again}


def test_a_row_is_the_same_opinion_in_every_kind_of_file(api: Running) -> None:
    text, phone = f"路灯坏了 {uuid4()}", "13812345678"
    (csv,) = report(upload(api, f"序号,内容,电话\n1,{text},{phone}\n".encode()))
    (xlsx,) = report(upload(api, workbook(["电话", "内容"], [float(phone), text]), XLSX))
    said = json.dumps({"contact": {"phone": phone}, "text": text})
    (ndjson,) = report(upload(api, f"{said}\n".encode(), NDJSON))
    assert csv["id"] == xlsx["id"] == ndjson["id"]
    assert [row["status"] for row in (csv, xlsx, ndjson)] == ["accepted", "duplicate", "duplicate"]
    (other,) = report(upload(api, f"内容,电话\n{text},110\n".encode()))
    assert other["id"] != csv["id"], "another resident says the same"


def test_the_same_row_twice_in_one_file_counts_once(api: Running) -> None:
    row = f"路灯坏了 {uuid4()}\n"
    found = report(upload(api, f"内容\n{row}{row}".encode()))
    assert [one["status"] for one in found] == ["accepted", "duplicate"]


def test_a_changed_row_under_its_old_number_is_refused(api: Running) -> None:
    name = str(uuid4())
    report(upload(api, f"编号,内容\n{name},路灯坏了\n".encode()))
    (row,) = report(upload(api, f"编号,内容\n{name},路灯修好了\n".encode()))
    assert (row["status"], row["code"]) == ("refused", "idempotency_conflict")


def test_the_report_comes_as_csv_where_it_is_asked_for(api: Running) -> None:
    answer = upload(api, f"内容\n路灯 {uuid4()}\n".encode(), accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("row,status,id")
    assert lines[1].startswith("2,accepted,")


def test_an_earlier_time_needs_a_key_that_may_date_back(api: Running, city_broker: Broker) -> None:
    content = f"内容,提出时间\n路灯 {uuid4()},2020/1/2 8:00\n".encode()
    (row,) = report(upload(api, content))
    assert (row["status"], row["code"]) == ("refused", "backdate_scope_missing")
    (row,) = report(upload(api, content, key=REPLAY))
    (event,) = [e for e in read_all(city_broker.bootstrap, topics.INBOUND) if e.subject == row["id"]]
    assert event.time.isoformat() == "2020-01-02T00:00:00+00:00"


@pytest.mark.parametrize(
    ("content", "type_", "key", "status", "code"),
    [
        (b"text\nx\n", CSV, NO_SCOPE, 403, "scope_missing"),
        (b"text\nx\n", "application/pdf", SUBMIT, 415, "unsupported_media_type"),
        (b"text\nx\n", "text/csv; charset=big5", SUBMIT, 415, "unsupported_media_type"),
        (b"a,b\n1,2\n", CSV, SUBMIT, 422, "no_text_column"),
        (b"no workbook", XLSX, SUBMIT, 422, "unreadable_workbook"),
        (packed(parts([["a"]]) | {"b.xml": bytes(2**28)}), XLSX, SUBMIT, 413, "workbook_too_large"),
        (bytes(17 * 1024 * 1024), XLSX, SUBMIT, 413, "too_large"),
    ],
    ids=["scope", "type", "charset", "columns", "no workbook", "bomb", "size"],
)
def test_a_file_that_can_not_be_read_is_refused_whole(
    api: Running, content: bytes, type_: str, key: str, status: int, code: str
) -> None:
    answer = upload(api, content, type_, key)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_ten_thousand_rows_are_all_reported_in_order(api: Running) -> None:
    prefix = str(uuid4())
    content = "编号,内容\n" + "".join(f"{prefix}-{n},第{n}条\n" for n in range(10_000))
    rows = report(upload(api, content.encode()))
    assert [row["row"] for row in rows] == list(range(2, 10_002))
    assert {row["status"] for row in rows} == {"accepted"}


def run(api: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(LIANXIN), "submit", *arguments, "--intake", api.url]
    env = {**os.environ, "LIANXIN_KEY": SUBMIT}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_tells_what_was_refused_and_keeps_the_report(api: Running, tmp_path: Path) -> None:
    file, kept = tmp_path / "意见.csv", tmp_path / "report.csv"
    file.write_text(f"诉求,类别代码,备注\n路灯 {uuid4()},0101,x\n井盖 {uuid4()},9999,y\n")
    told = run(api, str(file), "--map", "text=诉求")
    assert told.returncode == 1
    assert "row 3 (类别代码): unknown_topic" in told.stdout
    assert "not read: 备注" in told.stdout
    assert "2 rows: 1 accepted, 0 duplicate, 1 refused" in told.stdout
    file.write_text(file.read_text().replace("9999", "0101"))
    assert run(api, str(file), "--map", "text=诉求", "--report", str(kept)).returncode == 0
    assert [line.split(",")[1] for line in kept.read_text("utf-8-sig").splitlines()] == [
        "status", "duplicate", "accepted"
    ]  # fmt: skip


def test_the_command_says_in_one_line_why_a_file_is_refused(api: Running, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n")
    told = run(api, str(file))
    assert told.returncode == 1
    assert told.stderr.startswith("lianxin: ")
    assert "no_text_column" in told.stderr
