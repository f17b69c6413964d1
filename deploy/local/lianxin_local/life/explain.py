"""Why a case stands where it does at an instant, from what the log shows of it: the check at the end of a
simulated stretch. What no rule of the lifecycle explains is said to be so."""

from dataclasses import dataclass
from datetime import datetime

from lianxin_local.life.lives import Life
from lianxin_router.domain.case import Case
from lianxin_router.domain.clocks import next_due


@dataclass(frozen=True, slots=True)
class Explained:
    """`code` is the kind of explanation, `words` the explanation of this case; not `sound` where there is
    none."""

    code: str
    words: str
    sound: bool = True


def explain(case: Case, reached: datetime, life: Life) -> Explained:
    """Why `case` is where it is at `reached`, up to which every clock was knocked for.

    Nothing is taken on trust: a clock that ran out before and had no effect, or a stage without what it
    needs, leaves a case unexplained.
    """
    due = next_due(case)
    if due is not None and due[1] <= reached:
        return _unexplained(case, f"{due[0]} ran out at {_at(due[1])} and nothing followed")
    match case.stage:
        case "triage":
            reasons = [reason.code for reason in case.explanation.reasons] if case.explanation else []
            if case.assignee is not None or case.triage_due is None:
                return _unexplained(case, "in triage, with a deputy or without a clock")
            late = ", too late" if "triage" in case.breached else ""
            why = ", ".join(reasons) or "no certain deputy"
            return Explained("triage", f"a person decides ({why}) by {_at(case.triage_due)}{late}")
        case "assigned":
            if case.assignee is None or case.take_back is None:
                return _unexplained(case, "assigned to nobody, or without an end")
            temper = life.temper(case.assignee)
            kind = "assigned_absent" if temper == "absent" else "assigned"
            return Explained(
                kind,
                f"with {case.assignee} ({temper}), by {case.assigned_by}, attempt {case.assignments}, "
                f"taken back at {_at(case.take_back)} unless accepted",
            )
        case "accepted" | "in_progress":
            return _in_hand(case)
        case "resolved":
            if case.rate_until is None:
                return _unexplained(case, "resolved and nobody is asked")
            return Explained("waiting_for_rating", f"the resident may judge it until {_at(case.rate_until)}")
        case "closed":
            return Explained("closed", f"closed at {_at(case.closed)}")
        case _:
            return _unexplained(case, "no case rests at this stage")


def _in_hand(case: Case) -> Explained:
    if case.assignee is None or case.accepted is None or case.due is None:
        return _unexplained(case, "at work with nobody, or never accepted")
    if case.pause is not None:
        return Explained(
            "paused", f"{case.assignee} waits ({case.pause.reason}) until {_at(case.pause.until)}"
        )
    if case.open_children:
        child = case.open_children[0]
        return Explained("with_department", f"{child.department} has it since {_at(child.since)}")
    if "resolve" in case.breached:
        return Explained("late", f"{case.assignee} works on it, due at {_at(case.due.resolve)}, breach told")
    return Explained("in_hand", f"{case.assignee} works on it, due at {_at(case.due.resolve)}")


def _unexplained(case: Case, why: str) -> Explained:
    return Explained("unexplained", f"{case.id} {case.stage}: {why}", sound=False)


def _at(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment is not None else "?"
