"""What a deputy or member of staff does: from the body of a request to the command that is published. Pure.

Who may do what, and when, is the router's to decide; here only what is plainly impossible is turned away.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_contracts.inbound import MAX_TEXT, Actor, Moment, Outcome

Action = Literal[
    "accept", "answer", "progress", "hand_over", "transfer", "return", "pause", "resume", "resolve", "assign",
    "supervise", "publish", "unpublish", "reveal_contact", "erase",
]  # fmt: skip

# Why staff erase: the resident asked by telephone or in person, somebody else's data is in it, an authority
# ordered it, or it was a trial.
ERASURE_REASONS = ("resident_asked", "others_data", "ordered", "trial")

# A body of 10,000 characters, each escaped as two \\uXXXX, and the rest, bytes.
MAX_BODY = 160_000
MAX_EVIDENCE = 20  # attachments of one note or answer
MAX_RECEIVERS = 50
MAX_IDEMPOTENCY_KEY = 255  # characters
# Clocks of two computers differ: a command may lie this far ahead.
SKEW = timedelta(minutes=5)

# Ids and codes only: no door by which words or a telephone number could reach the log that is kept for ever.
Code = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:~=-]+$")]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]


class ActionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/cases/{id}/actions`. Which fields an action needs: `data_of`.

    `text` of `publish` is the redacted version that anybody may read from then on. `grid` and `topic` correct
    an assignment, `reason` of `erase` is one of `ERASURE_REASONS`, `until` ends a pause, `role` is the
    department's in a child order, `child` the order that an answer is for.
    """

    action: Action
    text: Text | None = None
    reason: Code | None = None
    outcome: Outcome | None = None
    evidence: Annotated[tuple[Code, ...], Meta(max_length=MAX_EVIDENCE)] = ()
    to: Code | Annotated[tuple[Code, ...], Meta(max_length=MAX_RECEIVERS)] | None = None
    as_: Code | None = msgspec.field(default=None, name="as")
    occurred_at: Moment | None = None
    grid: Code | None = None
    topic: Code | None = None
    until: Moment | None = None
    role: Literal["main", "assist"] | None = None
    child: Code | None = None


def parse(body: bytes) -> ActionRequest:
    """The request in `body`. Raises 413, 400 (no JSON) or 422 (a field is missing or wrong)."""
    if len(body) > MAX_BODY:
        raise ProblemError(413, "too_large", "The body is too large", f"At most {MAX_BODY} bytes.")
    try:
        return msgspec.json.decode(body, type=ActionRequest)
    except msgspec.ValidationError as error:
        # Names the field and what is wrong with it, never the value.
        raise ProblemError(422, "invalid", "A field is missing or wrong", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, "malformed", "The body is no JSON") from error


def data_of(request: ActionRequest, actor: Actor) -> Struct:
    """The command's payload. Raises 422 where the action lacks a field."""
    return _DATA[request.action](request, actor)


def command(case: str, request: ActionRequest, actor: Actor, idempotency_key: str, now: datetime) -> Event:
    """The command that `actor` gives on `case`: the same id for the same actor, case and key."""
    if len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
        raise ProblemError(
            422, "invalid", "The Idempotency-Key is too long", f"At most {MAX_IDEMPOTENCY_KEY} characters."
        )
    if request.occurred_at is not None and request.occurred_at > now + SKEW:
        raise ProblemError(422, "in_the_future", "occurred_at lies in the future")
    return Event(
        id=ids.derived("command", actor.id, case, idempotency_key),
        source=f"/notifier/{actor.id}",
        type=_TYPES.get(request.action, f"case.{request.action}"),
        subject=case,
        time=request.occurred_at or now,
        recordedtime=now,
        data=data_of(request, actor),
    )


def record_of(event: Event) -> OutRecord:
    """The command as it travels."""
    return to_record(event, topics.INBOUND, event.subject)


# What a resident may ask for as well bears the resident's name.
_TYPES: dict[Action, str] = {"erase": "opinion.erasure_requested"}


def _missing(action: str, field: str) -> ProblemError:
    return ProblemError(
        422, "field_missing", "A field is missing", f"{action} needs {field}.", field=field, action=action
    )


def _text(request: ActionRequest) -> str:
    if request.text is None or not request.text.strip():
        raise _missing(request.action, "text")
    return request.text


def _reason(request: ActionRequest) -> str:
    if request.reason is None:
        raise _missing(request.action, "reason")
    return request.reason


def _one(request: ActionRequest) -> str:
    if request.to is None:
        raise _missing(request.action, "to")
    if not isinstance(request.to, str):
        raise ProblemError(422, "invalid", "A field is missing or wrong", "`to` must be one id.", field="to")
    return request.to


def _assign(request: ActionRequest, actor: Actor) -> Struct:
    if request.to is None and request.grid is None and request.topic is None:
        raise _missing(request.action, "to")
    to = None if request.to is None else _one(request)
    return inbound.Assign(actor, to, request.grid, request.topic, request.text)


def _supervise(request: ActionRequest, actor: Actor) -> Struct:
    to = (request.to,) if isinstance(request.to, str) else request.to or ()
    return inbound.Supervise(actor, request.text, to)


def _resolve(request: ActionRequest, actor: Actor) -> Struct:
    if request.outcome is None:
        raise _missing(request.action, "outcome")
    return inbound.Resolve(actor, request.outcome, _text(request), request.evidence)


def _erase(request: ActionRequest, actor: Actor) -> Struct:
    reason = _reason(request)
    if reason not in ERASURE_REASONS:
        raise ProblemError(
            422,
            "invalid",
            "A field is missing or wrong",
            f"`reason` must be one of {', '.join(ERASURE_REASONS)}.",
            field="reason",
        )
    return inbound.ErasureRequested(actor, reason)


_DATA: dict[Action, Callable[[ActionRequest, Actor], Struct]] = {
    "accept": lambda _, actor: inbound.Accept(actor),
    "answer": lambda said, actor: inbound.Answer(actor, _text(said), said.child),
    "progress": lambda said, actor: inbound.Progress(actor, _text(said), said.evidence),
    "hand_over": lambda said, actor: inbound.HandOver(actor, _one(said), said.role or "main", said.text),
    "transfer": lambda said, actor: inbound.Transfer(actor, _one(said), said.reason, said.text),
    "return": lambda said, actor: inbound.Return(actor, _reason(said), said.text),
    "pause": lambda said, actor: inbound.Pause(actor, _reason(said), said.until, said.text),
    "resume": lambda _, actor: inbound.Resume(actor),
    "resolve": _resolve,
    "assign": _assign,
    "supervise": _supervise,
    "publish": lambda said, actor: inbound.Publish(actor, _text(said)),
    "unpublish": lambda _, actor: inbound.Unpublish(actor),
    "reveal_contact": lambda _, actor: inbound.RevealContact(actor),
    "erase": _erase,
}
