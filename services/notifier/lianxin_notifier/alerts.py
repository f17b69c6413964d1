"""Alerts and their records on `alerts.deliveries`: ids, addresses, and what is written. No I/O."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from lianxin_contracts import ids, topics
from lianxin_contracts.deliveries import Delivery, DeliveryStatus, InboxEntry
from lianxin_contracts.envelope import Event, OutRecord, milliseconds, to_record
from lianxin_contracts.inbound import Moment
from lianxin_notifier.inbox import Alert
from lianxin_notifier.preferences import PUSH

# The receiver of messages to whoever handed an opinion in: no more of them is known outside a sealed box.
RESIDENT = "resident"
Outside = Literal["mail", "webhook", "push", "wecom", "wecom_app", "dingtalk", "feishu", "sms"]
OUTSIDE: tuple[Outside, ...] = (
    "mail", "webhook", "push", "wecom", "wecom_app", "dingtalk", "feishu", "sms",
)  # fmt: skip
INBOX = "inbox"
# What a message that tells of all that waits is about.
DIGEST = "notice.digest"
_OUTSIDE: dict[str, Outside] = {kind: kind for kind in OUTSIDE}


class Address(Struct, frozen=True):
    """One channel of a receiver: `name` tells it from another of the same kind (`mail`, `mail.2`)."""

    kind: Outside
    name: str
    target: str


class Numbered(Struct, frozen=True, kw_only=True):
    """An alert in an inbox, under the receiver's own number: 1, 2, 3 … in the order of appearance."""

    receiver: str
    number: int
    alert: str
    cause: str
    opinion: str
    at: Moment
    entry: InboxEntry
    latency_ms: int | None = None


class Due(Struct, frozen=True, kw_only=True):
    """A delivery by an outside channel, as it is when a worker has claimed it.

    `attempt` counts the attempts made so far; `repeated` says that the outcome of one of them is unknown,
    because a process died (or a connection broke) between the message's going out and its answer. `again`
    is 0 for the alert itself and counts its repeats; `others`: should this channel not take it, there is
    another. `language` is the receiver's wish, empty for what the registry says.

    Of messages that are not about an event of a case: `counts`, `station` and `day` (ISO) as the message
    names them. `link` and `stop` are addresses that hold a secret: they are put in just before an attempt and
    never kept, as is a resident's address in `target`.
    """

    alert: str
    name: str
    kind: Outside
    target: str
    receiver: str
    opinion: str
    cause: str
    raised: Moment
    entry: InboxEntry
    street: str | None = None
    attempt: int = 0
    repeated: bool = False
    again: int = 0
    others: bool = False
    language: str = ""
    counts: dict[str, int] = {}
    station: str | None = None
    day: str | None = None
    link: str | None = None
    stop: str | None = None

    @property
    def page(self) -> str:
        """The path of the page that it is about: the case's, else the inbox."""
        return f"/inbox/{self.opinion}" if self.opinion else "/inbox"

    def __repr__(self) -> str:
        return f"Due({self.alert})"  # no log line and no traceback shows an address or a link


def alert_id(cause: str, receiver: str, channel: str, again: int = 0) -> str:
    """UUIDv5 of the lifecycle event, the receiver and the channel: an alert is raised once, and so is each of
    its repeats."""
    repeat = ("again", str(again)) if again else ()
    return ids.derived(cause, receiver, channel, *repeat)


def message_id(alert: str) -> str:
    """The Message-ID (RFC 5322) of every attempt of this alert."""
    return f"<{alert}@lianxin>"


def addresses(channels: Iterable[str]) -> tuple[Address, ...]:
    """The addresses among a deputy's `kind:target` channels, in order; unknown kinds are left out."""
    found: list[Address] = []
    for channel in channels:
        kind, _, target = channel.partition(":")
        if kind not in _OUTSIDE or bool(target) == (kind == PUSH):
            continue
        if kind == PUSH and any(other.kind == PUSH for other in found):
            continue
        same = sum(1 for other in found if other.kind == kind)
        found.append(Address(_OUTSIDE[kind], kind if not same else f"{kind}.{same + 1}", target))
    return tuple(found)


def with_browsers(channels: Iterable[str]) -> tuple[str, ...]:
    """The channels of somebody who takes alerts in a browser: that comes first, unless they have a place for
    it. Whoever pressed the button meant it."""
    known = tuple(channels)
    return known if any(one.partition(":")[0] == PUSH for one in known) else (PUSH, *known)


def reachable(registered: Sequence[str], chosen: Sequence[str]) -> tuple[Address, ...]:
    """The addresses `chosen`, in that order, under the names that they have by the registry's order: an order
    of the person's own changes no alert's id."""
    named = {
        f"{one.kind}:{one.target}" if one.target else one.kind: one for one in addresses((*registered, PUSH))
    }
    return tuple(named[channel] for channel in chosen if channel in named)


def due_for(
    alert: Alert, address: Address, again: int = 0, *, others: bool = False, language: str = ""
) -> Due:
    """The delivery of `alert` to `address`, not attempted yet."""
    return Due(
        alert=alert_id(alert.cause, alert.receiver, address.name, again),
        name=address.name,
        kind=address.kind,
        target=address.target,
        receiver=alert.receiver,
        opinion=alert.opinion,
        cause=alert.cause,
        raised=alert.recorded,
        entry=alert.entry,
        street=alert.street,
        again=again,
        others=others,
        language=language,
    )


def numbered(alert: Alert, number: int, at: datetime) -> Numbered:
    """`alert` as number `number` of its receiver's inbox since `at`."""
    latency = None
    if alert.first and alert.submitted is not None:
        latency = max(0, milliseconds(at) - milliseconds(alert.submitted))
    return Numbered(
        receiver=alert.receiver,
        number=number,
        alert=alert_id(alert.cause, alert.receiver, INBOX),
        cause=alert.cause,
        opinion=alert.opinion,
        at=at,
        entry=alert.entry,
        latency_ms=latency,
    )


def inbox_record(entry: Numbered) -> OutRecord:
    """The record that tells of an inbox alert; the same however often it is made."""
    delivery = Delivery(
        alert=entry.alert,
        cause=entry.cause,
        opinion=entry.opinion,
        receiver=entry.receiver,
        channel="inbox",
        status="sent",
        attempt=1,
        number=entry.number,
        latency_ms=entry.latency_ms,
        entry=entry.entry,
    )
    return delivery_record(delivery, entry.at)


def attempt_record(
    due: Due, status: DeliveryStatus, attempt: int, at: datetime, error: str | None = None
) -> OutRecord:
    """The record of one step of a delivery by an outside channel."""
    return delivery_record(step_of(due, status, attempt, error), at)


def step_of(due: Due, status: DeliveryStatus, attempt: int, error: str | None = None) -> Delivery:
    """One step of a delivery by an outside channel, as the log has it."""
    return Delivery(
        alert=due.alert,
        cause=due.cause,
        opinion=due.opinion,
        receiver=due.receiver,
        channel=due.kind,
        status=status,
        attempt=attempt,
        message_id=message_id(due.alert) if due.kind == "mail" else due.alert,
        repeated_after_crash=due.repeated,
        error=error,
        about=due.entry.event,
        again=due.again,
    )


def given_up(unfinished: Delivery) -> Delivery:
    """The end of a delivery that is known from its records alone: it can't be gone on with."""
    lost = "the outcome is unknown" if unfinished.status == "attempting" else "no further attempt"
    before = f"{unfinished.error}; " if unfinished.error else ""
    error = f"{before}the database was dropped: {lost}"
    return replace(unfinished, status="dead", error=error)


def delivery_record(delivery: Delivery, at: datetime) -> OutRecord:
    """The record that tells of one step of a delivery; its id is the same however often it is made."""
    event = Event(
        id=ids.derived(delivery.alert, delivery.status, str(delivery.attempt)),
        source=f"/notifier/{delivery.channel}",
        type="delivery.recorded",
        subject=delivery.opinion or delivery.alert,
        time=at,
        recordedtime=at,
        data=delivery,
        causationid=delivery.cause or None,
    )
    return to_record(event, topics.DELIVERIES, delivery.alert)
