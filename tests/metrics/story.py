"""Made-up lives of cases, as the router would tell them on `opinions.lifecycle`. No router is needed.

`CaseLog` writes one case's events in order; `life` makes up a whole one, the same for the same seed.
"""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import Struct

from lianxin_contracts import ids, lifecycle
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Actor

MONDAY = datetime(2024, 11, 4, 1, 0, tzinfo=UTC)  # 09:00 in Wuxi; long enough ago for a life to be over
DISTRICTS = ("320205", "320211", "320213")
TOPICS = {"urban.property": "urban", "urban.road": "urban", "school.place": "school", "health": "health"}
DEPUTIES = ("D1", "D2", "D3", "D4")
OUTCOMES = ("solved", "planned", "explained", "referred", "duplicate", "invalid")
EXPLANATION = lifecycle.Explanation(
    registry_version="v1",
    rules_version="r1",
    located=lifecycle.LocatedBy(grid="g", by="grid", confidence=1.0),
    classified=lifecycle.ClassifiedAs(topic="urban", by="choice", confidence=1.0),
)


class CaseLog:
    """One case's events so far. Every method adds one, at `at`, or `after` hours past the last one."""

    def __init__(self, case: str, start: datetime = MONDAY, *, district: str = "320213") -> None:
        self.case = case
        self.now = start
        self.events: list[Event] = []
        self.district = district
        self.topic = "urban.property"
        self.holder: str | None = None
        self.due: lifecycle.DueTimes | None = None
        self.resolved = 0
        self.returned = 0
        self.reopened = 0

    def add(self, type_: str, data: Struct, after: float = 0.0, at: datetime | None = None) -> "CaseLog":
        self.now = at or self.now + timedelta(hours=after)
        sequence = len(self.events) + 1
        event = Event(
            id=ids.derived(self.case, type_, str(sequence)),
            source="/router",
            type=type_,
            subject=self.case,
            time=self.now,
            recordedtime=self.now,
            data=data,
            causationid=ids.derived(self.case, "cause", str(sequence)),
            sequence=sequence,
        )
        self.events.append(event)
        return self

    def submit(self, *, readable: bool = True, after: float = 0.0) -> "CaseLog":
        data = lifecycle.Submitted(channel="demo", digest="0" * 64, readable=readable)
        return self.add("opinion.submitted", data, after)

    def triage(self, after: float = 0.0, district: str | None = None) -> "CaseLog":
        data = lifecycle.Triaged(
            reasons=(lifecycle.Reason("no_deputy"),),
            explanation=EXPLANATION,
            due=self.now + timedelta(days=1),
            district=district,
        )
        self.holder = None
        return self.add("opinion.triaged", data, after)

    def assign(self, deputy: str = "D1", after: float = 0.0, *, say_first_level: bool = True) -> "CaseLog":
        start = self.events[0].time
        self.due = self.due or lifecycle.DueTimes(
            acknowledge=start + timedelta(hours=24),
            first_response=start + timedelta(days=3),
            resolve=start + timedelta(days=7),
            policy="default",
            policy_version="v1",
        )
        data = lifecycle.Assigned(
            assignee=deputy,
            by="router",
            grid=f"{self.district}026001001",
            street=f"{self.district}026",
            district=self.district,
            topic=self.topic,
            attempt=1,
            due=self.due,
            explanation=EXPLANATION,
            first_level=TOPICS[self.topic] if say_first_level else None,
        )
        self.holder = deputy
        return self.add("opinion.assigned", data, after)

    def accept(self, after: float = 0.0) -> "CaseLog":
        return self.add("opinion.accepted", lifecycle.Accepted(self._actor()), after)

    def answer(self, after: float = 0.0, by: Literal["deputy", "staff", "system"] = "deputy") -> "CaseLog":
        return self.add("opinion.answered", lifecycle.Answered(Actor(by, "x"), words="w"), after)

    def progress(self, after: float = 0.0) -> "CaseLog":
        return self.add("opinion.progressed", lifecycle.Progressed(self._actor(), words="w"), after)

    def give_back(self, after: float = 0.0) -> "CaseLog":
        self.returned += 1
        data = lifecycle.Returned(self._actor(), reason="not_my_area", count=self.returned)
        return self.add("opinion.returned", data, after)

    def pause(self, after: float = 0.0) -> "CaseLog":
        data = lifecycle.Paused(
            self._actor(), reason="waiting_for_department", until=self.now + timedelta(days=20)
        )
        return self.add("opinion.paused", data, after)

    def resume(self, after: float = 0.0) -> "CaseLog":
        assert self.due is not None
        moved = timedelta(hours=after)
        self.due = lifecycle.DueTimes(
            acknowledge=self.due.acknowledge,
            first_response=self.due.first_response + moved,
            resolve=self.due.resolve + moved,
            policy="default",
            policy_version="v1",
        )
        data = lifecycle.Resumed(self._actor(), paused_seconds=int(moved.total_seconds()), due=self.due)
        return self.add("opinion.resumed", data, after)

    def resolve(self, outcome: str = "solved", after: float = 0.0) -> "CaseLog":
        self.resolved += 1
        data = lifecycle.Resolved(
            self._actor(),
            outcome,
            "w",
            self.resolved,
            self.now + timedelta(days=14),  # type: ignore[arg-type]
        )
        return self.add("opinion.resolved", data, after)

    def rate(self, score: str = "satisfied", after: float = 0.0) -> "CaseLog":
        return self.add("opinion.rated", lifecycle.Rated(score), after)  # type: ignore[arg-type]

    def reopen(self, after: float = 0.0) -> "CaseLog":
        self.reopened += 1
        return self.add("opinion.reopened", lifecycle.Reopened(self.reopened, self.holder), after)

    def close(
        self, how: Literal["rated", "unrated", "withdrawn", "erased"] = "unrated", after: float = 0.0
    ) -> "CaseLog":
        return self.add("opinion.closed", lifecycle.Closed(how), after)

    def breach(self, clock: Literal["acknowledge", "resolve"], after: float = 0.0) -> "CaseLog":
        return self.add("clock.breached", lifecycle.Breached(clock, self.now, self.holder), after)

    def refuse(self, after: float = 0.0) -> "CaseLog":
        return self.add("command.refused", lifecycle.CommandRefused("case.accept", "not_your_case"), after)

    def _actor(self) -> Actor:
        return Actor("deputy", self.holder or "D1")


def life(seed: int, start: datetime = MONDAY) -> CaseLog:
    """One case's made-up life; `start` is when its week begins."""
    chance = random.Random(seed)

    def hours(most: float) -> float:
        return chance.uniform(0, most)

    log = CaseLog(
        ids.derived("story", str(seed)),
        start + timedelta(microseconds=chance.randrange(7 * 86_400_000_000)),
        district=chance.choice(DISTRICTS),
    )
    log.topic = chance.choice(list(TOPICS))
    if chance.random() < 0.05:
        log.submit(readable=False)
    log.submit(after=0.0)
    if chance.random() < 0.2:
        log.triage(after=hours(0.1), district=chance.choice([None, log.district]))
        if chance.random() < 0.2:
            return log
    log.assign(chance.choice(DEPUTIES), after=hours(30))
    if chance.random() < 0.1:
        return log
    while chance.random() < 0.2:
        log.give_back(after=hours(20)).assign(chance.choice(DEPUTIES))
    if chance.random() < 0.15:
        log.breach("acknowledge", after=hours(2)).refuse(after=hours(1))
    log.accept(after=hours(40))
    if chance.random() < 0.1:
        log.answer(after=hours(4), by="system")
    if chance.random() < 0.5:
        log.answer(after=hours(60))
    if chance.random() < 0.3:
        log.pause(after=hours(10))
        if chance.random() < 0.2:
            return log
        log.resume(after=hours(200))
    if chance.random() < 0.1:
        return log.close("withdrawn", after=hours(50))
    return _ending(log, chance)


def _ending(log: CaseLog, chance: random.Random) -> CaseLog:
    log.progress(after=chance.uniform(0, 300)).resolve(chance.choice(OUTCOMES), after=chance.uniform(0, 2000))
    while chance.random() < 0.25:
        log.rate("dissatisfied", after=chance.uniform(0, 100)).reopen()
        if chance.random() < 0.3:
            log.district = chance.choice(DISTRICTS)
            log.give_back(after=1).assign(chance.choice(DEPUTIES)).accept(after=chance.uniform(0, 24))
        if chance.random() < 0.1:
            return log
        log.resolve(chance.choice(OUTCOMES), after=chance.uniform(0, 1500))
    ending = chance.random()
    if ending < 0.5:
        return log.rate(chance.choice(["satisfied", "basically"]), after=chance.uniform(0, 200)).close(
            "rated"
        )
    return log.close("unrated", after=14 * 24) if ending < 0.8 else log


def lives(seeds: Iterable[int]) -> list[CaseLog]:
    return [life(seed) for seed in seeds]


def mixed(logs: Sequence[CaseLog], seed: int) -> list[Event]:
    """All events of `logs`, shuffled between cases, in order within each."""
    turns = [index for index, log in enumerate(logs) for _ in log.events]
    random.Random(seed).shuffle(turns)
    left = [iter(log.events) for log in logs]
    return [next(left[index]) for index in turns]


def delivery(
    alert: str, channel: str, status: str, at: datetime, attempt: int = 1, opinion: str = "o"
) -> Event:
    data = Delivery(
        alert=alert,
        cause="c",
        opinion=opinion,
        receiver="D1",
        channel=channel,  # type: ignore[arg-type]
        status=status,  # type: ignore[arg-type]
        attempt=attempt,
    )
    return Event(
        id=ids.derived(alert, status, str(attempt)),
        source="/notifier",
        type="delivery.recorded",
        subject=alert,
        time=at,
        recordedtime=at,
        data=data,
    )
