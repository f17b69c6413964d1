"""What is done on one case: staff assign it, its deputy accepts, answers and resolves it, its resident rates.

Each acts at the step's own time, in the name of whoever has the case by then. What was done in an earlier run
is told by the case and not done again.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from lianxin_local.play.cases import Cases
from lianxin_local.play.surface import Receipt, Refused, Surface
from lianxin_local.replay.entries import Answers
from lianxin_local.replay.script import Kind, Step
from lianxin_router.domain.case import Case


def is_done(kind: Kind, case: Case) -> bool:
    """Whether this was done on `case` before."""
    match kind:
        case Kind.ACCEPT:
            return case.accepted is not None
        case Kind.ANSWER:
            return case.first_response is not None
        case Kind.RESOLVE:
            return case.resolutions > 0
        case Kind.RATE:
            return case.score is not None
        case _:
            return False


class Left(Exception):
    """A step that could not be done, `code` says why; the play goes on."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Acting:
    """Does steps on cases that were handed in."""

    def __init__(self, surface: Surface, cases: Cases, patience_s: float) -> None:
        self._surface = surface
        self._cases = cases
        self._patience = patience_s

    async def act(self, step: Step, receipt: Receipt) -> bool:
        """See to it that `step` is done on the case of `receipt`, and wait for the router's word; False where
        it is not needed. Raises `Left`, `Unconfirmed` and TimeoutError."""
        case = await self._cases.placed(receipt.id, self._patience)
        if step.kind is Kind.ASSIGN:
            # Once: what came back to triage later was assigned in an earlier play of the same file.
            waits = case is not None and case.stage == "triage" and case.assignments == 0
            return case is not None and waits and await self._assign(step, case)
        if case is None or is_done(step.kind, case):
            return True
        if case.assignee is None or case.stage == "closed":
            raise Left(f"in_{case.stage}")
        told = step.entry.answers
        assert told is not None
        if step.kind is Kind.RATE:
            await self._rate(step, receipt, told)
        else:
            await self._as_deputy(step, case.id, case.assignee, told)
        return True

    async def _assign(self, step: Step, case: Case) -> bool:
        """Staff give a case in triage to the router's best candidate, and say what it is about where the
        router has no topic. The staff member is the first of those who were told of it."""
        office = self._cases.offices.get(case.id, ())
        explanation = case.explanation
        if not office:
            raise Left("nobody_in_triage")
        if explanation is None or not explanation.candidates:
            raise Left("no_candidates")
        fields: dict[str, Any] = {"to": explanation.candidates[0].deputy}
        if case.topic is None and explanation.classified.candidates:
            fields["topic"] = explanation.classified.candidates[0].topic
        await self._say(
            step, lambda key: self._surface.act(case.id, "assign", office[0], key, step.at, **fields)
        )
        return True

    async def _as_deputy(self, step: Step, case: str, deputy: str, told: Answers) -> None:
        fields: dict[str, Any] = {}
        if step.kind is not Kind.ACCEPT:
            fields["text"] = told.answer
        if step.kind is Kind.RESOLVE:
            fields["outcome"] = told.outcome
        action = step.kind.name.lower()
        try:
            await self._say(step, lambda key: self._surface.act(case, action, deputy, key, step.at, **fields))
        except Left as left:
            if left.code != "evidence_needed":
                raise
            # The topic wants something to be shown, which such files don't have: the row stands for it.
            fields["evidence"] = [f"replayed.row.{step.entry.row}"]
            await self._say(
                step, lambda key: self._surface.act(case, action, deputy, key, step.at, **fields), "/evidence"
            )

    async def _rate(self, step: Step, receipt: Receipt, told: Answers) -> None:
        score, comment = told.score or "", told.comment
        await self._say(
            step,
            lambda key: self._surface.rate(
                receipt.id, receipt.tracking_code, score, key, comment=comment, occurred_at=step.at
            ),
        )

    async def _say(self, step: Step, send: Callable[[str], Awaitable[str]], again: str = "") -> None:
        """Send a command under the key that makes a repeat of it count once, and wait until it is decided."""
        try:
            command = await send(f"{step.entry.name[-200:]}/{step.kind.name.lower()}{again}")
        except Refused as refused:
            if refused.status in (401, 403):
                raise
            raise Left(refused.code) from None
        if code := await self._cases.outcome(command, self._patience):
            raise Left(code)
