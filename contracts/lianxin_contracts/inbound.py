"""What people and systems say: the payloads of `opinions.inbound`, keyed by opinion id.

`opinion.*` is said by residents and channels, `visit.*` by other systems of the city, `case.*` by
deputies, staff and the router's own timers. The same type name on `opinions.lifecycle` is another payload:
what the router decided. Words travel here in full (30 days); the router forwards them to `opinions.words`,
where they can be erased.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

CaseKind = Literal["opinion", "suggestion", "project"]
Entry = Literal["direct", "offline", "desk"]
Crs = Literal["wgs84", "gcj02", "bd09"]
Score = Literal["satisfied", "basically", "dissatisfied"]
Outcome = Literal["solved", "planned", "explained", "referred", "duplicate", "invalid"]
ActorKind = Literal["resident", "deputy", "staff", "channel", "system"]
Clock = Literal[
    "triage", "acknowledge", "acknowledge_reminder", "take_back", "first_response", "resolve",
    "resolve_reminder", "pause", "rating"
]  # fmt: skip

MAX_TEXT = 10_000  # characters; design, section 6
MAX_MEDIA_URL = 2_000  # characters; browsers and proxies agree on about as much

# A point in time of a payload: without a zone it is refused when read, as it names no instant.
Moment = Annotated[datetime, Meta(tz=True)]


class Actor(Struct, frozen=True, omit_defaults=True):
    """Who speaks: a deputy's or a staff member's id, a channel's id, `resident` for the holder of the
    tracking code, `system` for the router's timers. `via` is the channel whose key acted for a deputy or a
    member of staff: who they are is its word."""

    kind: ActorKind
    id: str
    via: str | None = None


class Place(Struct, frozen=True):
    """A point in degrees, in the coordinate system that its source used."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    crs: Crs = "wgs84"


class Submitted(Struct, frozen=True):
    """`opinion.submitted`: a resident's opinion as it came in. The event's `time` is the moment that the
    resident sent it; its id is UUIDv5 of the opinion id and `digest`. `media_url` is a link to somewhere
    else, checked by its form alone: nobody of ours ever fetches it.

    `digest` is a keyed hash of the body without the contact: it tells a repeat from another body under the
    same id. `contact` is a libsodium sealed box in base64. `entry` says how an earlier time came about.
    """

    channel: str
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    digest: str
    kind: CaseKind = "opinion"
    title: str | None = None
    topic: str | None = None
    station: str | None = None
    grid: str | None = None
    place: Place | None = None
    address: str | None = None
    attachments: tuple[str, ...] = ()
    external_id: str | None = None
    language: str = "zh"
    contact: str | None = None
    entry: Entry = "direct"
    media_url: Annotated[str, Meta(max_length=MAX_MEDIA_URL)] | None = None


class Supported(Struct, frozen=True):
    """`opinion.supported`: somebody has the same concern. `supporter` is an opaque id, one per person and
    opinion; a second one from the same supporter is refused."""

    supporter: str
    channel: str
    contact: str | None = None


class Withdrawn(Struct, frozen=True):
    """`opinion.withdrawn`: the resident takes the opinion back."""

    actor: Actor


class Rated(Struct, frozen=True):
    """`opinion.rated`: the resident's judgement of the answer; `dissatisfied` reopens."""

    actor: Actor
    score: Score
    comment: str | None = None


class ErasureRequested(Struct, frozen=True):
    """`opinion.erasure_requested`: every word and contact of this opinion is to be deleted. `reason`: a code,
    where staff ask for it."""

    actor: Actor
    reason: str | None = None


class Seen(Struct, frozen=True):
    """`opinion.seen`: the deputy has opened the case in the workbench."""

    actor: Actor


class Visited(Struct, frozen=True):
    """`visit.recorded` 走访: somebody went and looked, as another system of the city recorded it. `actor` is
    the deputy who went, `via` the channel that says so, or else the channel itself. It moves no stage and
    stops no clock, so `visited_at` may lie before the event's `time` for any key that may record visits.
    """

    actor: Actor
    visited_at: Moment | None = None
    text: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    evidence: tuple[str, ...] = ()
    media_url: Annotated[str, Meta(max_length=MAX_MEDIA_URL)] | None = None


class Accept(Struct, frozen=True):
    """`case.accept` 接办: the assignee takes the case on."""

    actor: Actor


class Answer(Struct, frozen=True):
    """`case.answer`: an interim answer that the resident can read; with `child`, the answer of the
    department that holds this child order."""

    actor: Actor
    text: str
    child: str | None = None


class Progress(Struct, frozen=True):
    """`case.progress` 办理: a note on what was done, with attachment ids as evidence."""

    actor: Actor
    text: str
    evidence: tuple[str, ...] = ()


class HandOver(Struct, frozen=True):
    """`case.hand_over`: a child order to department `to`, as main or assisting handler 主办/协办."""

    actor: Actor
    to: str
    role: Literal["main", "assist"] = "main"
    text: str | None = None


class Transfer(Struct, frozen=True):
    """`case.transfer`: the assignee passes the case to deputy `to`, who must hold a mandate for it."""

    actor: Actor
    to: str
    reason: str | None = None
    text: str | None = None


class Return(Struct, frozen=True):
    """`case.return` 退单: not mine; `reason` is a code of the policy. Counted and capped."""

    actor: Actor
    reason: str
    text: str | None = None


class Pause(Struct, frozen=True):
    """`case.pause`: the clocks stop for a `reason` code that the policy allows, until `until` at most."""

    actor: Actor
    reason: str
    until: Moment | None = None
    text: str | None = None


class Resume(Struct, frozen=True):
    """`case.resume`: the clocks run on."""

    actor: Actor


class Resolve(Struct, frozen=True):
    """`case.resolve` 办结: the answer `text` to the resident, its outcome, and attachment ids as evidence."""

    actor: Actor
    outcome: Outcome
    text: str
    evidence: tuple[str, ...] = ()


class Assign(Struct, frozen=True):
    """`case.assign`: a person decides in triage or arbitration: deputy `to`, or the corrected grid or topic
    by which the router is to decide again. At least one of the three is given."""

    actor: Actor
    to: str | None = None
    grid: str | None = None
    topic: str | None = None
    text: str | None = None


class Supervise(Struct, frozen=True):
    """`case.supervise` 督办: a supervisor presses for the case; `to` names further receivers."""

    actor: Actor
    text: str | None = None
    to: tuple[str, ...] = ()


class Publish(Struct, frozen=True):
    """`case.publish` 公开: the office releases `text`, the opinion's words with whatever tells who said them
    taken out, for anybody to read. A second one replaces the first."""

    actor: Actor
    text: Annotated[str, Meta(max_length=MAX_TEXT)]


class Unpublish(Struct, frozen=True):
    """`case.unpublish` 撤回公开: the office takes the released words back."""

    actor: Actor


class RevealContact(Struct, frozen=True):
    """`case.reveal_contact`: the assignee asks to see the resident's contact; recorded before it is shown."""

    actor: Actor


class Due(Struct, frozen=True):
    """`case.due`: a timer's knock. Only makes `decide` look at the clock; twice does no harm."""

    clock: Clock
    due: Moment


class Review(Struct, frozen=True):
    """`case.review`: registry version `registry_version` is in force and the assignee may have lost the
    mandate; the router asks itself to look again. Like a knock, twice does no harm."""

    registry_version: str


class Merge(Struct, frozen=True):
    """`case.merge`: issue `left` turned out to be the same as `issue`, and the router asks the case to
    follow. Twice does no harm."""

    left: str
    issue: str


MODELS: dict[str, type[Struct]] = {
    "opinion.submitted": Submitted,
    "opinion.supported": Supported,
    "opinion.withdrawn": Withdrawn,
    "opinion.rated": Rated,
    "opinion.erasure_requested": ErasureRequested,
    "opinion.seen": Seen,
    "visit.recorded": Visited,
    "case.accept": Accept,
    "case.answer": Answer,
    "case.progress": Progress,
    "case.hand_over": HandOver,
    "case.transfer": Transfer,
    "case.return": Return,
    "case.pause": Pause,
    "case.resume": Resume,
    "case.resolve": Resolve,
    "case.assign": Assign,
    "case.supervise": Supervise,
    "case.publish": Publish,
    "case.unpublish": Unpublish,
    "case.reveal_contact": RevealContact,
    "case.due": Due,
    "case.review": Review,
    "case.merge": Merge,
}
