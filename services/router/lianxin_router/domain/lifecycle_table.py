"""Which command a case takes at which stage, and from whom: the rules that are data.

`docs/lifecycle.md` prints this table; a test compares the two.
"""

from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Answer
from lianxin_contracts.lifecycle import Stage
from lianxin_router.domain.case import Case
from lianxin_router.domain.ports import UNREADABLE
from lianxin_router.domain.story import Refused, refused

OPEN: tuple[Stage, ...] = ("triage", "assigned", "accepted", "in_progress")
HELD: tuple[Stage, ...] = ("assigned", "accepted", "in_progress")
HANDLED: tuple[Stage, ...] = ("accepted", "in_progress")
WITH_ASSIGNEE: tuple[Stage, ...] = (*HELD, "resolved")
ANY: tuple[Stage, ...] = (*OPEN, "resolved", "closed")

# An answer that names a child order is a department's: it may come while the case itself changes hands.
CHILD_ANSWER = "case.answer (child)"

ALLOWED: dict[str, tuple[Stage, ...]] = {
    "opinion.supported": (*OPEN, "resolved"),
    "opinion.withdrawn": OPEN,
    "opinion.rated": ("resolved",),
    "opinion.erasure_requested": ANY,
    "opinion.seen": WITH_ASSIGNEE,
    "visit.recorded": ANY,
    "case.accept": ("assigned",),
    "case.answer": HANDLED,
    CHILD_ANSWER: OPEN,
    "case.progress": HANDLED,
    "case.hand_over": HANDLED,
    "case.transfer": HELD,
    "case.return": HELD,
    "case.pause": HANDLED,
    "case.resume": HANDLED,
    "case.resolve": HANDLED,
    "case.assign": OPEN,
    "case.supervise": OPEN,
    "case.publish": ANY,
    "case.unpublish": ANY,
    "case.reveal_contact": WITH_ASSIGNEE,
    "case.due": ANY,
    "case.review": ANY,
    "case.merge": ANY,
}

SUBMISSIONS = ("opinion.submitted", UNREADABLE)

_INTAKE, _NOTIFIER, _ROUTER, _OPERATOR = "/intake", "/notifier", "/router", "/operator"
_OWN: dict[str, tuple[str, ...]] = {
    "opinion.supported": (_INTAKE, _NOTIFIER),
    "opinion.seen": (_INTAKE, _NOTIFIER),
    "opinion.erasure_requested": (_INTAKE, _NOTIFIER),
    "visit.recorded": (_INTAKE,),
    "case.due": (_ROUTER, _OPERATOR),
    "case.review": (_ROUTER,),
    "case.merge": (_ROUTER,),
    UNREADABLE: (_ROUTER,),
}
_BY_PREFIX: dict[str, tuple[str, ...]] = {"opinion": (_INTAKE,), "case": (_NOTIFIER,)}


def sources_of(command: str) -> tuple[str, ...]:
    """The sources (each with anything below it) from which the router believes `command`."""
    return _OWN.get(command, _BY_PREFIX.get(command.partition(".")[0], ()))


def check_source(command: Event) -> Refused | None:
    """Whether this command comes from a service that may say it. The broker's access lists say the same; a
    router behind a misconfigured broker must not believe everything either."""
    believed = sources_of(command.type)
    if any(command.source == source or command.source.startswith(f"{source}/") for source in believed):
        return None
    return refused("wrong_source")


def check_stage(case: Case, command: Event) -> Refused | None:
    """Whether the case takes this command now; if not, the code says what stands in the way."""
    is_child = isinstance(command.data, Answer) and command.data.child is not None
    allowed = ALLOWED.get(CHILD_ANSWER if is_child else command.type)
    if allowed is None:
        return refused("unknown_command")
    if case.stage in allowed:
        return None
    return refused(_in_the_way(case.stage, command.type), stage=case.stage)


def _in_the_way(stage: Stage, command: str) -> str:
    if stage == "closed":
        return "closed"
    if command == "opinion.rated":
        return "not_yet_resolved"
    if stage in ("resolved", "rated"):
        return "already_resolved"
    if stage in HANDLED:
        return "already_accepted"
    return "not_yet_accepted" if stage == "assigned" else "not_assigned"
