"""Giving a case to somebody: routing's answer becomes an assignment or a place in triage.

Every path that leaves a case without an assignee ends here in the same decision, so that no case is ever
nobody's.
"""

from datetime import datetime

import msgspec

from lianxin_contracts.inbound import Actor
from lianxin_contracts.lifecycle import (
    Assigned,
    ClassifiedAs,
    Explanation,
    IssueJoined,
    IssueSurged,
    LocatedBy,
    Reason,
    Resumed,
    Triaged,
)
from lianxin_contracts.registry import Policy
from lianxin_router.domain.case import Case
from lianxin_router.domain.clocks import due_after_pause, due_times, take_back_at
from lianxin_router.domain.ports import Clues, Context, Known, Routed, RouteRequest, ToDeputy, ToTriage, Why
from lianxin_router.domain.story import Story

OUTSIDE_MANDATE = "outside_mandate"
CHOSEN_BY_STAFF = "chosen_by_staff"
SYSTEM = Actor(kind="system", id="router")


def place(
    story: Story,
    context: Context,
    why: Why,
    at: datetime,
    *,
    clues: Clues | None = None,
    grid: str | None = None,
    topic: str | None = None,
    assignee: str | None = None,
    arbitration: Reason | None = None,
    words: str | None = None,
) -> None:
    """Ask routing who should hold the case, and tell what follows.

    `at` is the instant of the decision. `grid`, `topic` and `assignee` are a staff member's ruling. With
    `arbitration` a person decides whatever routing says, with its candidates in view.
    """
    case = story.case
    routed = context.route(
        RouteRequest(
            opinion=case.id,
            kind=case.kind,
            at=at,
            submitted_at=case.opened or at,
            why=why,
            clues=clues,
            known=None if clues else known(case),
            excluded=case.excluded,
            grid=grid,
            topic=topic,
            assignee=assignee,
            issue=case.issue,
        )
    )
    if assignee is not None:
        routed = _as_ruled(routed, assignee)
    elif isinstance(routed, ToDeputy) and (arbitration or routed.assignee in case.excluded):
        routed = _to_a_person(routed, arbitration or Reason("all_excluded"))
    elif isinstance(routed, ToTriage) and arbitration:
        routed = msgspec.structs.replace(routed, reasons=(arbitration, *routed.reasons))
    # Routing may answer otherwise when it is asked again (other loads, another city): what it answered before
    # an interruption stands where it is published.
    story.recall(IssueJoined)
    is_alone = story.case.issue is None and not story.is_retold
    joins = routed.joined is not None and is_alone
    if routed.joined is not None and joins:
        joined = routed.joined
        story.tell(IssueJoined(joined.issue, joined.similarity, joined.matched), at)
    if story.recall(Assigned, Triaged):
        pass
    elif isinstance(routed, ToDeputy):
        _assign(story, context, why, at, routed, words)
    else:
        _triage(story, context, at, routed, words)
    told_before = story.recall(IssueSurged) or story.is_retold
    if routed.surge is not None and joins and not told_before:
        surge = routed.surge
        supervisors = context.staff_for("supervisor", area_of(story.case))
        story.tell(IssueSurged(surge.issue, surge.cases, surge.hours, supervisors), at)


def known(case: Case) -> Known | None:
    """What earlier routing found out about the case."""
    if case.explanation is None:
        return None
    return Known(
        located=case.explanation.located,
        classified=case.explanation.classified,
        grid=case.grid or None,
        street=case.street or None,
        district=case.district or None,
        topic=case.topic or None,
    )


def nothing_known(context: Context) -> Explanation:
    """The explanation of a case of which nothing could be read."""
    return Explanation(
        registry_version=context.registry_version,
        rules_version=context.rules_version,
        located=LocatedBy(grid=None, by="none", confidence=0.0),
        classified=ClassifiedAs(topic=None, by="none", confidence=0.0),
    )


def put_unread_into_triage(story: Story, context: Context, reason: Reason) -> None:
    """Triage without routing: there is nothing to route by."""
    _triage(story, context, story.at, ToTriage((reason,), nothing_known(context)), None)


def transfer_to(story: Story, context: Context, giver: str, to: str) -> None:
    """The assignment that follows a transfer between deputies; located and classified as before."""
    case = story.case
    explanation = msgspec.structs.replace(
        case.explanation or nothing_known(context),
        registry_version=context.registry_version,
        rules_version=context.rules_version,
        candidates=(),
        reasons=(Reason("transferred", {"from": giver, "to": to}),),
    )
    _tell_assigned(
        story,
        context,
        story.at,
        ToDeputy(
            assignee=to,
            grid=case.grid or "",
            street=case.street or "",
            district=case.district or "",
            topic=case.topic or "",
            explanation=explanation,
        ),
        "transfer",
        None,
    )


def end_pause(story: Story, context: Context, actor: Actor, at: datetime) -> None:
    """The clocks run on from `at`, moved by the pause; nothing where the case is not paused."""
    pause = story.case.pause
    if pause is None:
        return
    ended = max(at, story.case.updated)
    due = due_after_pause(story.case, pause, ended, context.calendar)
    story.tell(Resumed(actor, int((ended - pause.since).total_seconds()), due), ended)


def keeps_mandate(case: Case, context: Context, at: datetime) -> bool:
    """Whether the assignee may still hold the case in this registry version.

    Who got it outside the own mandate (as a substitute, by the ladder, by a staff member's ruling) keeps it
    as long as they hold any mandate.
    """
    if case.assignee is None:
        return True
    on = context.calendar.civil_date(at)
    reasons = case.explanation.reasons if case.explanation else ()
    if any(reason.code == OUTSIDE_MANDATE for reason in reasons):
        return context.holds_mandate(case.assignee, None, None, on)
    return context.holds_mandate(case.assignee, case.grid or None, case.topic or None, on)


def area_of(case: Case) -> str | None:
    """The smallest area in which the case is known to lie."""
    return case.grid or case.street or case.district or None


def policy_of(case: Case, context: Context) -> tuple[Policy, str]:
    """The policy that covers the case as it is classified now, and its version."""
    return context.policy(case.kind, case.topic or None)


def responsible(case: Case, context: Context) -> tuple[str, ...]:
    """Who must act on the case now: its assignee, or the triage staff of its area."""
    if case.assignee is not None:
        return (case.assignee,)
    return context.staff_for("triage", area_of(case))


def _as_ruled(routed: Routed, assignee: str) -> ToDeputy:
    """A person's ruling stands, whatever routing would rather."""
    chosen = Reason(CHOSEN_BY_STAFF, {"deputy": assignee})
    explanation = msgspec.structs.replace(routed.explanation, reasons=(*routed.explanation.reasons, chosen))
    return ToDeputy(
        assignee=assignee,
        grid=routed.grid or "",
        street=routed.street or "",
        district=routed.district or "",
        topic=routed.topic or "",
        explanation=explanation,
        receivers=routed.receivers if isinstance(routed, ToDeputy) else (),
        joined=routed.joined,
        surge=routed.surge,
    )


def _to_a_person(routed: ToDeputy, reason: Reason) -> ToTriage:
    return ToTriage(
        reasons=(reason,),
        explanation=routed.explanation,
        grid=routed.grid or None,
        street=routed.street or None,
        district=routed.district or None,
        topic=routed.topic or None,
        joined=routed.joined,
        surge=routed.surge,
    )


def _assign(
    story: Story, context: Context, why: Why, at: datetime, routed: ToDeputy, words: str | None
) -> None:
    by = {"returned": "return", "silence": "take_back", "staff": "triage"}.get(why)
    if by is None:
        by = "router" if routed.rung == "direct" else routed.rung
    _tell_assigned(story, context, at, routed, by, words)


def _tell_assigned(
    story: Story, context: Context, at: datetime, routed: ToDeputy, by: str, words: str | None
) -> None:
    case = story.case
    policy, version = context.policy(case.kind, routed.topic or None)
    due = case.due or due_times(policy, version, case.opened or at, context.calendar)
    on = context.calendar.civil_date(at)
    explanation = routed.explanation
    if not context.holds_mandate(routed.assignee, routed.grid or None, routed.topic or None, on):
        outside = Reason(OUTSIDE_MANDATE, {"deputy": routed.assignee})
        explanation = msgspec.structs.replace(explanation, reasons=(*explanation.reasons, outside))
    story.tell(
        Assigned(
            assignee=routed.assignee,
            by=by,  # type: ignore[arg-type]
            grid=routed.grid,
            street=routed.street,
            district=routed.district,
            topic=routed.topic,
            attempt=case.assignments + 1,
            due=due,
            explanation=explanation,
            receivers=tuple(dict.fromkeys((routed.assignee, *routed.receivers))),
            first_level=context.first_level(routed.topic or None),
            take_back=take_back_at(due, at, policy, context.calendar),
            words=words,
        ),
        at,
    )


def _triage(story: Story, context: Context, at: datetime, routed: ToTriage, words: str | None) -> None:
    case = story.case
    area = routed.grid or routed.street or routed.district
    # A case that stays in triage keeps its clock: a second look doesn't wind it up again.
    due = case.triage_due
    if due is None:
        policy, _ = context.policy(case.kind, routed.topic)
        due = context.calendar.ends(at, policy.triage).at
    story.tell(
        Triaged(
            reasons=routed.reasons,
            explanation=routed.explanation,
            due=due,
            street=routed.street,
            district=routed.district,
            grid=routed.grid,
            topic=routed.topic,
            receivers=routed.receivers or context.staff_for("triage", area),
            first_level=context.first_level(routed.topic),
            words=words,
        ),
        at,
    )
