"""Plays a life on a running stack: over the public surface as residents, deputies and staff use it, and by
knocking for the clocks where it runs on its own times."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from lianxin_chassis.patience import patiently
from lianxin_chassis.publisher import Publisher
from lianxin_contracts import ids
from lianxin_contracts.envelope import Event, milliseconds, rfc3339
from lianxin_contracts.inbound import Clock
from lianxin_local.life.arrivals import Arrival, all_arrivals, arrivals
from lianxin_local.life.lives import Life
from lianxin_local.life.next_step import next_step
from lianxin_local.life.residents import Draft, draft
from lianxin_local.life.schedule import Schedule
from lianxin_local.life.steps import Plan, Seen
from lianxin_local.life.stories import Stories, Story
from lianxin_local.life.tally import Tally
from lianxin_local.play.cases import Cases
from lianxin_local.play.knocking import knock
from lianxin_local.play.surface import Refused, Surface, Unconfirmed
from lianxin_local.problem import Problem
from lianxin_router.domain.case import Case
from lianxin_router.domain.clocks import next_due

log = logging.getLogger(__name__)

# For the router's answer; an overloaded laptop takes seconds.
PATIENCE_S = 120.0
# A case that is older is left alone by a life that goes on: nearly all are closed after two months.
GOES_BACK = timedelta(days=120)
# When the stack was away, a living city looks again after this long.
LATER = timedelta(seconds=30)
# What is counted as the way in which a case was closed that an earlier run had brought to its end.
EARLIER = "in an earlier run"


@dataclass(frozen=True, slots=True)
class Arrives:
    """A resident hands in an opinion; `again` where an earlier try had no answer."""

    arrival: Arrival
    again: bool = False


@dataclass(frozen=True, slots=True)
class Joins:
    """Somebody else has the same concern."""

    case: str
    supporter: str


@dataclass(frozen=True, slots=True)
class Look:
    """Something may be due at a case; only the newest `number` counts."""

    case: str
    number: int


Item = Arrives | Joins | Look


class Player:
    """One run of a life. `doors` are the surfaces through which opinions come in: the usual one, and the desk
    of the contact days. `channels` are the ids of their channels, in the same order."""

    def __init__(
        self,
        life: Life,
        doors: tuple[Surface, Surface],
        channels: tuple[str, str],
        publisher: Publisher,
        schedule: Schedule[Item],
        tally: Tally,
    ) -> None:
        self._life = life
        self._doors = doors
        self._channels = channels
        self._surface = doors[0]
        self._publisher = publisher
        self._schedule = schedule
        self._looks = count(1)
        self._arrivals: Iterator[Arrival] = iter(())
        self.tally = tally
        self.stories = Stories()
        self.cases = Cases(live=not life.past, watch=self._watch, remember=4_000)

    async def run(self, begins: datetime, until: datetime | None) -> None:
        """Play from `begins` until `until` (None: for ever), with the cases that an earlier run left open.
        `cases` must follow the log. Raises `Problem` where the stack gives no answer any more."""
        self._adopt(begins)
        self._arrivals = all_arrivals(self._life, begins)
        self._next_arrival()
        await self._schedule.run(self._do, until)

    def _adopt(self, begins: datetime) -> None:
        """Take up the open cases of this life that came before `begins`."""
        own = (case for case in self.cases.open.values() if case.replayed == self._life.past)
        opened = [case.opened for case in own if case.opened is not None]
        # A stack that was away takes an opinion in somewhat later than it came.
        oldest = min(opened, default=begins) - timedelta(days=1)
        day = self._life.town.day(max(oldest, begins - GOES_BACK))
        while day <= self._life.town.day(begins):
            for arrival in arrivals(self._life, day):
                if arrival.at < begins and self._id_of(arrival) in self.cases.open:
                    self.tally.known += 1
                    self._begin(draft(self._life, arrival), arrival, None, begins)
            day += timedelta(days=1)

    def _id_of(self, arrival: Arrival) -> str:
        return ids.opinion_id(self._channels[arrival.visit], arrival.key)

    def _next_arrival(self) -> None:
        if (arrival := next(self._arrivals, None)) is not None:
            self._schedule.put(arrival.at, Arrives(arrival))

    def _watch(self, event: Event, case: Case) -> None:
        if self.stories.note(event, case) is not None:
            self._look_at(case.id, event.time)

    def _look_at(self, case: str, at: datetime) -> None:
        story = self.stories.open.get(case)
        if story is not None:
            story.look = next(self._looks)
            self._schedule.put(at, Look(case, story.look))

    async def _do(self, at: datetime, what: Item) -> None:
        """One thing that happens. In the living city a stack that is away is waited for."""
        try:
            match what:
                case Arrives():
                    if not what.again:
                        self._next_arrival()
                    await self._arrive(what)
                case Joins():
                    await self._join(at, what)
                case Look():
                    await self._look(at, what)
        except (Unconfirmed, TimeoutError) as error:
            if self._life.past:
                raise Problem(f"the stack gives no answer: {error or type(error).__name__}") from error
            log.warning("the stack gives no answer; going on later: %r", error)
            self._try_later(what, datetime.now(UTC) + LATER)

    def _try_later(self, what: Item, at: datetime) -> None:
        match what:
            case Arrives():
                self._schedule.put(at, replace(what, again=True))
            case Joins():
                self._schedule.put(at, what)
            case Look():
                self._look_at(what.case, at)

    # -- residents

    async def _arrive(self, what: Arrives) -> None:
        arrival = what.arrival
        id_ = self._id_of(arrival)
        wanted = draft(self._life, arrival)
        if id_ in self.cases.open and not what.again:
            self.tally.known += 1
            self._begin(wanted, arrival, None, arrival.at)
            return
        if self.cases.is_closed(id_):
            self.tally.known += 1
            self.stories.closed[EARLIER] += 1
            return
        try:
            receipt = await self._hand_in(wanted)
        except Refused as refused:
            self.tally.turned_away[refused.code] += 1
            return
        await self.cases.placed(id_, PATIENCE_S)
        self.tally.handed_in += 1
        self.tally.visits += arrival.visit
        self._begin(wanted, arrival, receipt, arrival.at)

    async def _hand_in(self, wanted: Draft) -> str:
        """The tracking code. Handing in the same once more changes nothing."""
        when = {"occurred_at": rfc3339(wanted.at)} if self._life.past else {}
        receipt = await self._doors[wanted.visit].submit(wanted.body | when, wanted.key)
        return receipt.tracking_code

    def _begin(self, wanted: Draft, arrival: Arrival, code: str | None, at: datetime) -> None:
        case = self._id_of(arrival)
        if case not in self.cases.open or case in self.stories.open:
            return
        self.stories.open[case] = Story(arrival, wanted.topic, wanted.grid, code)
        for when, supporter in wanted.supports:
            if when > at:
                self._schedule.put(when, Joins(case, supporter))
        self._look_at(case, at)

    async def _join(self, at: datetime, what: Joins) -> None:
        if what.case not in self.stories.open:
            return
        when = at if self._life.past else None
        try:
            await self._surface.support(what.case, what.supporter, what.supporter, occurred_at=when)
        except Refused as refused:
            self.tally.refusals[refused.code] += 1
            return
        self.tally.supports += 1

    # -- what is due at a case

    async def _look(self, at: datetime, look: Look) -> None:
        story, case = self.stories.open.get(look.case), self.cases.open.get(look.case)
        if story is None or case is None or story.look != look.number or story.busy:
            return
        plan, due = self._what_is_next(story, case)
        instants = [plan.at] if plan is not None else []
        instants += [due[1]] if due is not None else []
        if not instants:
            return
        first = min(instants)
        if first > at:
            self._look_at(case.id, first)
            return
        story.busy = True
        try:
            if due is not None and (plan is None or due[1] <= plan.at):
                await self._knock(case.id, *due)
            elif plan is not None:
                await self._perform(story, case.id, plan)
        finally:
            story.busy = False
        self._look_at(case.id, at)

    def _what_is_next(self, story: Story, case: Case) -> tuple[Plan | None, tuple[Clock, datetime] | None]:
        """What somebody is going to do, and what the clocks are going to bring."""
        due = next_due(case) if self._life.past else None
        turn = self.stories.turns[case.id]
        if story.refused == turn.number:
            return None, due
        seen = Seen(case, turn.number, turn.since, story.topic, story.grid, turn.pressed)
        step = next_step(self._life, seen)
        return (step if isinstance(step, Plan) else None), due

    async def _knock(self, case: str, clock: Clock, due: datetime) -> None:
        record = knock((case, clock, due), due, datetime.now(UTC))
        await patiently(lambda: self._publisher.publish([record]))
        await self.cases.outcome(ids.knock(case, clock, milliseconds(due)), PATIENCE_S)
        self.tally.knocks += 1

    async def _perform(self, story: Story, case: str, plan: Plan) -> None:
        turn = self.stories.turns[case].number
        key = f"{self._life.name}/{turn}/{plan.action}"
        when = plan.at if self._life.past else None
        try:
            if plan.who == "resident":
                code = story.code or await self._hand_in(draft(self._life, story.arrival))
                command = await self._surface.rate(case, code, key=key, occurred_at=when, **plan.fields)
            else:
                command = await self._surface.act(case, plan.action, plan.as_, key, when, **plan.fields)
            refusal = await self._outcome(command)
        except Refused as refused:
            refusal = refused.code
        if refusal is not None:
            story.refused = turn
            self.tally.refusals[f"{plan.action}: {refusal}"] += 1
            return
        self.tally.actions[plan.action] += 1
        self.tally.reasons[f"{plan.action}: {plan.why}"] += 1
        if plan.who == "resident":
            self.tally.ratings[plan.fields["score"]] += 1

    async def _outcome(self, command: str) -> str | None:
        """None where the router did it, else the code with which it refused. What an earlier run has said
        already is not told on the log again: then the notifier knows."""
        try:
            return await self.cases.outcome(command, PATIENCE_S)
        except TimeoutError:
            became = await self._surface.command(command)
            if became["status"] == "pending":
                raise
            return became.get("code")
