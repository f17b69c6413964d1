"""Dead letters: kept whole, parked in order, retried in order; other keys go on; too many stop the
consumer."""

from lianxin_chassis.consumer import DeadLetterLimits
from lianxin_chassis.records import Record
from lianxin_contracts.envelope import OutRecord
from lianxin_contracts.topics import dead_letter
from tests.chassis.bench import said
from tests.chassis.inside import Inside
from tests.support.wait import eventually_async


async def test_a_bug_on_one_record_stops_no_other_key(inside: Inside) -> None:
    await inside.say(("bad", 1), ("bad", 2, "raise"), ("good", 1), ("good", 2))
    inside.start()
    await inside.until("good", 1, 2)
    await inside.until("bad", 1)
    await inside.until_parked("bad", 1)


async def test_later_records_of_a_parked_key_follow_it_in_order(inside: Inside) -> None:
    await inside.say(("bad", 1, "refuse"), ("bad", 2), ("good", 1))
    inside.start()
    await inside.until_parked("bad", 2)
    await inside.say(("bad", 3), ("good", 2))
    await inside.until("good", 1, 2)
    await inside.until_parked("bad", 3)
    assert await inside.parked("bad") == sorted(await inside.parked("bad"))
    assert inside.of("bad") == []


async def test_a_dead_letter_keeps_its_bytes_headers_and_origin(inside: Inside) -> None:
    spoilt = OutRecord(
        inside.topic, b"bad", b"\xff\x00 no JSON", (("ce_id", b"7"), ("x", b"\x00")), 1_700_000_000_123
    )
    await inside.put(spoilt)
    inside.start()
    await inside.until_parked("bad", 1)
    letters = await eventually_async(lambda: inside.records_of(dead_letter(inside.topic)), 60)
    letter = letters[0]
    headers = dict(letter.headers)
    assert (letter.key, letter.value, letter.timestamp_ms) == (b"bad", spoilt.value, spoilt.timestamp_ms)
    assert letter.headers[:2] == spoilt.headers
    assert headers["lianxin_dlq_topic"] == inside.topic.encode()
    assert headers["lianxin_dlq_offset"] == b"0"
    assert headers["lianxin_dlq_error"] == b"undecodable"
    assert headers["lianxin_dlq_group"] == inside.group.encode()
    aside = (await inside.parking.show(inside.topic, "bad"))[0]
    assert (aside.record.value, aside.record.headers) == (spoilt.value, spoilt.headers)


async def test_the_service_is_told_of_every_dead_letter_with_its_reason(inside: Inside) -> None:
    told: list[tuple[bytes | None, str]] = []

    async def on_dead_letter(record: Record, reason: str) -> None:
        told.append((record.value, reason))

    records = [said(inside.topic, "bad", 1, "refuse"), said(inside.topic, "bad", 2)]
    await inside.put(*records)
    inside.start(on_dead_letter=on_dead_letter)
    await inside.until_parked("bad", 2)
    await eventually_async(lambda: len(told) == 2)
    assert told == [(records[0].value, "refused"), (records[1].value, "parked")]


async def test_a_retry_puts_everything_back_in_order_and_new_records_after_it(inside: Inside) -> None:
    await inside.say(("bad", 1, "garble"), ("bad", 2, "refuse"), ("bad", 3, "raise"), ("bad", 4))
    inside.start()
    await inside.until_parked("bad", 4)
    inside.mended = True
    assert await inside.parking.request_retry(inside.topic, "bad") == 1
    await inside.until("bad", 1, 2, 3, 4)
    await inside.until_parked("bad", 0)
    await inside.say(("bad", 5))
    await inside.until("bad", 1, 2, 3, 4, 5)


async def test_a_record_that_fails_again_stays_first_and_parked(inside: Inside) -> None:
    await inside.say(("bad", 1, "refuse"), ("bad", 2))
    inside.start()
    await inside.until_parked("bad", 2)
    await inside.parking.request_retry(inside.topic, "bad")

    async def tried() -> bool:
        return (await inside.parking.list_parked())[0].attempts == 1

    await eventually_async(tried, 60)
    (key,) = await inside.parking.list_parked()
    assert (key.key, key.state, key.records, key.reason) == ("bad", "parked", 2, "refused")
    assert inside.of("bad") == []


async def test_skipping_gives_up_the_bad_record_and_handles_what_waited_behind_it(inside: Inside) -> None:
    await inside.say(("bad", 1, "refuse"), ("bad", 2), ("bad", 3))
    inside.start()
    await inside.until_parked("bad", 3)
    assert await inside.parking.request_skip(inside.topic, "bad") == 1
    await inside.until("bad", 2, 3)


async def test_skipping_everything_empties_the_key_and_what_comes_later_is_handled(inside: Inside) -> None:
    await inside.say(("bad", 1, "refuse"), ("bad", 2))
    inside.start()
    await inside.until_parked("bad", 2)
    await inside.parking.request_skip(inside.topic, "bad", everything=True)
    await inside.until_parked("bad", 0)
    await inside.say(("bad", 3))
    await inside.until("bad", 3)


async def test_a_parked_key_is_still_parked_after_a_restart(inside: Inside) -> None:
    await inside.say(("bad", 1, "refuse"))
    inside.start()
    await inside.until_parked("bad", 1)
    await inside.stop()
    await inside.say(("bad", 2), ("good", 1))
    inside.start()
    await inside.until("good", 1)
    await inside.until_parked("bad", 2)
    assert inside.of("bad") == []


async def test_so_many_failures_in_a_row_stop_the_consumer_and_leave_the_rest_unread(inside: Inside) -> None:
    await inside.say(*((f"bad{n}", 1, "raise") for n in range(30)))
    consumer = inside.start(limits=DeadLetterLimits(in_a_row=10), max_batch=5)
    await eventually_async(lambda: consumer.problem, 60)
    assert "in a row" in str(consumer.check())
    assert 0 < len(await inside.parking.list_parked()) < 10
    await inside.stop()
    inside.mended = True
    inside.start()
    await eventually_async(lambda: len(inside.handled) >= 20, 60)


async def test_a_share_of_failures_above_the_limit_stops_the_consumer(inside: Inside) -> None:
    mixed = [(f"k{n}", 1, "raise" if n % 4 == 0 else "") for n in range(80)]
    await inside.say(*mixed)
    consumer = inside.start(limits=DeadLetterLimits(in_a_row=50, share=0.01, at_least=10), max_batch=4)
    await eventually_async(lambda: consumer.problem, 60)
    assert "of" in str(consumer.problem)
    assert len(await inside.parking.list_parked()) < 10
