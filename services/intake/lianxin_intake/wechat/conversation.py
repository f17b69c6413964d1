"""The conversation that turns messages into one opinion. Pure: no clock, no I/O, no words of ours.

`step(conversation, name, said, now)` gives the next conversation and what to reply. A message that was
handled is recognised by its name, changes nothing and gets the same reply. What a person sends is gathered in
a draft; told to, the draft becomes `Outgoing` with a name of its own, which is its idempotency key, and stays
so until somebody says that the broker has it (`confirmed`) or that it can't be taken (`refused`).
"""

import re
from collections.abc import Container
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from msgspec import Struct

from lianxin_contracts.inbound import MAX_TEXT
from lianxin_intake.cleaning import clean_text

# A draft that nobody added to for so long is dropped, and the person is told at the next message.
IDLE = timedelta(hours=1)
MAX_PARTS = 40
MAX_PICTURES = 9
MAX_OUTGOING = 3  # opinions that wait for the broker; more would only wait longer
KEPT_SENT = 5
KEPT_HANDLED = 30  # WeChat retries within 15 s; nobody writes that many messages in between

Kind = Literal[
    "welcome", "station", "unknown_station", "gathered", "pointed", "pictured", "no_pictures", "unsupported",
    "full", "nothing_yet", "words_wanted", "submitted", "waiting", "cancelled", "nothing_to_cancel",
    "help", "silent",
]  # fmt: skip
Command = Literal["submit", "cancel", "progress", "help"]

_COMMANDS: dict[str, Command] = {
    "提交": "submit", "完成": "submit", "发送": "submit", "1": "submit", "１": "submit",
    "取消": "cancel", "进度": "progress", "查询": "progress", "帮助": "help", "?": "help", "？": "help",
}  # fmt: skip
_QUERY = re.compile(r"(?:查询|进度)[\s:：]*([0-9A-Za-z][0-9A-Za-z\- ]{3,62})")


class Wrote(Struct, frozen=True):
    """A text; `heard`: what WeChat recognised in a voice message, which is never a command."""

    text: str
    heard: bool = False


class Showed(Struct, frozen=True):
    """A picture, where WeChat keeps it. The service fetches it and says `Pictured` or `Unpictured`."""

    media_id: str
    url: str


class Pictured(Struct, frozen=True):
    """A picture that was kept as this attachment."""

    attachment: str


class Unpictured(Struct, frozen=True):
    """A picture that could not be kept: to be told, and nothing else."""


class Pointed(Struct, frozen=True):
    """A place, degrees of GCJ-02, with WeChat's words for it (may be empty)."""

    lat: float
    lon: float
    label: str = ""


class Scanned(Struct, frozen=True):
    """The QR code of a station; `first`: by somebody who subscribed with it."""

    station: str
    first: bool = False


class Arrived(Struct, frozen=True):
    """Somebody subscribed."""


class Left(Struct, frozen=True):
    """Somebody unsubscribed."""


class Tapped(Struct, frozen=True):
    """An entry of the account's menu: its key is one of `Command`."""

    key: str


class Unsupported(Struct, frozen=True):
    """A kind of message that can't be part of an opinion: link, video, voice that nobody understood."""

    kind: str


class Ignored(Struct, frozen=True):
    """An event that nobody said."""


Said = (
    Wrote
    | Showed
    | Pictured
    | Unpictured
    | Pointed
    | Scanned
    | Arrived
    | Left
    | Tapped
    | Unsupported
    | Ignored
)


class Point(Struct, frozen=True):
    """A place in degrees of GCJ-02."""

    lat: float
    lon: float
    label: str = ""


class Draft(Struct, frozen=True, omit_defaults=True):
    """What was gathered so far."""

    station: str | None = None
    texts: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    point: Point | None = None

    @property
    def text(self) -> str:
        """All that was written, a paragraph each."""
        return "\n".join(self.texts)


class Outgoing(Struct, frozen=True):
    """A draft that its author sent off at `at`; `name` is its idempotency key."""

    name: str
    draft: Draft
    at: datetime


class Reply(Struct, frozen=True, omit_defaults=True):
    """What to reply: the wording is made when it is sent, so that no code and no words lie in the record.
    `of`: the name of an `Outgoing`, or a station; `dropped`: an idle draft went before this."""

    kind: Kind
    of: str = ""
    texts: int = 0
    pictures: int = 0
    pointed: bool = False
    dropped: bool = False


class Ask(Struct, frozen=True):
    """What to reply is to be looked up: where the opinion of `code`, or the last one sent (""), stands."""

    code: str = ""


class Handled(Struct, frozen=True):
    """A message that was handled, and what was replied."""

    name: str
    reply: Reply


class Sent(Struct, frozen=True):
    """An `Outgoing` and what became of it: the opinion's id, or None and the code of what was wrong."""

    name: str
    opinion: str | None
    why: str = ""


class Conversation(Struct, frozen=True, omit_defaults=True):
    """One person's conversation with one account. `touched`: when the draft last grew; `lapsed`: an idle
    draft was dropped and its author does not know yet."""

    draft: Draft = Draft()
    touched: datetime | None = None
    lapsed: bool = False
    outgoing: tuple[Outgoing, ...] = ()
    sent: tuple[Sent, ...] = ()
    handled: tuple[Handled, ...] = ()


class Turn(Struct, frozen=True):
    """What follows from a message."""

    conversation: Conversation
    reply: Reply | Ask


def step(conversation: Conversation, name: str, said: Said, now: datetime, stations: Container[str]) -> Turn:
    """What follows from `said`, the message `name`, at `now`. `stations` are those that there are."""
    for handled in conversation.handled:
        if handled.name == name:
            return Turn(conversation, handled.reply)
    current = lapse(conversation, now)
    command = command_in(said)
    if isinstance(command, Ask):
        return Turn(conversation, command)
    if command == "submit":
        changed, reply = _submit(current, name, now)
    elif command == "cancel":
        changed, reply = _cancel(current)
    elif command == "help":
        changed, reply = current, Reply("help")
    else:
        changed, reply = _gather(current, said, now, stations)
    if changed.lapsed and reply.kind != "silent":
        changed = msgspec.structs.replace(changed, lapsed=False)
        reply = msgspec.structs.replace(reply, dropped=True)
    handled_now = (*changed.handled, Handled(name, reply))[-KEPT_HANDLED:]
    return Turn(msgspec.structs.replace(changed, handled=handled_now), reply)


def command_in(said: Said) -> Command | Ask | None:
    """The command that `said` is, if it is one."""
    if isinstance(said, Tapped):
        key: Command = said.key if said.key in ("submit", "cancel", "progress") else "help"  # type: ignore[assignment]
        return Ask() if key == "progress" else key
    if not isinstance(said, Wrote) or said.heard:
        return None
    text = said.text.strip().rstrip("。.!！")
    if match := _QUERY.fullmatch(text):
        return Ask(match[1].strip())
    command = _COMMANDS.get(text)
    return Ask() if command == "progress" else command


def lapse(conversation: Conversation, now: datetime) -> Conversation:
    """`conversation` without a draft that has lain idle; that one was is kept for its author."""
    touched = conversation.touched
    if touched is None or now - touched < IDLE:
        return conversation
    return msgspec.structs.replace(conversation, draft=Draft(), touched=None, lapsed=True)


def confirmed(conversation: Conversation, name: str, opinion: str) -> Conversation:
    """The broker has the outgoing `name`, as `opinion`. Safe to repeat."""
    return _settled(conversation, Sent(name, opinion))


def refused(conversation: Conversation, name: str, why: str) -> Conversation:
    """The outgoing `name` can't be taken as it is, for `why` (a code). Its words go back into the draft,
    where there is no other, to be sent anew. Safe to repeat."""
    returned = next((one for one in conversation.outgoing if one.name == name), None)
    settled = _settled(conversation, Sent(name, None, why))
    if returned is None or settled.touched is not None:
        return settled
    words = Draft(texts=returned.draft.texts)
    return msgspec.structs.replace(settled, draft=words, touched=returned.at)


def _settled(conversation: Conversation, sent: Sent) -> Conversation:
    if all(outgoing.name != sent.name for outgoing in conversation.outgoing):
        return conversation
    return msgspec.structs.replace(
        conversation,
        outgoing=tuple(one for one in conversation.outgoing if one.name != sent.name),
        sent=(*conversation.sent, sent)[-KEPT_SENT:],
    )


def _submit(current: Conversation, name: str, now: datetime) -> tuple[Conversation, Reply]:
    draft = current.draft
    if not draft.texts:
        kind: Kind = "words_wanted" if draft.pictures or draft.point else "nothing_yet"
        return current, _counted(kind, draft)
    if len(current.outgoing) >= MAX_OUTGOING:
        return current, _counted("waiting", draft)
    outgoing = (*current.outgoing, Outgoing(name, draft, now))
    changed = msgspec.structs.replace(current, draft=Draft(), touched=None, outgoing=outgoing)
    return changed, Reply("submitted", of=name)


def _cancel(current: Conversation) -> tuple[Conversation, Reply]:
    if current.touched is None:
        return current, Reply("nothing_to_cancel")
    return msgspec.structs.replace(current, draft=Draft(), touched=None), Reply("cancelled")


def _gather(
    current: Conversation, said: Said, now: datetime, stations: Container[str]
) -> tuple[Conversation, Reply]:
    draft = current.draft
    match said:
        case Arrived():
            return current, Reply("welcome")
        case Left():
            return msgspec.structs.replace(current, draft=Draft(), touched=None, lapsed=False), Reply(
                "silent"
            )
        case Scanned(station) if station not in stations:
            return current, Reply("unknown_station")
        case Scanned(station):
            return _grown(current, msgspec.structs.replace(draft, station=station), "station", now, station)
        case Wrote(text):
            return _write(current, text, now)
        case Pictured(attachment):
            if len(draft.pictures) >= MAX_PICTURES:
                return current, _counted("full", draft)
            pictures = (*draft.pictures, attachment)
            return _grown(current, msgspec.structs.replace(draft, pictures=pictures), "pictured", now)
        case Pointed(lat, lon, label):
            point = Point(lat, lon, clean_text(label))
            return _grown(current, msgspec.structs.replace(draft, point=point), "pointed", now)
        case Showed() | Unpictured():
            return current, Reply("no_pictures")
        case Unsupported(kind):
            return current, Reply("unsupported", of=kind[:20])
        case _:
            return current, Reply("silent")


def _write(current: Conversation, text: str, now: datetime) -> tuple[Conversation, Reply]:
    draft = current.draft
    clean = clean_text(text)
    if not clean:
        return current, Reply("help")
    if len(draft.texts) >= MAX_PARTS or len(draft.text) + len(clean) + 1 > MAX_TEXT:
        return current, _counted("full", draft)
    return _grown(current, msgspec.structs.replace(draft, texts=(*draft.texts, clean)), "gathered", now)


def _grown(
    current: Conversation, draft: Draft, kind: Kind, now: datetime, of: str = ""
) -> tuple[Conversation, Reply]:
    return msgspec.structs.replace(current, draft=draft, touched=now), _counted(kind, draft, of)


def _counted(kind: Kind, draft: Draft, of: str = "") -> Reply:
    return Reply(
        kind, of=of, texts=len(draft.texts), pictures=len(draft.pictures), pointed=draft.point is not None
    )
