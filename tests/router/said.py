"""What people and systems say, as intake, notifier and the router's timers write it on `opinions.inbound`."""

from datetime import UTC, datetime

from msgspec import Struct

from lianxin_chassis.records import Message, Record
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from tests.router.small_city import GRID, ROADS


def now() -> datetime:
    """To the millisecond, as events are."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def deputy(id_: str) -> inbound.Actor:
    return inbound.Actor("deputy", id_)


def event(opinion: str, data: Struct, at: datetime | None = None, *, source: str | None = None) -> Event:
    type_ = next(name for name, model in inbound.MODELS.items() if model is type(data))
    time = at or now()
    default = "/intake/app" if type_.startswith("opinion.") else "/notifier/ann"
    return Event(
        id=ids.fresh(),
        source=source or default,
        type=type_,
        subject=opinion,
        time=time,
        recordedtime=time,
        data=data,
    )


def submitted(
    opinion: str, text: str = "路面有一个大坑", at: datetime | None = None, **fields: object
) -> Event:
    """A resident's opinion about roads in the first grid, unless told otherwise."""
    given: dict[str, object] = {"grid": GRID, "topic": ROADS} | fields
    said = inbound.Submitted("app", text, digest=ids.derived(text), **given)  # type: ignore[arg-type]
    return event(opinion, said, at)


def unclear(opinion: str) -> Event:
    """An opinion that no rule can place."""
    return submitted(opinion, "你好", grid=None, topic=None)


def record(said: Event, key: str | None = None) -> OutRecord:
    return to_record(said, topics.INBOUND, said.subject if key is None else key)


def unreadable(opinion: str) -> OutRecord:
    """A submission whose value is no JSON."""
    whole = record(submitted(opinion))
    return OutRecord(whole.topic, whole.key, b'{"channel": "app", ', whole.headers, whole.timestamp_ms)


def message(said: Event, offset: int = 0, key: str | None = None) -> Message:
    """As the consumer hands it to the handler."""
    out = record(said, key)
    read = Record(out.topic, 0, offset, out.key, out.value, out.headers, out.timestamp_ms)
    return Message(read, said, out.key.decode())
