"""Taking a batch apart: what is left without a bad record, what belongs together, what came of each."""

from collections.abc import Sequence

from lianxin_chassis.exits import die
from lianxin_chassis.parking import Aside, Key, key_of
from lianxin_chassis.records import Message, Record


class Unprocessable(Exception):
    """Raised by a handler for one record that it can't handle: that record is put aside with `reason` (a
    short code, it becomes a label) and `detail`, its key is parked, and the rest of the batch is handled
    again."""

    def __init__(self, message: Message, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} at {message.record.topic}/{message.record.partition}")
        self.message = message
        self.reason = reason
        self.detail = detail


def outcomes_of(records: Sequence[Record], aside: Sequence[Aside]) -> list[bool]:
    """Of each of `records` in order: whether it was handled. Those that only follow a parked key are left
    out: they say nothing of the code."""
    reasons = {(one.record.topic, one.record.partition, one.record.offset): one.follows for one in aside}
    places = [(record.topic, record.partition, record.offset) for record in records]
    return [place not in reasons for place in places if not reasons.get(place, False)]


def without(messages: list[Message], bad: Aside, aside: list[Aside]) -> list[Message]:
    """`messages` less the bad one and what follows it under its key; those go to `aside`."""
    kept: list[Message] = []
    found = False
    for message in messages:
        record = message.record
        if record == bad.record:
            found = True
            aside.append(bad)
        elif found and key_of(record) == key_of(bad.record):
            aside.append(Aside(record, "parked"))
        else:
            kept.append(message)
    if not found:
        die("a handler blames a record that is not in its batch")
    return kept


def by_key(messages: list[Message]) -> list[list[Message]]:
    """`messages` of each key, in their order."""
    keys: dict[Key, list[Message]] = {}
    for message in messages:
        keys.setdefault(key_of(message.record), []).append(message)
    return list(keys.values())
