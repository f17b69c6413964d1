"""Which words a delivery has: from what is due to the fields of its template, and to a whole mail. Pure.

The words themselves are in `templates/`. Chinese first.
"""

from datetime import date, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Due, message_id
from lianxin_notifier.wording import Family, Fields, Form, Language, Letter, language_of, written

__all__ = ["Language", "Letter", "civil", "civil_day", "letter", "mail", "note"]

_WEEKDAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


def letter(due: Due, city: Snapshot, public_url: str, link: str | None = None, form: Form = "mail") -> Letter:
    """The words for `due` in its receiver's language. `link` opens the case; without it the receiver has to
    sign in by another way."""
    family, kind = _message(due)
    language = _language(due, city)
    topic = city.topics.get(due.entry.topic or "")
    region = city.regions.get(due.street or "")
    zone = ZoneInfo(city.city.zone)
    named = (topic.name_en if language == "en" else topic.name) if topic else ""
    said = Fields(
        topic=named,
        street=region.name if region else "",
        due=civil(due.entry.due, zone, language) if due.entry.due else "",
        link=due.link or link or _plain_link(due, public_url, form),
        stop=due.stop or "",
        station=_station(due, city),
        day=civil_day(date.fromisoformat(due.day), language) if due.day else "",
        counts=due.counts,
        repeated=due.repeated,
    )
    return written(family, kind, language, form, said)


def mail(
    due: Due, city: Snapshot, public_url: str, sender: str, now: datetime, link: str | None = None
) -> EmailMessage:
    """The whole mail for `due`. Every attempt has the same Message-ID; a repeat says that it is one."""
    words = letter(due, city, public_url, link)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = due.target
    message["Subject"] = words.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id(due.alert)
    message["Auto-Submitted"] = "auto-generated"
    if due.stop:  # RFC 2369, and RFC 8058: a mail program stops it by one POST, without opening the page
        message["List-Unsubscribe"] = f"<{due.stop}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    if due.repeated:
        message["Lianxin-Repeated-After-Crash"] = "true"
    message.set_content(words.text)
    return message


def note(due: Due, city: Snapshot, public_url: str) -> str:
    """The words for `due` where there is room for little: chat groups and SMS. A repeat whose predecessor may
    have arrived says so, for no provider tells them apart."""
    return letter(due, city, public_url, form="sms" if due.kind == "sms" else "chat").whole


def civil(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """A moment in the city's time, with its weekday."""
    local = moment.astimezone(zone)
    return f"{civil_day(local.date(), language)}{', ' if language == 'en' else ' '}{local:%H:%M}"


def civil_day(day: date, language: Language) -> str:
    """A day with its weekday."""
    if language == "en":
        return f"{day:%A}, {day.day} {day:%B %Y}"
    return f"{day.year}年{day.month}月{day.day}日 {_WEEKDAYS[day.weekday()]}"


def _message(due: Due) -> tuple[Family, str]:
    family, _, kind = due.entry.event.partition(".")
    if family == "resident":
        return "resident", kind
    if family == "notice":
        return "notice", kind
    return "alert", due.entry.event


def _language(due: Due, city: Snapshot) -> Language:
    deputy = city.deputies.get(due.receiver)
    return language_of(due.language or (deputy.language if deputy else None))


def _station(due: Due, city: Snapshot) -> str:
    station = city.stations.get(due.station or "")
    return station.name if station else ""


def _plain_link(due: Due, public_url: str, form: Form) -> str:
    # A chat is read by many and an SMS is short: there the case is only pointed out.
    if form == "mail" or not due.opinion:
        return f"{public_url}{due.page}"
    return f"{public_url}/inbox#{due.opinion}"
