"""What happens next to a case, from what can be seen of it: who does what, when, and why.

Pure: the same life and the same case give the same plan. Each turn of a case is drawn by itself, so what was
played before has not to be remembered.
"""

import random
from datetime import datetime, timedelta

from lianxin_local.life.lives import Life
from lianxin_local.life.steps import Plan, Seen, Waiting
from lianxin_router.domain.case import Case

# Medians. Working hours, but for residents, who read and judge when they are at home.
TRIAGE_H = 1.5
ACCEPT_H = {"prompt": 3.0, "slow": 16.0}
STEP_H = {"prompt": 5.0, "slow": 14.0}
DEPARTMENT_H = 16.0
RESUME_H = 30.0
SUPERVISE_H = 6.0
RATE_H = 20.0
# Who is slow comes to every other contact day.
SLOW_COME = 0.5
RESOLUTIONS = ("solved", "planned", "explained", "referred")
RESOLUTION_WEIGHTS = (70, 10, 16, 4)


def next_step(life: Life, seen: Seen) -> Plan | Waiting:
    """What comes next of people's own accord. What the clocks bring is the router's."""
    case = seen.case
    match case.stage:
        case "triage":
            return _in_triage(life, seen)
        case "assigned" | "accepted" | "in_progress":
            plan = _with_deputy(life, seen, case.assignee or "")
            pressed = _supervised(life, seen)
            if pressed is not None and (isinstance(plan, Waiting) or pressed.at < plan.at):
                return pressed
            return plan
        case "resolved":
            return _with_resident(life, seen)
        case _:
            return Waiting(case.stage)


def _drawn(life: Life, seen: Seen) -> random.Random:
    return life.chance("turn", seen.case.id, seen.turn)


def _in_triage(life: Life, seen: Seen) -> Plan | Waiting:
    """A person reads it: puts topic and place right where the router was not sure of them, so that it decides
    again; else takes the first of its candidates, else somebody from the office's own list."""
    case, town = seen.case, life.town
    staff = town.staff("triage", case.grid or case.street or case.district)
    if staff is None:
        return Waiting("no_triage_staff")
    chance = _drawn(life, seen)
    at = life.worked(seen.since, TRIAGE_H, chance)
    said = {"text": life.texts.one("assign", chance)}
    if case.assignments == 0 and (case.topic != seen.topic or case.grid != seen.grid):
        return Plan(
            at, "staff", staff, "assign", "put_right", {"topic": seen.topic, "grid": seen.grid, **said}
        )
    candidates = case.explanation.candidates if case.explanation is not None else ()
    able = [one.deputy for one in candidates if one.deputy not in case.excluded]
    if able:
        return Plan(at, "staff", staff, "assign", "first_candidate", {"to": able[0], **said})
    to = town.who_could_take(case.grid or seen.grid, town.day(at), case.excluded, chance)
    if to is None:
        return Waiting("nobody_could_take_it")
    return Plan(at, "staff", staff, "assign", "from_the_list", {"to": to, **said})


def _with_deputy(life: Life, seen: Seen, deputy: str) -> Plan | Waiting:
    temper = life.temper(deputy)
    if temper == "absent":
        return Waiting("absent_deputy")
    chance = _drawn(life, seen)
    if seen.case.stage != "assigned":
        return _at_work(life, seen, deputy, temper, chance)
    at = _when(life, seen.since, deputy, ACCEPT_H[temper], temper, chance)
    if chance.random() < life.habits.returned:
        reason = {"reason": life.town.return_reason(), "text": life.texts.one("return", chance)}
        return Plan(at, "deputy", deputy, "return", "not_theirs", reason)
    return Plan(at, "deputy", deputy, "accept", temper)


def _at_work(life: Life, seen: Seen, deputy: str, temper: str, chance: random.Random) -> Plan:
    case, habits, texts = seen.case, life.habits, life.texts
    if case.open_children:
        # The department's answer is entered by the deputy whom it was sent to.
        at = life.worked(seen.since, DEPARTMENT_H, chance)
        child = {"child": case.open_children[0].id, "text": texts.one("department", chance)}
        return Plan(at, "deputy", deputy, "answer", "department_answered", child)
    if case.pause is not None:
        return Plan(life.worked(seen.since, RESUME_H, chance), "deputy", deputy, "resume", "can_go_on")
    at = _when(life, seen.since, deputy, STEP_H[temper], temper, chance)
    drawn = chance.random()
    if drawn < habits.answered:
        return Plan(at, "deputy", deputy, "answer", "first_word", {"text": texts.one("answers", chance)})
    if drawn < habits.answered + habits.noted:
        return Plan(at, "deputy", deputy, "progress", "looked_into", {"text": texts.one("progress", chance)})
    if drawn < habits.answered + habits.noted + habits.handed_over and not case.children:
        if (department := life.town.department(case.topic, texts)) is not None:
            order = {"to": department, "text": texts.one("hand_over", chance)}
            return Plan(at, "deputy", deputy, "hand_over", "department_needed", order)
    elif drawn > 1.0 - habits.paused and case.paused_seconds == 0:
        wait = {"reason": "waiting_for_department", "text": texts.one("pause", chance)}
        return Plan(at, "deputy", deputy, "pause", "result_awaited", wait)
    return Plan(at, "deputy", deputy, "resolve", temper, _resolution(life, case, chance))


def _resolution(life: Life, case: Case, chance: random.Random) -> dict[str, object]:
    (outcome,) = chance.choices(RESOLUTIONS, RESOLUTION_WEIGHTS)
    answer: dict[str, object] = {"outcome": outcome, "text": life.texts.one(outcome, chance)}
    if life.town.needs_evidence(case.topic) or chance.random() < 0.1:
        answer["evidence"] = [f"photo-{case.id}"]
    return answer


def _when(
    life: Life, since: datetime, deputy: str, median_h: float, temper: str, chance: random.Random
) -> datetime:
    """When a deputy gets to it: after some working hours, not on leave, and on a contact day at the latest
    that comes before, since that is when inboxes are worked off."""
    at = life.worked(since, median_h, chance)
    if life.habits.haste > 1.0:
        return at
    for day in life.town.contact_days(since, at):
        if temper == "prompt" or life.chance("comes", deputy, day).random() < SLOW_COME:
            opens, closes = life.town.contact_hours(day)
            at = min(at, opens + (closes - opens) * chance.random())
            break
    back = life.town.back_from_leave(deputy, at)
    return at if back == at else life.worked(back, median_h, chance)


def _supervised(life: Life, seen: Seen) -> Plan | None:
    """A supervisor presses for about every other case that is not answered in time, once in a turn."""
    case = seen.case
    if seen.pressed or "resolve" not in case.breached or case.due is None:
        return None
    chance = life.chance("supervised", case.id, seen.turn)
    staff = life.town.staff("supervisor", case.grid)
    if staff is None or chance.random() >= life.habits.supervised:
        return None
    at = life.worked(max(case.due.resolve, seen.since), SUPERVISE_H, chance)
    return Plan(at, "staff", staff, "supervise", "too_late", {"text": life.texts.one("supervise", chance)})


def _with_resident(life: Life, seen: Seen) -> Plan | Waiting:
    """The resident judges the answer, or says nothing."""
    chance, habits = _drawn(life, seen), life.habits
    if chance.random() >= habits.rated:
        return Waiting("silent_resident")
    at = life.later(seen.since, RATE_H, chance)
    if seen.case.rate_until is not None and at >= seen.case.rate_until - timedelta(minutes=1):
        return Waiting("silent_resident")
    drawn = chance.random()
    score = "dissatisfied"
    if drawn < habits.satisfied + habits.basically:
        score = "satisfied" if drawn < habits.satisfied else "basically"
    comment = life.texts.one(score, chance)
    return Plan(at, "resident", "", "rate", "judges", {"score": score, "comment": comment or None})
