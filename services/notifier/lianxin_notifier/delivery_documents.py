"""What a delivery by an outside channel is, and the document of it in the collection `deliveries`."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from lianxin_chassis.database import Document
from lianxin_contracts.inbound import Moment
from lianxin_notifier.alerts import Due

RESTORED = "restored"  # the `kind` of what is known from its records alone: no sender claims it
Status = Literal["queued", "attempting", "failed", "sent", "dead", "skipped"]


class Claimed(Struct, frozen=True, kw_only=True):
    """A delivery in this worker's hands until its lease ends. `unrecorded` says that its result stands in the
    database and has yet to be published."""

    due: Due
    status: Status
    version: int
    unrecorded: bool = False
    error: str | None = None
    retry_at: Moment | None = None


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A delivery that was given up. `whole` is false where it is known from its records alone, so that it
    can't be attempted again; `gone_on` says that another channel of the receiver was tried instead."""

    alert: str
    channel: str
    receiver: str
    opinion: str
    raised: Moment
    attempt: int
    error: str | None
    whole: bool
    gone_on: bool = False


class Made(Struct, frozen=True, kw_only=True):
    """One delivery of an alert, for choosing what follows. `name` is None where it is known from its records
    alone; `raised` is when its event was recorded, or, of such a one, its last record; `at` when it ended."""

    alert: str
    cause: str
    receiver: str
    kind: str
    name: str | None
    again: int
    status: Status
    raised: Moment
    at: Moment


def fields_of(due: Due) -> dict[str, Any]:
    """What of a delivery that is to be made stands in its document; its `alert` is the `_id`."""
    fields = builtins_of(due)
    del fields["alert"]
    return fields


def builtins_of(value: Struct) -> dict[str, Any]:
    """`value` as the database takes it: datetimes stay what they are."""
    fields: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return fields


def about_of(document: Document) -> str | None:
    """The event that a delivery tells of; None where its record does not say."""
    restored = document["kind"] == RESTORED
    about: str | None = document["record"].get("about") if restored else document["entry"]["event"]
    return about


def dead_letter_of(document: Document) -> DeadLetter:
    """A delivery that was given up, for whoever looks after it."""
    restored = document["kind"] == RESTORED
    return DeadLetter(
        alert=document["_id"],
        channel=document["record"]["channel"] if restored else document["kind"],
        receiver=document["receiver"],
        opinion=document["opinion"],
        raised=document["raised"],
        attempt=document["attempt"],
        error=document.get("error"),
        whole=not restored,
        gone_on=document.get("gone_on", False),
    )


def made_of(document: Document) -> Made:
    """A delivery for whoever chooses what follows."""
    restored = document["kind"] == RESTORED
    record: Document = document["record"] if restored else document
    return Made(
        alert=document["_id"],
        cause=document["cause"],
        receiver=document["receiver"],
        kind=record["channel" if restored else "kind"],
        name=document.get("name"),
        again=record.get("again", 0),
        # One that was restored counts as sent to whoever would send it; here is asked for what is known.
        status=document["last_record"] if restored else document["status"],
        raised=document["raised"],
        at=document.get("ended") or document["raised"],
    )


def claimed_of(document: Document) -> Claimed:
    """A delivery that was claimed; one that is known from its records alone never is."""
    return Claimed(
        due=msgspec.convert({**document, "alert": document["_id"]}, Due),
        status=document["status"],
        version=document["version"],
        unrecorded=document.get("unrecorded", False),
        error=document.get("error"),
        retry_at=document.get("retry_at"),
    )
