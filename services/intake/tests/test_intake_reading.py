"""Cutting uploads into lines, keys and limits."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_chassis.problems import ProblemError
from lianxin_intake.batch import SPOOL_BYTES, Spool
from lianxin_intake.rates import Buckets
from lianxin_intake.reading import JSON, Line, LineSplitter, idempotency_key, require_type


def split(chunks: list[bytes], limit: int = 1000) -> list[Line]:
    splitter = LineSplitter(limit)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.end()]


@given(st.lists(st.text("ab{}", max_size=5)), st.lists(st.integers(1, 7), min_size=1))
def test_lines_are_the_same_however_they_arrive(lines: list[str], sizes: list[int]) -> None:
    whole = "".join(line + "\n" for line in lines).encode()
    chunks, at = [], 0
    while at < len(whole):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(whole[at : at + size])
        at += size
    expected = [Line(number, line.encode()) for number, line in enumerate(lines, 1)]
    assert split(chunks) == expected


def test_the_last_line_needs_no_line_break_and_a_line_break_begins_no_line() -> None:
    assert split([b"a\nb"]) == split([b"a\nb\n"]) == [Line(1, b"a"), Line(2, b"b")]


def test_windows_line_ends_are_understood() -> None:
    assert split([b"a\r\nb\r\n"]) == [Line(1, b"a"), Line(2, b"b")]


def test_a_line_over_the_limit_is_skipped_and_the_next_one_is_read() -> None:
    assert split([b"x" * 8, b"x" * 8, b"\nok\n"], limit=10) == [Line(1, None), Line(2, b"ok")]


def test_a_line_without_an_end_is_not_kept() -> None:
    splitter = LineSplitter(10)
    for _ in range(100):
        assert list(splitter.feed(b"x" * 1000)) == []
    assert len(splitter._begun) == 0


@pytest.mark.parametrize("key", ["", "k" * 256, "键", "a\x00"])
def test_a_key_that_cannot_be_a_key_is_refused(key: str) -> None:
    with pytest.raises(ProblemError) as caught:
        idempotency_key({"idempotency-key": key})
    assert caught.value.status == 400


def test_a_quoted_key_is_the_same_key() -> None:
    assert (
        idempotency_key({"idempotency-key": '"abc"'}) == idempotency_key({"idempotency-key": "abc"}) == "abc"
    )
    assert idempotency_key({}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=gbk"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_what_is_not_plain_utf8_json_is_415(headers: dict[str, str]) -> None:
    with pytest.raises(ProblemError) as caught:
        require_type(headers, JSON)
    assert caught.value.status == 415


def test_parameters_of_a_media_type_do_not_matter() -> None:
    require_type({"content-type": "Application/JSON; charset=UTF-8"}, JSON)


async def test_a_spool_gives_back_what_was_written_in_order_also_from_disk() -> None:
    with Spool(most=1 << 30) as spool:
        pieces = [bytes([number]) * 70_000 for number in range(40)]
        assert sum(map(len, pieces)) > SPOOL_BYTES
        for piece in pieces:
            spool.write(piece)
        spool.end()
        assert b"".join([chunk async for chunk in spool.chunks()]) == b"".join(pieces)


async def test_a_spool_that_is_full_has_room_again_when_all_was_read() -> None:
    with Spool(most=100) as spool:
        spool.write(b"x" * 100)
        assert not await spool.room(patience_s=0.01)
        reading = spool.chunks()
        waiting = asyncio.create_task(spool.room(patience_s=30))
        assert await anext(reading) == b"x" * 100
        assert await waiting


def test_a_bucket_fills_at_its_rate_up_to_its_burst() -> None:
    now = 0.0
    buckets = Buckets(rate=2.0, burst=3.0, clock=lambda: now)
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0
    now = 0.5
    assert buckets.empty_for("a") == 0.0
    assert buckets.take("a") == 0.0
    now = 100.0
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
