"""A life as it is played, against the router's own decisions on paper."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lianxin_contracts import codec
from lianxin_local.life.habits import LIVING, Habits
from lianxin_local.life.lives import Life
from lianxin_local.life.player import Item, Player
from lianxin_local.life.schedule import Schedule
from lianxin_local.life.tally import Tally
from lianxin_local.life.verdict import verdict
from lianxin_local.play.surface import Receipt, Unconfirmed
from tests.life.paper_stack import CHANNEL, PaperStack, a_life, noon

BEGINS = noon("2026-03-02")
DAYS = timedelta(days=30)
PEOPLE = Habits(rate=12.0, returned=0.1, prompt=0.5, slow=0.3)


async def play(
    stack: PaperStack, life: Life, begins: datetime = BEGINS, until: datetime = BEGINS + DAYS
) -> Player:
    schedule: Schedule[Item] = Schedule(begins, lambda _: 0.0)
    doors = (stack, stack)
    player = Player(life, doors, (CHANNEL, CHANNEL), stack, schedule, Tally(begins))  # type: ignore[arg-type]
    stack.read_by(player.cases)
    await player.run(begins, until)
    return player


@pytest.fixture(scope="module")
def played() -> tuple[PaperStack, Player]:
    """A month of a city of a fifth of the size."""
    stack = PaperStack()
    return stack, asyncio.run(play(stack, a_life(PEOPLE)))


def history(stack: PaperStack) -> list[tuple[str, str, datetime]]:
    """(opinion, type, time) of every event, by opinion."""
    events = [codec.decode(one.topic, one.value or b"", one.headers) for one in stack.log]
    return sorted((e.subject, e.type, e.time) for e in events)


def test_everything_of_the_lifecycle_happens(played: tuple[PaperStack, Player]) -> None:
    types = Counter(type_ for _, type_, _ in history(played[0]))
    assert types.keys() >= {
        "opinion.submitted", "opinion.triaged", "opinion.assigned", "opinion.accepted", "opinion.answered",
        "opinion.progressed", "opinion.handed_over", "opinion.returned", "opinion.taken_back",
        "opinion.resolved", "opinion.rated", "opinion.reopened", "opinion.closed", "opinion.supported",
        "clock.breached", "clock.reminded",
    }  # fmt: skip


def test_the_router_refuses_nothing_that_is_done(played: tuple[PaperStack, Player]) -> None:
    stack, player = played
    assert not player.tally.refusals
    assert set(stack.refused) <= {"opinion.supported: closed"}


async def test_its_equations_hold_and_every_case_is_explained(played: tuple[PaperStack, Player]) -> None:
    stack, player = played
    told = await verdict(player, a_life(PEOPLE), stack, BEGINS + DAYS)  # type: ignore[arg-type]
    assert told["unexplained"] == []
    assert all(told["holds"].values())
    assert told["stages"]["closed"] > 0
    assert sum(told["stages"].values()) == told["handed_in"] == len(stack.cases)


def test_nothing_is_forgotten_but_what_is_closed(played: tuple[PaperStack, Player]) -> None:
    stack, player = played
    still_open = {id_ for id_, case in stack.cases.items() if case.stage != "closed"}
    assert set(player.stories.open) == set(player.stories.turns) == still_open


def test_nothing_happens_after_the_end(played: tuple[PaperStack, Player]) -> None:
    assert max(at for _, _, at in history(played[0])) <= BEGINS + DAYS


async def test_the_same_seed_is_the_same_life(
    played: tuple[PaperStack, Player],
) -> None:
    again = PaperStack()
    await play(again, a_life(PEOPLE))
    assert history(again) == history(played[0])


async def test_played_a_second_time_it_says_nothing_new(played: tuple[PaperStack, Player]) -> None:
    stack, first = played
    before = len(stack.log)
    second = await play(stack, a_life(PEOPLE))
    assert len(stack.log) == before
    assert (second.tally.handed_in, second.tally.known) == (0, first.tally.handed_in)
    assert second.stories.open.keys() == first.stories.open.keys()
    assert second.stories.closed.total() == first.stories.closed.total()


async def test_in_two_stretches_it_is_the_same_life_as_in_one(played: tuple[PaperStack, Player]) -> None:
    parts, middle = PaperStack(), BEGINS + timedelta(days=11)
    await play(parts, a_life(PEOPLE), until=middle)
    rest = await play(parts, a_life(PEOPLE), begins=middle)
    assert rest.tally.known > 0
    assert {o: c.stage for o, c in parts.cases.items()} == {o: c.stage for o, c in played[0].cases.items()}


class Deaf(PaperStack):
    """Takes every opinion and supporter, and gives no answer at first."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: set[tuple[str, ...]] = set()

    async def submit(self, body: dict[str, Any], key: str) -> Receipt:
        receipt = await super().submit(body | {"occurred_at": datetime.now(UTC).isoformat()}, key)
        self._fail_at_first(key)
        return receipt

    async def support(
        self, opinion: str, supporter: str, key: str, *, occurred_at: datetime | None = None
    ) -> None:
        await super().support(opinion, supporter, key, occurred_at=occurred_at)
        self._fail_at_first(opinion, key)

    def _fail_at_first(self, *asked: str) -> None:
        if asked not in self._asked:
            self._asked.add(asked)
            raise Unconfirmed(*asked)


async def test_a_living_city_says_later_what_had_no_answer_and_counts_it_once() -> None:
    stack, now = Deaf(), datetime.now(UTC)
    life = replace(a_life(replace(LIVING, rate=200.0)), past=False)
    player = await play(stack, life, now, now + timedelta(hours=12))
    assert 50 < player.tally.handed_in == len(stack.cases)
    assert 0 < player.tally.supports == stack.said["opinion.supported"]
    assert player.tally.known == 0
    assert len(player.stories.open) + player.stories.closed.total() == len(stack.cases)
