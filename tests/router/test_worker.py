"""The router's process on a real broker: what is poison, unknown or under a wrong key stops nobody else, and
whatever is lost of its database, the cases are again what the log says."""

from collections.abc import Callable
from uuid import uuid4

from lianxin_chassis.database import Database
from lianxin_chassis.parking import ParkingLot
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord
from tests.notifier.topics import read_all, write
from tests.router.running import READY_S, Running
from tests.router.said import deputy, event, now, record, submitted, unclear, unreadable
from tests.router.small_city import GRID, ROADS, TRIAGE_STAFF
from tests.support.wait import eventually

SOON_S = 60.0  # generous: the machine is shared


def say(router: Running, *records: OutRecord) -> None:
    write(router.bootstrap, records)


def holder(router: Running, opinion: str) -> str:
    """Who holds it, as soon as somebody does."""

    def assigned() -> str | None:
        found = [e.data.assignee for e in router.lifecycle(opinion) if e.type == "opinion.assigned"]  # type: ignore[attr-defined]
        return found[-1] if found else None

    return str(eventually(assigned, timeout=SOON_S, every=0.3))


def lived(router: Running, count: int) -> list[str]:
    """Opinions at every stage between submission and closure, everything about them decided."""
    opinions = [ids.derived("lived", str(uuid4())) for _ in range(count)]
    say(
        router,
        *(
            record(unclear(o) if n % 5 == 4 else submitted(o, f"路面第 {n} 处有坑 {o}"))
            for n, o in enumerate(opinions)
        ),
    )
    routed = [opinion for n, opinion in enumerate(opinions) if n % 5 != 4]
    holders = {opinion: holder(router, opinion) for opinion in routed}
    later: list[OutRecord] = []
    staff = inbound.Actor("staff", TRIAGE_STAFF)
    for n, (opinion, by) in enumerate(holders.items()):
        steps = [
            inbound.Accept(deputy(by)),
            inbound.Answer(deputy(by), "已收到"),
            inbound.Resolve(deputy(by), "solved", "已处理"),
            inbound.Rated(inbound.Actor("resident", "resident"), "satisfied"),
        ]
        later += [record(event(opinion, step)) for step in steps[: n % 5]]
    later += [
        record(
            event(
                opinion,
                inbound.Assign(staff, grid=GRID, topic=ROADS, to="cai"),
                source=f"/notifier/{TRIAGE_STAFF}",
            )
        )
        for opinion in opinions[4::10]
    ]
    say(router, *later)
    said = {dict(r.headers)["ce_id"].decode() for r in later}
    eventually(lambda: said <= {e.causationid for e in log(router)}, timeout=SOON_S, every=0.5)
    return opinions


def log(router: Running) -> list[Event]:
    return read_all(router.bootstrap, topics.LIFECYCLE)


def test_an_unreadable_submission_is_seen_in_triage_and_a_retry_of_the_mended_record_fills_the_case(
    router: Running,
) -> None:
    opinion, other = ids.fresh(), ids.fresh()
    bad = unreadable(opinion)
    say(router, bad, record(submitted(other)))
    eventually(lambda: "opinion.triaged" in router.types(opinion), timeout=SOON_S, every=0.3)
    assert "opinion.assigned" in router.types(other), "other cases go on"
    withdrawn = record(event(opinion, inbound.Withdrawn(inbound.Actor("resident", "resident"))))
    say(router, withdrawn)
    eventually(lambda: parked_records(router, opinion) == 2, timeout=SOON_S, every=0.3)
    assert router.parked() == [opinion]

    mend(router, opinion, record(submitted(opinion)).value)
    router.asked(lambda db: ParkingLot(db).request_retry(topics.INBOUND, opinion))
    eventually(lambda: router.parked() == [], timeout=SOON_S, every=0.3)
    types = router.types(opinion)
    assert types[:2] == ["opinion.submitted", "opinion.triaged"]
    assert types.index("opinion.assigned") < types.index("opinion.withdrawn"), "put back in order"
    numbers = [event.sequence for event in router.lifecycle(opinion)]
    assert numbers == list(range(1, len(numbers) + 1))


def parked_records(router: Running, opinion: str) -> int:
    return len(router.asked(lambda db: ParkingLot(db).show(topics.INBOUND, opinion)))


def mend(router: Running, opinion: str, value: bytes | None) -> None:
    """Stands for a decoder that can read it now."""

    async def replace(db: Database) -> None:
        records = db["parked_records"]
        first = await records.find_one({"key": opinion.encode()}, sort=[("offset", 1)])
        assert first is not None
        await records.update_one({"_id": first["_id"]}, {"$set": {"value": value}})

    router.asked(replace)


def test_a_retry_of_what_is_still_unreadable_stays_parked_and_can_be_skipped(router: Running) -> None:
    opinion = ids.fresh()
    say(router, unreadable(opinion))
    eventually(lambda: router.parked() == [opinion], timeout=SOON_S, every=0.3)
    router.asked(lambda db: ParkingLot(db).request_retry(topics.INBOUND, opinion))

    def tried() -> bool:
        (one,) = router.asked(lambda db: ParkingLot(db).list_parked())
        return (one.state, one.attempts) == ("parked", 1)

    eventually(tried, timeout=SOON_S, every=0.3)
    router.asked(lambda db: ParkingLot(db).request_skip(topics.INBOUND, opinion))
    eventually(lambda: router.parked() == [], timeout=SOON_S, every=0.3)
    assert router.types(opinion) == ["opinion.submitted", "opinion.triaged"], "a person still sees it"


def test_a_command_about_an_opinion_that_nobody_submitted_is_refused_with_a_trace_and_not_counted(
    router: Running,
) -> None:
    nobody = ids.fresh()
    assigned, waiting = router.counted("assigned"), router.counted("triage")
    assert assigned is not None
    said = event(nobody, inbound.Accept(deputy("ann")))
    say(router, record(said))
    eventually(lambda: router.lifecycle(nobody), timeout=SOON_S, every=0.3)
    (refused,) = router.lifecycle(nobody)
    assert (refused.type, refused.causationid) == ("command.refused", said.id)
    after = record(submitted(ids.fresh(), f"路灯坏了 {nobody}"))
    say(router, after)
    eventually(lambda: router.counted("assigned") == assigned + 1, timeout=SOON_S, every=0.3)
    assert router.counted("triage") == waiting


def test_a_record_under_another_opinions_key_is_put_aside_and_touches_neither(router: Running) -> None:
    mine, other = ids.fresh(), ids.fresh()
    say(router, record(submitted(other), key=mine))
    eventually(lambda: router.parked() == [mine], timeout=SOON_S, every=0.3)
    assert router.lifecycle(other) == []
    eventually(
        lambda: router.types(mine) == ["opinion.submitted", "opinion.triaged"], timeout=SOON_S, every=0.3
    )
    router.asked(lambda db: ParkingLot(db).request_skip(topics.INBOUND, mine))
    eventually(lambda: router.parked() == [], timeout=SOON_S, every=0.3)


def test_a_rebuild_gives_the_same_cases_as_the_live_ones_and_goes_on_with_them(router: Running) -> None:
    opinions = lived(router, 30)
    before, length = router.cases(opinions), len(log(router))
    was = router.generation()
    assert len(before) == 30
    said = router.rebuild()
    assert f"generation {was + 1} is live" in said
    assert router.generation() == was + 1
    assert router.cases(opinions) == before
    assert len(log(router)) == length, "a rebuild decides nothing"
    eventually(router.is_ready, timeout=READY_S, every=0.3)
    fresh = ids.fresh()
    say(router, record(submitted(fresh)))
    holder(router, fresh)


def test_cases_that_are_dropped_while_it_runs_are_folded_again_before_anything_is_decided(
    router: Running,
) -> None:
    opinions = lived(router, 20)
    before = router.cases(opinions)
    held = opinions[0]
    by = holder(router, held)
    router.drop_database()
    # Nobody may take this for a command about an unknown opinion.
    said = event(held, inbound.Accept(deputy(by)), now())
    say(router, record(said))
    eventually(
        lambda: [e for e in router.lifecycle(held) if e.causationid == said.id], timeout=READY_S, every=0.5
    )
    assert [e.type for e in router.lifecycle(held) if e.causationid == said.id] == ["opinion.accepted"]
    eventually(lambda: set(router.cases(opinions)) == set(opinions), timeout=READY_S, every=0.5)
    after = router.cases(opinions)
    assert {o: after[o] for o in opinions if o != held} == {o: before[o] for o in opinions if o != held}
    numbers = [e.sequence for e in router.lifecycle(held)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_router_that_takes_over_goes_on_where_the_log_is(
    router: Running, make_router: Callable[[], Running]
) -> None:
    opinions = lived(router, 10)
    before = router.cases(opinions)
    other = make_router()
    other.start()
    router.kill()
    try:
        fresh = [ids.fresh() for _ in range(12)]
        say(other, *(record(submitted(opinion)) for opinion in fresh))
        for opinion in fresh:
            holder(other, opinion)
        assert other.cases(opinions) == before
    finally:
        other.stop()
        router.start()
