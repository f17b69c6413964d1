"""One case from its assignment to its end, as its deputy and its resident would take it there."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.end_to_end.ledger import Accepted, Command, Ledger
from tests.end_to_end.surface import Failed, OutOfTime, Surface

ANSWERS = ("已收到，正在联系相关部门。", "感谢反映，本周内到现场查看。", "已转请有关单位核实，有进展会告知。")
NOTES = ("到现场查看，情况属实。", "与承办单位沟通，已列入维修计划。", "已电话联系物业负责人。")
RESULTS = ("问题已处理完毕，请您查看。", "现场已整改，感谢您的监督。", "已完成维修，如有反复请再联系。")
COMMENTS = ("处理很快", "还可以", "没有真正解决")

IN_HAND = ("assigned", "accepted", "in_progress")
# Whoever of the office decides in triage, for the whole city, in the sample registry.
TRIAGE_STAFF = "triage-city"

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of the cases takes which turn, 0..1. What is left over is accepted, answered, resolved."""

    untouched: float = 0.05
    returned: float = 0.05
    paused: float = 0.05
    noted: float = 0.5
    rated: float = 0.8
    basically: float = 0.2
    dissatisfied: float = 0.1


EVERYTHING_CLOSES = Shares(untouched=0.0, rated=1.0)


class Refused(Failed):
    """The router refused a command; `code` says why."""

    def __init__(self, action: str, code: str) -> None:
        super().__init__(f"{action} was refused: {code}")
        self.code = code


class Journey:
    """Takes one accepted opinion through its stages. Every step waits for its effect before the next.

    `correction` is the grid and topic that a person in triage would name. `patience_s` bounds each wait:
    `OutOfTime` beyond it.
    """

    def __init__(
        self,
        surface: Surface,
        ledger: Ledger,
        opinion: Accepted,
        *,
        shares: Shares,
        seed: int,
        correction: dict[str, str],
        patience_s: float,
    ) -> None:
        self._surface = surface
        self._ledger = ledger
        self._opinion = opinion
        self._shares = shares
        self._chance = random.Random(f"{seed}/{opinion.key}")
        self._correction = correction
        self._patience = patience_s
        self._steps = 0

    async def run(self) -> None:
        """Until the case is closed, or until it is left with somebody who does nothing more."""
        chance, shares = self._chance, self._shares
        view = await self._seen(lambda view: view["stage"] != "submitted")
        if view["stage"] == "triage":
            view = await self._assign(view)
        if chance.random() < shares.untouched:
            return
        if chance.random() < shares.returned:
            view = await self._return(view)
        view = await self._handle(view)
        if chance.random() >= shares.rated:
            return
        score = self._score()
        view = await self._rate(view, score)
        if score == "dissatisfied":
            view = await self._handle(view)
            view = await self._rate(view, "satisfied")

    # -- the resident's side

    async def _seen(self, reached: Callable[[View], bool]) -> View:
        """The opinion as its resident sees it, as soon as it has `reached` what is waited for."""
        opinion, deadline, pause = self._opinion, time.monotonic() + self._patience, 0.05
        while True:
            view = await self._surface.opinion(opinion.id, opinion.tracking_code)
            opinion.stage, opinion.holder = view["stage"], view["holder"]
            if reached(view):
                return view
            if time.monotonic() > deadline:
                raise OutOfTime(f"opinion {opinion.id} stays at {view['stage']} with {view['holder']}")
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 1.5)

    def _score(self) -> str:
        drawn = self._chance.random()
        if drawn < self._shares.dissatisfied:
            return "dissatisfied"
        return "basically" if drawn < self._shares.dissatisfied + self._shares.basically else "satisfied"

    async def _rate(self, view: View, score: str) -> View:
        """Judge the answer. A dissatisfied resident has the case reopened, any other closes it."""
        opinion = self._opinion
        comment = self._chance.choice(COMMENTS) if self._chance.random() < 0.4 else None
        await self._surface.rate(opinion.id, opinion.tracking_code, score, comment, self._key("rate"))
        self._ledger.ratings[opinion.id] = score
        opinion.score = score
        if score == "dissatisfied":
            return await self._seen(lambda view: view["stage"] in IN_HAND)
        return await self._seen(lambda view: view["stage"] == "closed")

    # -- the office's side

    async def _assign(self, view: View) -> View:
        """A person in triage names grid and topic, and the router decides again."""
        await self._done("assign", TRIAGE_STAFF, **self._correction)
        return await self._seen(lambda view: view["holder"] is not None)

    # -- the deputy's side

    async def _handle(self, view: View) -> View:
        """The holder finds the case in the inbox and brings it to its answer."""
        deputy = await self._holder_with_it_in_the_inbox(view)
        chance, shares = self._chance, self._shares
        if view["stage"] == "assigned":
            await self._done("accept", deputy)
        await self._done("answer", deputy, text=chance.choice(ANSWERS))
        if chance.random() < shares.noted:
            await self._done("progress", deputy, text=chance.choice(NOTES))
        if chance.random() < shares.paused:
            await self._done("pause", deputy, reason="waiting_for_department", text="等待配件到货")
            await self._done("resume", deputy)
        outcome = chance.choices(("solved", "planned", "explained", "referred"), (70, 10, 15, 5))[0]
        await self._resolve(deputy, outcome=outcome, text=chance.choice(RESULTS))
        return await self._seen(lambda view: view["stage"] not in IN_HAND)

    async def _resolve(self, deputy: str, **answer: str) -> None:
        """Resolve; where the refusal says that the topic asks for evidence, again with a photograph's id."""
        try:
            await self._done("resolve", deputy, **answer)
        except Refused as refused:
            if refused.code != "evidence_needed":
                raise
            await self._done("resolve", deputy, evidence=[f"photo-{self._opinion.key}"], **answer)

    async def _return(self, view: View) -> View:
        """The holder gives it back; the router finds another, or a person in triage does."""
        former = await self._holder_with_it_in_the_inbox(view)
        await self._done("return", former, reason="not_my_topic", text="不属于我的履职范围")
        view = await self._seen(lambda view: view["holder"] != former)
        if view["stage"] == "triage":
            view = await self._assign(view)
        return view

    async def _holder_with_it_in_the_inbox(self, view: View) -> str:
        """The deputy who holds it, once the inbox lists it."""
        deadline, pause = time.monotonic() + self._patience, 0.05
        holder = str(view["holder"])
        while True:
            if any(item["id"] == self._opinion.id for item in await self._surface.inbox(holder)):
                return holder
            if time.monotonic() > deadline:
                raise OutOfTime(f"the inbox of {holder} does not list {self._opinion.id}")
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 1.5)

    async def _done(self, action: str, actor: str, **fields: Any) -> None:
        """An action of `actor`, applied. Raises `Refused` where the router says no."""
        case = self._opinion.id
        command = await self._surface.act(case, action, actor, self._key(action), **fields)
        self._ledger.commands[command] = Command(command, case, action, actor)
        deadline, pause = time.monotonic() + self._patience, 0.02
        while (became := await self._surface.command(command))["status"] == "pending":
            if time.monotonic() > deadline:
                raise OutOfTime(f"command {command} ({action} on {case}) is still pending")
            await asyncio.sleep(pause)
            pause = min(0.5, pause * 1.5)
        if became["status"] == "refused":
            self._opinion.refusals.append(f"{action}: {became.get('code')}")
            raise Refused(action, str(became.get("code")))

    def _key(self, action: str) -> str:
        """A key that is the same whenever this step of this case is sent again."""
        self._steps += 1
        return f"{self._opinion.key}/{self._steps}/{action}"
