"""What the router decided: the payloads of `opinions.lifecycle`, keyed by opinion id, numbered per case.

Codes, times, ids and decisions only: never free text, address, contact or exact coordinates. Where a
decision has words, `words` is the part id under which `opinions.words` holds them. `receivers` are the
deputies (ids) whom the router has decided must know of it.
"""

from typing import Literal

from msgspec import Struct, field

from lianxin_contracts.inbound import Actor, CaseKind, Clock, Entry, Moment, Outcome, Score

Stage = Literal["submitted", "triage", "assigned", "accepted", "in_progress", "resolved", "rated", "closed"]
STAGES: tuple[Stage, ...] = (
    "submitted", "triage", "assigned", "accepted", "in_progress", "resolved", "rated", "closed"
)  # fmt: skip


class Reason(Struct, frozen=True):
    """A reason code with its values; the words are made when it is shown."""

    code: str
    values: dict[str, str] = field(default_factory=dict)


class LocatedBy(Struct, frozen=True):
    """Where the router placed the opinion, by which clue, how sure (0..1), and what was tried."""

    grid: str | None
    by: Literal["grid", "coordinates", "station", "text", "staff", "none"]
    confidence: float
    evidence: tuple[Reason, ...] = ()
    tried: tuple[str, ...] = ()


class TopicScore(Struct, frozen=True):
    """A topic code and its probability, 0..1."""

    topic: str
    score: float


class ClassifiedAs(Struct, frozen=True):
    """What the opinion is about, by which means, and the runners-up."""

    topic: str | None
    by: Literal["choice", "rules", "model", "staff", "none"]
    confidence: float
    candidates: tuple[TopicScore, ...] = ()
    evidence: tuple[Reason, ...] = ()


class Candidate(Struct, frozen=True):
    """A deputy who was considered: open cases held (`load`), the cap, and why chosen or left out."""

    deputy: str
    level: str
    load: int
    cap: int
    score: float
    reasons: tuple[str, ...] = ()


class Explanation(Struct, frozen=True):
    """Why an opinion came to where it is. Enough to check the decision without the router."""

    registry_version: str
    rules_version: str
    located: LocatedBy
    classified: ClassifiedAs
    candidates: tuple[Candidate, ...] = ()
    reasons: tuple[Reason, ...] = ()


class DueTimes(Struct, frozen=True):
    """When each clock runs out (UTC), frozen at the first assignment, and when it is reminded of. `working`
    names the clocks among them that count working time; `provisional` says that a due date lies in a year
    whose holidays were not yet published, so that plain weekends were counted."""

    acknowledge: Moment
    first_response: Moment
    resolve: Moment
    policy: str
    policy_version: str
    acknowledge_reminder: Moment | None = None
    resolve_reminder: Moment | None = None
    working: tuple[Clock, ...] = ()
    provisional: bool = False


class RoundedPlace(Struct, frozen=True):
    """WGS-84 degrees rounded to three decimals, about 100 m."""

    lat: float
    lon: float


class Submitted(Struct, frozen=True):
    """`opinion.submitted` 提出: the case is open. `replayed`: it lives on the times of its commands, the wall
    clock does not knock. `readable` is false where the submission itself was a dead letter."""

    channel: str
    digest: str
    kind: CaseKind = "opinion"
    entry: Entry = "direct"
    replayed: bool = False
    readable: bool = True
    station: str | None = None
    topic: str | None = None
    near: RoundedPlace | None = None
    language: str = "zh"
    attachments: tuple[str, ...] = ()
    has_contact: bool = False
    words: str | None = None


class Triaged(Struct, frozen=True):
    """`opinion.triaged` 待分派: a person must decide; the router's candidates are in the explanation.
    `first_level` is the first-level topic above `topic` in the registry version that decided."""

    reasons: tuple[Reason, ...]
    explanation: Explanation
    due: Moment
    street: str | None = None
    district: str | None = None
    grid: str | None = None
    topic: str | None = None
    receivers: tuple[str, ...] = ()
    first_level: str | None = None
    words: str | None = None


class Assigned(Struct, frozen=True):
    """`opinion.assigned` 交办: `assignee` (a deputy's id) is responsible from now on. `attempt` counts
    from 1. `first_level` is the first-level topic above `topic` (or itself) in the registry version that
    decided: figures by topic are read from the log alone, whatever becomes of the taxonomy.
    Where nobody accepts until `take_back` (UTC) the router takes the case back."""

    assignee: str
    by: Literal["router", "triage", "transfer", "return", "take_back", "substitute", "ladder"]
    grid: str
    street: str
    district: str
    topic: str
    attempt: int
    due: DueTimes
    explanation: Explanation
    receivers: tuple[str, ...] = ()
    first_level: str | None = None
    take_back: Moment | None = None
    words: str | None = None


class Accepted(Struct, frozen=True):
    """`opinion.accepted` 接办."""

    actor: Actor


class Answered(Struct, frozen=True):
    """`opinion.answered`: something the resident can read; the first one stops the first-response clock."""

    actor: Actor
    words: str
    child: str | None = None


class Progressed(Struct, frozen=True):
    """`opinion.progressed` 办理."""

    actor: Actor
    words: str
    evidence: tuple[str, ...] = ()


class HandedOver(Struct, frozen=True):
    """`opinion.handed_over`: child order `child` to a department; the case closes only when it answered."""

    actor: Actor
    child: str
    department: str
    role: Literal["main", "assist"]
    words: str | None = None


class Transferred(Struct, frozen=True):
    """`opinion.transferred`: the assignee gave it to `to`; the assignment follows as its own event."""

    actor: Actor
    to: str
    reason: str | None = None
    words: str | None = None


class Returned(Struct, frozen=True):
    """`opinion.returned` 退单: the `count`-th return; past the policy's cap it goes to arbitration."""

    actor: Actor
    reason: str
    count: int
    arbitration: bool = False
    words: str | None = None
    receivers: tuple[str, ...] = ()


class TakenBack(Struct, frozen=True):
    """`opinion.taken_back`: the router takes the case from `assignee` (silence, lost mandate, leave)."""

    assignee: str
    reason: Literal["silence", "mandate_lost", "leave", "staff"]
    receivers: tuple[str, ...] = ()


class Paused(Struct, frozen=True):
    """`opinion.paused`: clocks stand still until `until` (UTC) at most."""

    actor: Actor
    reason: str
    until: Moment
    words: str | None = None


class Resumed(Struct, frozen=True):
    """`opinion.resumed`: clocks run on; `due` are the times moved by the pause."""

    actor: Actor
    paused_seconds: int
    due: DueTimes | None = None


class Resolved(Struct, frozen=True):
    """`opinion.resolved` 办结/沟通: the answer is with the resident, who may rate until `rate_until` (UTC).
    `times` counts resolutions of this case from 1."""

    actor: Actor
    outcome: Outcome
    words: str
    times: int
    rate_until: Moment
    evidence: tuple[str, ...] = ()


class Rated(Struct, frozen=True):
    """`opinion.rated` 评价."""

    score: Score
    words: str | None = None
    receivers: tuple[str, ...] = ()


class Reopened(Struct, frozen=True):
    """`opinion.reopened` 重办: the `times`-th time. `due.resolve` is the new date, from the resident's
    dissatisfaction; `assignee` is None where the case is routed anew."""

    times: int
    assignee: str | None
    receivers: tuple[str, ...] = ()
    due: DueTimes | None = None


class Closed(Struct, frozen=True):
    """`opinion.closed` 归档. `unrated`: the window passed in silence, which is never satisfaction."""

    how: Literal["rated", "unrated", "withdrawn", "erased"]
    score: Score | None = None


class Withdrawn(Struct, frozen=True):
    """`opinion.withdrawn`: the resident took it back."""

    actor: Actor
    receivers: tuple[str, ...] = ()


class Supported(Struct, frozen=True):
    """`opinion.supported`: `supporters` people now share it, the author not counted. `contact` is the part id
    of the supporter's sealed contact, where one was given."""

    supporter: str
    supporters: int
    contact: str | None = None


class Supervised(Struct, frozen=True):
    """`opinion.supervised` 督办."""

    actor: Actor
    words: str | None = None
    receivers: tuple[str, ...] = ()


class Published(Struct, frozen=True):
    """`opinion.published` 公开: the office has released a redacted version, in part `words`, for anybody to
    read, in place of what it released before."""

    actor: Actor
    words: str


class Unpublished(Struct, frozen=True):
    """`opinion.unpublished` 撤回公开: nothing of the opinion's words is for anybody to read any more. An
    erasure and a withdrawal say the same without this event."""

    actor: Actor


class ContactRevealed(Struct, frozen=True):
    """`contact.revealed`: `actor` was shown the contact under `command`; the resident sees this record."""

    actor: Actor


class SeenBy(Struct, frozen=True):
    """`opinion.seen`: the deputy opened the case."""

    actor: Actor


class Visited(Struct, frozen=True):
    """`opinion.visited` 走访: somebody went and looked at `visited_at`, as `actor` recorded it. Stage and
    clocks stay as they are. The note and the link that came with it are the part `words`."""

    actor: Actor
    visited_at: Moment
    words: str | None = None
    evidence: tuple[str, ...] = ()


class Breached(Struct, frozen=True):
    """`clock.breached`: emitted once per clock and running; `held_by` held the case at that instant. The
    event's `time` is the due instant, or the case's latest event where that is later."""

    clock: Clock
    due: Moment
    held_by: str | None
    receivers: tuple[str, ...] = ()


class Reminded(Struct, frozen=True):
    """`clock.reminded`: `clock` runs out at `due`."""

    clock: Clock
    due: Moment
    receivers: tuple[str, ...] = ()


class IssueJoined(Struct, frozen=True):
    """`issue.joined`: this case belongs to `issue` (its own id where it is the first). `similarity` 0..1."""

    issue: str
    similarity: float
    matched: str | None = None


class IssueMerged(Struct, frozen=True):
    """`issue.merged`: this case moves from issue `left` to issue `issue`."""

    left: str
    issue: str


class IssueSurged(Struct, frozen=True):
    """`issue.surged`: this case is the one by which `issue` became hot: `cases` within `hours`."""

    issue: str
    cases: int
    hours: int
    receivers: tuple[str, ...] = ()


class Erased(Struct, frozen=True):
    """`opinion.erased`: words and contacts are deleted; later records of this id are refused. `reason`: a
    code, where staff erased it."""

    actor: Actor
    reason: str | None = None


class CommandRefused(Struct, frozen=True):
    """`command.refused`: the inbound record named by `causationid` changed nothing, and why."""

    type: str
    code: str
    values: dict[str, str] = field(default_factory=dict)


class ClockChecked(Struct, frozen=True):
    """`clock.checked`: a knock found nothing due; its trace on the lifecycle."""

    clock: Clock


MODELS: dict[str, type[Struct]] = {
    "opinion.submitted": Submitted,
    "opinion.triaged": Triaged,
    "opinion.assigned": Assigned,
    "opinion.accepted": Accepted,
    "opinion.answered": Answered,
    "opinion.progressed": Progressed,
    "opinion.handed_over": HandedOver,
    "opinion.transferred": Transferred,
    "opinion.returned": Returned,
    "opinion.taken_back": TakenBack,
    "opinion.paused": Paused,
    "opinion.resumed": Resumed,
    "opinion.resolved": Resolved,
    "opinion.rated": Rated,
    "opinion.reopened": Reopened,
    "opinion.closed": Closed,
    "opinion.withdrawn": Withdrawn,
    "opinion.supported": Supported,
    "opinion.supervised": Supervised,
    "opinion.published": Published,
    "opinion.unpublished": Unpublished,
    "opinion.seen": SeenBy,
    "opinion.visited": Visited,
    "opinion.erased": Erased,
    "contact.revealed": ContactRevealed,
    "clock.breached": Breached,
    "clock.reminded": Reminded,
    "clock.checked": ClockChecked,
    "issue.joined": IssueJoined,
    "issue.merged": IssueMerged,
    "issue.surged": IssueSurged,
    "command.refused": CommandRefused,
}
