"""Which notices are due for whom at what moment: digests, weekly summaries, reminders of contact days. Pure.

A notice belongs to a civil slot (a day, a week, a contact day), and its id follows from receiver, kind and
slot: however many workers look, and however often, there is one. Every moment is a time of day in the city.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from lianxin_contracts import ids
from lianxin_contracts.deliveries import InboxEntry
from lianxin_contracts.registry import Duty, Leave, Snapshot
from lianxin_contracts.working_time import WorkingTime
from lianxin_notifier.alerts import Address, Due
from lianxin_notifier.choosing import Wishes, rests
from lianxin_notifier.pages.duty import falls_on
from lianxin_notifier.preferences import DEFAULT, Preferences

Kind = Literal["digest", "weekly", "contact_day"]

DAY = timedelta(days=1)
# So long after its time a notice is still sent, should nobody have been there to send it. Later it would be
# about another day than the one that it is read on.
LATEST = timedelta(hours=12)
# No holidays are longer: a reminder comes at most so long before its contact day.
LONGEST_HOLIDAYS = 14


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice of `kind` for `receiver`, due `at` (UTC). `since`: what it tells of began then. `station`
    and `day` are those of a contact day. `at_least`: an early digest, sent where so many new cases wait."""

    kind: Kind
    receiver: str
    slot: str
    at: datetime
    since: datetime
    station: str | None = None
    day: date | None = None
    at_least: int = 0

    @property
    def id(self) -> str:
        """UUIDv5 of receiver, kind and slot."""
        return ids.derived("notice", self.receiver, self.kind, self.slot)


@dataclass(frozen=True, slots=True)
class Times:
    """When weekly summaries and reminders of contact days go out, in the city's time."""

    weekly: time = time(8, 30)
    contact_day: time = time(9, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides over notices: the registry, working time, and what people wish."""

    city: Snapshot
    working: WorkingTime
    preferences: Mapping[str, Preferences]
    times: Times = Times()
    leaves: Mapping[str, Sequence[Leave]] = field(default_factory=dict)

    def away(self, person: str, on: date) -> bool:
        """Whether nobody should write to `person` on that day: on leave, or paused by themselves."""
        paused = self.preferences.get(person, DEFAULT).paused_until
        if paused is not None and on < paused:
            return True
        return any(leave.since <= on < leave.until for leave in self.leaves.get(person, ()))

    def sent_at(self, person: str, now: datetime) -> datetime:
        """When what is ready for `person` now goes out: after their quiet hours, leave or pause."""
        wishes = self.preferences.get(person, DEFAULT)
        rest = rests(Wishes((), self.working, wishes, self.leaves.get(person, ())), now)
        return now if rest is None else rest.until

    def moment(self, on: date, at: time) -> datetime:
        """That civil time as a UTC instant."""
        return datetime.combine(on, at, self.working.zone).astimezone(UTC)


def due_between(after: datetime, until: datetime, plan: Plan) -> list[Notice]:
    """Every notice whose time lies in (`after`, `until`], by time; none for whoever is away then."""
    first, last = plan.working.civil_date(after), plan.working.civil_date(until)
    found: list[Notice] = []
    for number in range((last - first).days + 1):
        on = first + number * DAY
        # Of thousands of deputies, only at the moments when it is their turn.
        for at, of_day in ((plan.times.weekly, _weekly), (plan.times.contact_day, _contact_days)):
            if after < plan.moment(on, at) <= until:
                found += of_day(on, plan)
        found += [notice for notice in _digests(on, plan) if after < notice.at <= until]
    return sorted(found, key=lambda notice: (notice.at, notice.receiver, notice.kind))


def early_digests(now: datetime, plan: Plan) -> list[Notice]:
    """A digest for everybody who wants one as soon as enough cases wait; whether they do is for who knows the
    inboxes. At most one between two daily ones, and none in quiet hours."""
    today = plan.working.civil_date(now)
    found = []
    for person, wishes in plan.preferences.items():
        digest = wishes.digest
        if digest is None or not digest.or_when or plan.sent_at(person, now) != now:
            continue
        at = time.fromisoformat(digest.at)
        since = plan.moment(today, at)
        if since > now:
            since = plan.moment(today - DAY, at)
        slot = f"{plan.working.civil_date(since)}/early"
        found.append(Notice("digest", person, slot, now, since, at_least=digest.or_when))
    return found


def _digests(on: date, plan: Plan) -> Iterator[Notice]:
    for person, wishes in plan.preferences.items():
        if wishes.digest is None or plan.away(person, on):
            continue
        if wishes.quiet is not None and wishes.quiet.days_off and not plan.working.is_working_day(on):
            continue
        at = plan.moment(on, time.fromisoformat(wishes.digest.at))
        yield Notice("digest", person, on.isoformat(), at, at - DAY)


def _weekly(on: date, plan: Plan) -> Iterator[Notice]:
    """On the first working day of each week, of the week before."""
    monday = on - timedelta(days=on.weekday())
    working = (monday + number * DAY for number in range(7))
    if next((day for day in working if plan.working.is_working_day(day)), None) != on:
        return
    year, week, _ = on.isocalendar()
    since = plan.moment(monday - 7 * DAY, time())
    for deputy in plan.city.deputies:
        if not plan.away(deputy, on):
            yield Notice("weekly", deputy, f"{year}-W{week:02}", plan.moment(on, plan.times.weekly), since)


def _contact_days(on: date, plan: Plan) -> Iterator[Notice]:
    """On the last working day before each contact day."""
    if not plan.working.is_working_day(on):
        return
    planned = [duty for duty in plan.city.duties.values() if duty.kind == "contact_day"]
    at = plan.moment(on, plan.times.contact_day)
    told: set[tuple[str, str]] = set()
    for ahead in range(1, LONGEST_HOLIDAYS + 1):
        day = on + ahead * DAY
        for duty in planned:
            who = _who_comes(duty, day, plan)
            slot = f"{day}/{duty.station or ''}"
            if who is None or plan.away(who, on) or (who, slot) in told:
                continue
            told.add((who, slot))
            yield Notice("contact_day", who, slot, at, at, station=duty.station, day=day)
        if plan.working.is_working_day(day):
            return  # what comes later has a working day of its own before it


def _who_comes(duty: Duty, day: date, plan: Plan) -> str | None:
    """Who receives residents on that day: the substitute of whoever is on leave. None where it is no contact
    day, or nobody comes."""
    if not falls_on(duty, day):
        return None
    leaves = plan.leaves.get(duty.deputy, ())
    leave = next((one for one in leaves if one.since <= day < one.until), None)
    return duty.deputy if leave is None else leave.substitute


def due_to(notice: Notice, address: Address, counts: Mapping[str, int], language: str) -> Due:
    """The delivery of `notice` to `address`, with what it tells of."""
    return Due(
        alert=notice.id,
        name=address.name,
        kind=address.kind,
        target=address.target,
        receiver=notice.receiver,
        opinion="",
        cause="",
        raised=notice.at.replace(microsecond=0),
        entry=InboxEntry(event=f"notice.{notice.kind}", stage="submitted", state="open"),
        language=language,
        counts=dict(counts),
        station=notice.station,
        day=notice.day.isoformat() if notice.day else None,
    )
