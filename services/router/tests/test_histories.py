"""What holds of every history: random commands, by anybody, in any order, at any time, on any policy."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from services.router.tests.cases import (
    GRID,
    MONDAY,
    NOISE,
    OTHER_GRID,
    POTHOLES,
    TYPE_OF,
    Talk,
    a_city,
    a_context,
    default_source,
)

from lianxin_contracts import ids, inbound, lifecycle
from lianxin_contracts.envelope import Event, from_record, to_record
from lianxin_contracts.inbound import Actor
from lianxin_contracts.registry import Limit, Policy
from lianxin_router.domain.case import Case
from lianxin_router.domain.clocks import next_due
from lianxin_router.domain.decide import decide
from lianxin_router.domain.evolve import evolve
from lianxin_router.domain.ports import UNREADABLE, Unreadable

DEPUTIES = ("ann", "bea", "cai", "dan", "eve")
FIRST = {"holder": "the assignee", "child": "the first child order"}

History = tuple[Policy, bool, list[tuple[Any, float, str | None]], tuple[str, ...]]

actors = st.one_of(
    st.sampled_from([Actor("deputy", name) for name in DEPUTIES]),
    st.sampled_from([Actor("staff", "tom"), Actor("staff", "sue"), Actor("resident", "resident")]),
)
# Most commands come from somebody who may give them, or every history would be a list of refusals.
holder = Actor("deputy", FIRST["holder"])
deputies = st.one_of(st.just(holder), st.just(holder), st.just(holder), actors)
staff = st.one_of(st.sampled_from([Actor("staff", "sue"), Actor("staff", "tom")]), actors)
residents = st.one_of(st.just(Actor("resident", "resident")), actors)
texts = st.sampled_from(["x", "", "很长的话"])
scores = st.sampled_from(["satisfied", "basically", "dissatisfied", "dissatisfied"])
moments = st.integers(-100, 3000).map(lambda h: MONDAY + timedelta(hours=h))

submissions = st.builds(
    inbound.Submitted,
    channel=st.just("qr"),
    text=st.just("路灯"),
    digest=st.sampled_from(["d1", "d1", "d2"]),
    grid=st.sampled_from([GRID, GRID, OTHER_GRID, None]),
    topic=st.sampled_from([NOISE, POTHOLES, None]),
    contact=st.sampled_from([None, "sealed"]),
    entry=st.sampled_from(["direct", "desk"]),
)
commands: Any = st.one_of(
    submissions,
    st.just(Unreadable("payload")),
    st.builds(
        inbound.Supported, st.sampled_from(["p1", "p2"]), st.just("qr"), st.sampled_from([None, "sealed"])
    ),
    st.builds(inbound.Withdrawn, residents),
    st.builds(inbound.Rated, residents, scores, st.sampled_from([None, "x"])),
    st.builds(inbound.ErasureRequested, residents),
    st.builds(inbound.Seen, deputies),
    st.builds(inbound.Visited, st.just(Actor("channel", "field")), text=st.none() | st.just("看过")),
    st.builds(inbound.Accept, deputies),
    st.builds(inbound.Accept, deputies),
    st.builds(inbound.Answer, deputies, texts, st.sampled_from([None, FIRST["child"]])),
    st.builds(inbound.Progress, deputies, texts),
    st.builds(inbound.HandOver, deputies, st.sampled_from(["water", "works", "nobody"])),
    st.builds(inbound.Transfer, deputies, st.sampled_from(DEPUTIES)),
    st.builds(inbound.Return, deputies, st.sampled_from(["other", "unknown"]), texts),
    st.builds(inbound.Pause, deputies, st.sampled_from(["season", "unknown"]), st.one_of(st.none(), moments)),
    st.builds(inbound.Resume, deputies),
    st.builds(inbound.Resolve, deputies, st.sampled_from(["solved", "invalid"]), texts, st.just(("photo",))),
    st.builds(inbound.Resolve, deputies, st.sampled_from(["solved", "explained"]), texts),
    st.builds(
        inbound.Assign,
        staff,
        st.sampled_from([None, *DEPUTIES]),
        st.sampled_from([None, GRID, OTHER_GRID]),
        st.sampled_from([None, NOISE]),
    ),
    st.builds(inbound.Supervise, staff, texts),
    st.builds(inbound.Publish, staff, texts),
    st.builds(inbound.Unpublish, staff),
    st.builds(inbound.RevealContact, deputies),
    st.builds(inbound.Due, st.just("resolve"), moments),
    st.builds(inbound.Review, st.just("v2")),
)
limits = st.builds(
    Limit,
    st.one_of(st.integers(0, 60), st.integers(20, 60)),
    st.sampled_from(["hours", "working_hours", "days", "working_days", "months"]),
)
LIMITS = (
    "acknowledge", "first_response", "resolve", "triage", "take_back", "rating", "pause", "remind_before",
)  # fmt: skip
CAPS = ("max_returns", "max_reopens", "max_take_backs", "max_transfers")
policies = st.builds(
    Policy,
    id=st.just("any"),
    **dict.fromkeys(LIMITS, limits),
    **dict.fromkeys(CAPS, st.integers(0, 3)),
)


def sensible(case: Case | None, choice: int) -> Any:
    """Something that somebody may well say at this stage, so that histories get anywhere."""
    me = Actor("deputy", (case and case.assignee) or "ann")
    stage = case.stage if case else "submitted"
    tom = Actor("staff", "tom")
    at_work = [
        inbound.Progress(me, "x"),
        inbound.Answer(me, "x"),
        inbound.Pause(me, "season"),
        inbound.Resume(me),
        inbound.HandOver(me, "water"),
        inbound.Answer(me, "x", FIRST["child"]),
        inbound.Resolve(me, "solved", "x", ("photo",)),
        inbound.Resolve(me, "explained", "x", ("photo",)),
        inbound.Transfer(me, "bea"),
        inbound.Return(me, "other"),
        inbound.Publish(tom, "redacted"),
        inbound.Publish(tom, "redacted"),
        inbound.Unpublish(tom),
    ]
    taken = inbound.Accept(me)
    likely: dict[str, list[Any]] = {
        "triage": [inbound.Assign(tom, to="cai"), inbound.Assign(tom, grid=GRID, topic=NOISE)],
        "assigned": [taken, taken, taken, inbound.Seen(me), inbound.Return(me, "other")],
        "accepted": at_work,
        "in_progress": at_work,
        "resolved": [inbound.Rated(Actor("resident", "resident"), score) for score in
                     ("dissatisfied", "dissatisfied", "dissatisfied", "basically")],
        "closed": [*[inbound.Due("resolve", MONDAY)] * 7, inbound.Publish(tom, "x"), inbound.Unpublish(tom),
                   inbound.ErasureRequested(Actor("staff", "ada"))],
    }  # fmt: skip
    return likely.get(stage, [inbound.Due("resolve", MONDAY)])[choice % len(likely.get(stage, [0]))]


choices = st.integers(0, 59)
steps = st.tuples(
    st.one_of(choices, choices, choices, choices, choices, choices, commands),
    st.one_of(st.floats(0, 2), st.floats(0, 2), st.floats(-30, 200)),
    st.sampled_from([None] * 19 + ["/metrics"]),
)
wild = st.tuples(
    policies,
    st.sampled_from([True] * 9 + [False]),
    st.sampled_from([0, 3, 8, 15]).flatmap(lambda n: st.lists(steps, min_size=n, max_size=n)),
    st.sampled_from([(), ("ann",), ("ann", "bea")]),
)


def long_and_sensible(seed: int) -> "History":
    """A history of forty likely steps, seldom late: it comes further than what is drawn step by step."""
    chance = Random(seed)
    units = ("hours", "working_hours", "days", "working_days")
    limits = {name: Limit(chance.randrange(1, 60), chance.choice(units)) for name in LIMITS}  # type: ignore[arg-type]
    policy = Policy("any", **limits, **{name: chance.randrange(4) for name in CAPS})  # type: ignore[arg-type]
    said = [(chance.randrange(60), chance.choice((0.5, 1.0, 1.0, 3.0, 40.0)), None) for _ in range(40)]
    return policy, True, said, ()


histories = st.one_of(st.integers(0, 2**32).map(long_and_sensible), wild)


def told(history: History) -> tuple[Talk, list[tuple[Case | None, Any]]]:
    """Tell a history: the case with its whole log, and every decision with the case before it."""
    policy, opened, said, without = history
    talk = Talk(a_context(a_city(policy)))
    decisions: list[tuple[Case | None, Any]] = []
    if opened:
        talk.submits()
    at = 0.0
    for what, hours, source in said:
        at += hours
        data = sensible(talk.known, what) if isinstance(what, int) else what
        if isinstance(data, inbound.Review):
            talk.context = a_context(a_city(policy, version="v2", without_mandate=without))
        type_ = UNREADABLE if isinstance(data, Unreadable) else TYPE_OF[type(data)]
        before = talk.known
        own = "/router" if type_ == UNREADABLE else default_source(type_)
        talk.says(made_out(data, talk.known), at, type=type_, source=source or own)
        decisions.append((before, talk.last))
    return talk, decisions


def made_out(data: Any, case: Case | None) -> Any:
    """The command with its stand-ins replaced by what they stand for now."""
    if getattr(data, "actor", None) == holder:
        data = msgspec.structs.replace(data, actor=Actor("deputy", (case and case.assignee) or "ann"))
    if getattr(data, "child", None) == FIRST["child"]:
        child = case.children[0].id if case and case.children else "none"
        data = msgspec.structs.replace(data, child=child)
    return data


def every_history(test: Callable[[History], None]) -> Callable[[], None]:
    """Try a test on histories; a slow machine is no reason to fail."""
    calm = settings(max_examples=60)
    return calm(given(histories)(test))


@every_history
def test_no_history_leaves_a_case_without_an_owner(history: History) -> None:
    _, decisions = told(history)
    for _, decision in decisions:
        case = decision.case
        if case.opened is None:
            assert case.assignee is None
        elif case.stage == "triage":
            assert case.assignee is None
            assert case.triage_due is not None
        else:
            assert case.stage in ("assigned", "accepted", "in_progress", "resolved", "closed")
            assert case.stage == "closed" or case.assignee in DEPUTIES


@every_history
def test_no_history_ends_with_a_case_that_nothing_will_ever_move(history: History) -> None:
    talk, _ = told(history)
    case = talk.known
    if case is not None and case.opened is not None and case.stage in ("assigned", "resolved"):
        assert next_due(case) is not None


@every_history
def test_the_log_folds_to_the_case_that_was_decided_on(history: History) -> None:
    talk, _ = told(history)
    folded: Case | None = None
    for event in talk.log:
        record = to_record(event, "opinions.lifecycle", event.subject)
        as_read = from_record(record.topic, record.value or b"", record.headers, lifecycle.MODELS)
        folded = evolve(folded, as_read)
    assert folded == talk.known


@every_history
def test_a_case_comes_back_from_the_database_as_it_was_saved(history: History) -> None:
    talk, _ = told(history)
    if talk.known is not None:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(talk.known), type=Case) == talk.known


@every_history
def test_sequences_have_no_gap_and_times_never_decrease(history: History) -> None:
    talk, _ = told(history)
    assert [event.sequence for event in talk.log] == list(range(1, len(talk.log) + 1))
    # What was said of the id before anybody submitted it stands at its own time.
    begun = next((n for n, e in enumerate(talk.log) if e.type == "opinion.submitted"), len(talk.log))
    times = [event.time for event in talk.log[begun:]]
    assert times == sorted(times)
    assert len({event.id for event in talk.log}) == len(talk.log)


@every_history
def test_every_command_leaves_a_trace_that_names_it(history: History) -> None:
    _, decisions = told(history)
    for _, decision in decisions:
        assert decision.events
        assert len({event.causationid for event in decision.events}) == 1


@every_history
def test_a_case_never_has_two_assignees(history: History) -> None:
    talk, _ = told(history)
    holding: str | None = None
    for event in talk.log:
        data = event.data
        if isinstance(data, lifecycle.Assigned):
            assert holding is None, "who held it before must have given it up"
            holding = data.assignee
            assert data.explanation.registry_version
            assert data.assignee in data.receivers
        elif isinstance(data, lifecycle.TakenBack | lifecycle.Returned | lifecycle.Transferred):
            assert holding is not None
            holding = None
        elif isinstance(data, lifecycle.Reopened) and data.assignee is None:
            holding = None


@every_history
def test_each_clock_breaches_once_a_running(history: History) -> None:
    talk, _ = told(history)
    runs = Counter(e.type for e in talk.log)
    breached = Counter(e.data.clock for e in talk.log if isinstance(e.data, lifecycle.Breached))
    assert breached["acknowledge"] <= 1
    assert breached["first_response"] <= 1
    assert breached["resolve"] <= 1 + runs["opinion.reopened"]
    assert breached["triage"] <= runs["opinion.triaged"]
    assert set(breached) <= {"triage", "acknowledge", "first_response", "resolve"}


@every_history
def test_a_breach_is_never_told_before_it_was_due(history: History) -> None:
    talk, _ = told(history)
    for event in talk.log:
        if isinstance(event.data, lifecycle.Breached):
            assert event.time >= event.data.due


@every_history
def test_a_refusal_changes_nothing_but_number_and_time(history: History) -> None:
    _, decisions = told(history)
    for before, decision in decisions:
        if decision.refusal is None:
            continue
        assert decision.words == decision.contacts == decision.deletions == ()
        if len(decision.events) == 1 and before is not None:
            unnumbered = msgspec.structs.replace(
                decision.case, sequence=before.sequence, updated=before.updated
            )
            assert unnumbered == before


@every_history
def test_deciding_again_decides_the_same(history: History) -> None:
    talk, _ = told(history)
    again, _ = told(history)
    assert again.log == talk.log


@every_history
def test_a_knock_after_any_history_is_harmless_when_repeated(history: History) -> None:
    talk, _ = told(history)
    knock = inbound.Due("resolve", MONDAY)
    later = 24.0 * 400
    talk.says(knock, later)
    settled = talk.case
    for _ in range(2):
        before = talk.case
        talk.says(knock, later)
        assert len(talk.last.events) == 1  # type: ignore[union-attr]
        case = msgspec.structs.replace(talk.case, sequence=before.sequence, updated=before.updated)
        assert case == before
    assert talk.case.stage == settled.stage
    due = next_due(talk.case)
    assert due is None or due[1] > MONDAY + timedelta(hours=later)


@every_history
def test_nothing_of_an_erased_opinion_is_left_to_find(history: History) -> None:
    _, decisions = told(history)
    kept: set[tuple[str, str]] = set()
    for _, decision in decisions:
        kept |= {("opinions.words", f"{w.opinion}/{w.part}") for w in decision.words}
        kept |= {("contacts", f"{c.opinion}/{c.part}") for c in decision.contacts}
        kept -= {(d.topic, d.key) for d in decision.deletions}
        if decision.case.erased:
            assert kept == set()


@every_history
def test_what_is_released_is_the_last_thing_that_the_office_released_and_its_only_one(
    history: History,
) -> None:
    _, decisions = told(history)
    kept: set[str] = set()
    for _, decision in decisions:
        case = decision.case
        kept |= {w.part for w in decision.words if w.kind == "published"}
        kept -= {d.key.partition("/")[2] for d in decision.deletions}
        assert kept == ({case.published} if case.published else set())
        assert case.published is None or case.published in case.word_parts
        if case.erased or case.withdrawn:
            assert case.published is None


@every_history
def test_what_a_deputy_holds_is_held_by_them_for_every_second(history: History) -> None:
    talk, _ = told(history)
    if talk.known is None or talk.known.opened is None:
        return
    since = [holding.since for holding in talk.known.holdings]
    assert since == sorted(since)
    assert since[0] >= talk.known.opened
    last = talk.known.holdings[-1]
    if talk.known.is_open:
        assert last.holder == talk.known.assignee


def test_a_command_decided_on_two_routers_gives_the_same_events() -> None:
    talk = Talk()
    talk.submits()
    command = Event(
        id=ids.fresh(), source="/notifier/ann", type="case.accept", subject="op-1", time=MONDAY,
        recordedtime=MONDAY, data=inbound.Accept(Actor("deputy", "ann")),
    )  # fmt: skip
    assert decide(talk.case, command, a_context()) == decide(talk.case, command, a_context())
