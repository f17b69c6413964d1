"""What was sent to whom by which channel, with what result: the payload of `alerts.deliveries`, keyed by
alert id. A rebuild reads these before anything else, so that nothing is sent twice."""

from typing import Literal

from msgspec import Struct

from lianxin_contracts.inbound import Moment
from lianxin_contracts.lifecycle import Stage

Channel = Literal["inbox", "mail", "webhook", "push", "wecom", "wecom_app", "dingtalk", "feishu", "sms"]
DeliveryStatus = Literal["attempting", "sent", "failed", "dead", "skipped"]
EntryState = Literal["open", "left", "closed"]


class InboxEntry(Struct, frozen=True):
    """What an inbox shows of one opinion, as it was when the alert was raised: codes and times only.

    `event` is the type of the lifecycle event behind it. `state` is `left` where the case went to another
    receiver, so that an open inbox takes it off its list. `due` is the clock that runs out next.
    """

    event: str
    stage: Stage
    state: EntryState
    topic: str | None = None
    grid: str | None = None
    assigned_at: Moment | None = None
    due: Moment | None = None


class Delivery(Struct, frozen=True):
    """`delivery.recorded`: one step of one alert on one channel.

    `about` says which message it was: the type of the lifecycle event, `notice.…` (digest, weekly,
    contact_day) or `resident.…`; None in records from before there was such a field, and for `inbox`. Notices
    are about no single case: `opinion` and `cause` are then empty. A resident is the receiver `resident`,
    whoever it is.

    `alert` is UUIDv5 of (cause, receiver, channel), of the `again`-th repeat to somebody who did not heed it
    UUIDv5 of (cause, receiver, channel, "again", `again`); `cause` the lifecycle event that asked for it;
    `number` the receiver's own inbox number (channel `inbox` only) and `entry` what the inbox shows.
    `attempting` is written before an attempt is made, its result after; an `attempting` without a result
    means that a process died in between, and its repetition carries `repeated_after_crash`.
    """

    alert: str
    cause: str
    opinion: str
    receiver: str
    channel: Channel
    status: DeliveryStatus
    attempt: int
    number: int | None = None
    message_id: str | None = None
    repeated_after_crash: bool = False
    error: str | None = None
    latency_ms: int | None = None
    entry: InboxEntry | None = None
    about: str | None = None
    again: int = 0


MODELS: dict[str, type[Struct]] = {"delivery.recorded": Delivery}
