"""The check at the end."""

from datetime import timedelta
from typing import Any

from lianxin_contracts import inbound
from lianxin_local.life.verdict import verdict
from tests.life.paper_stack import PaperStack, a_life
from tests.life.test_playing import BEGINS, PEOPLE, play

UNTIL = BEGINS + timedelta(days=6)


class LateStack(PaperStack):
    """The moment after a case was looked at, what was said of it before comes to the router."""

    late: str | None = None

    async def opinion(self, opinion: str) -> dict[str, Any]:
        view = await super().opinion(opinion)
        if opinion == self.late:
            resident = inbound.Actor("resident", "resident")
            said = inbound.Withdrawn(resident)
            self._hear("00000000-0000-0000-0000-000000000001", "opinion.withdrawn", opinion, UNTIL, said)
        return view


async def test_a_case_that_is_closed_while_it_is_looked_at_is_counted_once() -> None:
    stack, life = LateStack(), a_life(PEOPLE)
    player = await play(stack, life, until=UNTIL)
    stack.late = next(id_ for id_, case in stack.cases.items() if case.stage == "accepted")
    told = await verdict(player, life, stack, UNTIL)  # type: ignore[arg-type]
    assert told["closed"]["withdrawn"] == 1
    assert all(told["holds"].values())


async def test_a_page_that_shows_another_stage_than_the_log_is_told(monkeypatch: Any) -> None:
    monkeypatch.setattr("lianxin_local.life.verdict.CATCH_UP_S", 0.0)
    stack, life = PaperStack(), a_life(PEOPLE)
    player = await play(stack, life, until=UNTIL)
    shown = next(iter(player.stories.open))
    true = stack.opinion

    async def lies(opinion: str) -> dict[str, Any]:
        return {"stage": "submitted"} if opinion == shown else await true(opinion)

    stack.opinion = lies  # type: ignore[method-assign]
    told = await verdict(player, life, stack, UNTIL)  # type: ignore[arg-type]
    assert not told["holds"]["every open case is explained"]
    sees = f"{shown}: the resident sees submitted, the log has {stack.cases[shown].stage}"
    assert told["unexplained"] == [sees]
