"""Looking up digests: many at once, never for long, and never in the way."""

import asyncio
from collections.abc import Sequence

from pymongo.errors import ServerSelectionTimeoutError

from lianxin_intake.lookups import DigestLookups
from lianxin_intake.recent import RecentOpinions, Remembered


async def test_what_comes_in_while_a_question_is_out_goes_into_the_next_one() -> None:
    asked: list[list[str]] = []

    async def load(opinions: Sequence[str]) -> dict[str, str]:
        asked.append(sorted(opinions))
        await asyncio.sleep(0)
        return {opinion: opinion.upper() for opinion in opinions}

    lookups = DigestLookups(load)
    answers = await asyncio.gather(*(lookups.of([name]) for name in "abc"))
    assert [answer[name] for answer, name in zip(answers, "abc", strict=True)] == ["A", "B", "C"]
    assert len(asked) < 3


async def test_a_database_that_is_away_is_left_alone_for_a_while() -> None:
    asked = 0

    async def load(_: Sequence[str]) -> dict[str, str]:
        nonlocal asked
        asked += 1
        raise ServerSelectionTimeoutError("away")

    lookups = DigestLookups(load, rest_s=60)
    assert [await lookups.of(["a"]) for _ in range(3)] == [{}, {}, {}]
    assert asked == 1


async def test_nobody_waits_long_for_a_slow_database() -> None:
    never = asyncio.Event()

    async def load(_: Sequence[str]) -> dict[str, str]:
        await never.wait()
        return {}

    lookups = DigestLookups(load, patience_s=0.01, rest_s=60)
    assert await lookups.of(["a"]) == {}
    never.set()


def test_the_oldest_opinions_are_forgotten_and_the_first_word_stays() -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 1, tzinfo=UTC)
    recent = RecentOpinions(2)
    for name in ("a", "a", "b", "c"):
        recent.remember(name, Remembered(name, "app", at))
    recent.remember("c", Remembered("other", "app", at))
    assert recent.get("a") is None
    assert recent.get("c") == Remembered("c", "app", at)
