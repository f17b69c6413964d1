"""The body of `POST /v1/opinions`: what it may hold, and everything that can be wrong with it.

Shape first (`read`: JSON, field names, types; the sender's program is wrong), then sense (`faults`:
lengths, codes of the city, places; the sender's data is wrong). All faults are found at once, each with
its field.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from msgspec import Struct

from lianxin_contracts.inbound import MAX_TEXT, Crs
from lianxin_contracts.registry import Snapshot
from lianxin_intake.contact import Contact
from lianxin_intake.web_links import HOW, is_link

T = TypeVar("T")

MAX_BYTES = 256 * 1024  # of one opinion: 10,000 characters of four bytes, escaped, and room for the rest
MAX_TITLE = 200
MAX_ADDRESS = 500
MAX_EXTERNAL_ID = 200
MAX_CONTACT_FIELD = 254  # the longest mail address that can be delivered to, RFC 5321
MAX_ATTACHMENTS = 20
DEFAULT_LANGUAGE = "zh"
# A phone's clock may be a little ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)
# How late a phone desk or an offline outbox may bring in what it was told. Design, section 3.
LATEST_ENTRY = timedelta(days=7)
# Nothing is older: what replay may bring in was kept by computers. The first years that a datetime can hold
# have moments that don't exist in UTC.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # all but tab, line feed, carriage return
_CONTROL_OR_BREAK = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Zero-width and direction marks: a few hold emoji and scripts together, a flood of them breaks pages.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_FEW_INVISIBLE = 50
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE = re.compile(r"\+?[0-9()\-. #*extEXT转分机]{3,40}")
_AT = re.compile(r" - at `\$\.?(.*)`$")


class Location(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A point in degrees, in the coordinate system that its source used."""

    lat: float
    lon: float
    crs: Crs = "wgs84"


class OpinionBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One opinion as a channel sends it. `omit_defaults`: a field that is added later leaves old digests as
    they are."""

    text: str = ""
    title: str | None = None
    topic: str | None = None
    station: str | None = None
    grid: str | None = None
    location: Location | None = None
    address: str | None = None
    contact: Contact | None = None
    attachments: tuple[str, ...] = ()
    external_id: str | None = None
    occurred_at: datetime | None = None
    language: str | None = None
    media_url: str | None = None


FIELDS = tuple(field.name for field in msgspec.structs.fields(OpinionBody))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, a code for programs, and how to mend it."""

    field: str
    code: str
    message: str


class Unreadable(Exception):
    """The body is no opinion at all. `field` names the place where it can be told."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


_decoder = msgspec.json.Decoder(OpinionBody)


def read(raw: bytes) -> OpinionBody:
    """The opinion that the JSON object `raw` holds. Raises `Unreadable` for anything else."""
    return decode(raw, _decoder, FIELDS)


def decode(raw: bytes, decoder: msgspec.json.Decoder[T], fields: tuple[str, ...]) -> T:
    """Decode `raw`, or raise `Unreadable` in words for the sender. `fields` are those that exist."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        text = str(error)
        at = _AT.search(text)
        where = at[1] if at else None
        if "unknown field" in text:
            name = text.split("`")[1]
            known = f"There is {', '.join(fields)}." if where is None else ""
            raise Unreadable(
                "unknown_field",
                f"There is no field {name}. {known}".strip(),
                f"{where}.{name}" if where else name,
            ) from None
        raise Unreadable("wrong_type", _AT.sub("", text) + ".", where) from None
    except UnicodeDecodeError:
        raise Unreadable("malformed", "The body is not UTF-8. Send JSON in UTF-8.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable("malformed", f"The body is no JSON: {error}.") from None


def faults(body: OpinionBody, city: Snapshot) -> list[Fault]:
    """Everything that is wrong with `body` in `city`; empty where it can be accepted."""
    found = _text_faults(body)
    if body.topic is not None and body.topic not in city.topics:
        found.append(
            Fault(
                "topic", "unknown_topic", f"No topic has the code {_shown(body.topic)}: see GET /v1/topics."
            )
        )
    if body.station is not None and body.station not in city.stations:
        found.append(
            Fault(
                "station",
                "unknown_station",
                f"No station has the id {_shown(body.station)}: see GET /v1/stations.",
            )
        )
    if body.grid is not None and body.grid not in city.grids:
        found.append(
            Fault(
                "grid",
                "unknown_grid",
                f"No grid has the code {_shown(body.grid)}; leave it out or send a location.",
            )
        )
    if body.location is not None:
        found += _location_faults(body.location)
    if body.contact is not None:
        found += _contact_faults(body.contact)
    if len(body.attachments) > MAX_ATTACHMENTS:
        found.append(Fault("attachments", "too_many", f"At most {MAX_ATTACHMENTS} attachments."))
    if body.language is not None and _LANGUAGE.fullmatch(body.language) is None:
        found.append(Fault("language", "bad_language", "Send a language tag such as zh or en."))
    if body.media_url is not None and not is_link(body.media_url):
        found.append(Fault("media_url", "no_link", HOW))
    return found


def _text_faults(body: OpinionBody) -> list[Fault]:
    found: list[Fault] = []
    visible = _INVISIBLE.sub("", body.text)
    if not visible or visible.isspace():
        found.append(Fault("text", "missing", "Say what the opinion is: 1 to 10,000 characters."))
    elif len(body.text) > MAX_TEXT:
        found.append(Fault("text", "too_long", f"{len(body.text)} characters; at most {MAX_TEXT}."))
    else:
        found += _invisible_faults(body.text)
    found += _control_faults(body.text)
    for name, value, longest in (
        ("title", body.title, MAX_TITLE),
        ("address", body.address, MAX_ADDRESS),
        ("external_id", body.external_id, MAX_EXTERNAL_ID),
    ):
        if value is not None:
            found += _line_faults(name, value, longest)
    return found


def character_faults(text: str) -> list[Fault]:
    """What is wrong with the characters of a text of many lines."""
    return [*_invisible_faults(text), *_control_faults(text)]


def _invisible_faults(text: str) -> list[Fault]:
    visible = len(_INVISIBLE.sub("", text))
    if len(text) - visible <= max(_FEW_INVISIBLE, visible):
        return []
    return [Fault("text", "invisible_characters", "Remove zero-width and direction characters.")]


def _control_faults(text: str) -> list[Fault]:
    if not has_control_characters(text):
        return []
    return [Fault("text", "control_character", "Remove control characters other than tab and line break.")]


def _line_faults(name: str, value: str, longest: int) -> list[Fault]:
    if not value or value.isspace():
        return [Fault(name, "empty", f"Leave {name} out, or fill it in.")]
    if len(value) > longest:
        return [Fault(name, "too_long", f"{len(value)} characters; at most {longest}.")]
    if _CONTROL_OR_BREAK.search(value):
        return [Fault(name, "control_character", f"Remove control characters and line breaks from {name}.")]
    return []


def _location_faults(location: Location) -> list[Fault]:
    found: list[Fault] = []
    if not -90 <= location.lat <= 90:
        found.append(Fault("location.lat", "out_of_range", "A latitude lies between -90 and 90 degrees."))
    if not -180 <= location.lon <= 180:
        found.append(Fault("location.lon", "out_of_range", "A longitude lies between -180 and 180 degrees."))
    return found


def _contact_faults(contact: Contact) -> list[Fault]:
    """Messages name the field and never the value: it is nobody's business but the resident's."""
    found: list[Fault] = []
    given = {"name": contact.name, "phone": contact.phone, "email": contact.email}
    for name, value in given.items():
        if value is not None:
            found += _line_faults(f"contact.{name}", value, MAX_CONTACT_FIELD)
    if found:
        return found
    if contact.phone is not None and _PHONE.fullmatch(contact.phone.strip()) is None:
        found.append(
            Fault("contact.phone", "bad_phone", "Send a phone number in digits, such as +86 510 12345678.")
        )
    if contact.email is not None and _MAIL.fullmatch(contact.email.strip()) is None:
        found.append(Fault("contact.email", "bad_mail", "Send a mail address such as name@example.org."))
    if not any(given.values()):
        found.append(Fault("contact", "empty", "Give a name, a phone or an email, or leave contact out."))
    return found


def has_control_characters(text: str) -> bool:
    """Whether `text` holds control characters other than tab and line breaks."""
    return _CONTROL.search(text) is not None


def time_faults(occurred_at: datetime, now: datetime, *, any_age: bool) -> list[Fault]:
    """What is wrong with an earlier time that a key with scope `backdate` gives. `any_age`: for replay."""
    if occurred_at.tzinfo is None:
        return [Fault("occurred_at", "no_zone", "Give a time zone, such as 2026-11-23T08:00:00+08:00.")]
    if occurred_at > now + CLOCK_SKEW:
        return [Fault("occurred_at", "in_the_future", "The time lies in the future.")]
    if occurred_at < EARLIEST:
        return [Fault("occurred_at", "out_of_range", f"The time lies before the year {EARLIEST.year}.")]
    if not any_age and occurred_at < now - LATEST_ENTRY:
        return [Fault("occurred_at", "too_long_ago", f"At most {LATEST_ENTRY.days} days ago.")]
    return []


def _shown(value: str) -> str:
    """What was sent, short enough to be shown to who sent it."""
    return repr(value if len(value) <= 40 else value[:40] + "…")
