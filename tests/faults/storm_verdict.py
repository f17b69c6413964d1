"""What a storm of alerts came to: by the mail server's own record, and by `alerts.deliveries`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lianxin_contracts.deliveries import Delivery

ENDS = ("sent", "dead", "skipped")
Problems = list[str]


@dataclass(slots=True)
class Mailed:
    """What the log tells of one alert by mail. `ends` are its ends, each once: status and attempt."""

    receiver: str
    message_id: str | None
    attempts: set[int] = field(default_factory=set)
    ends: set[tuple[str, int]] = field(default_factory=set)
    repeated: bool = False
    error: str | None = None


@dataclass(slots=True)
class Told:
    """`alerts.deliveries`, folded record by record; the same record again changes nothing."""

    mails: dict[str, Mailed] = field(default_factory=dict)
    # By receiver: the alerts that each number stands for, and the numbers of each alert.
    numbers: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    ended: int = 0
    records: int = 0

    def take(self, one: Delivery) -> None:
        """Fold the next record in."""
        self.records += 1
        if one.channel == "inbox":
            if one.number is not None:
                self.numbers[one.receiver].setdefault(one.number, set()).add(one.alert)
            return
        mail = self.mails.setdefault(one.alert, Mailed(one.receiver, one.message_id))
        mail.repeated = mail.repeated or one.repeated_after_crash
        if one.status == "attempting":
            mail.attempts.add(one.attempt)
        elif one.status in ENDS:
            self.ended += not mail.ends
            mail.ends.add((one.status, one.attempt))
            mail.error = one.error

    def ends(self) -> Counter[str]:
        """How many alerts by mail ended how; one that ended in two ways counts in both."""
        return Counter(status for mail in self.mails.values() for status in {s for s, _ in mail.ends})


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message that the mail server accepted, as its own record says."""

    message_id: str
    to: str
    repeated: bool


def every_alert_has_one_end(expected: Mapping[str, str], told: Told) -> Problems:
    """Each of `expected` (alert by mail → receiver) was sent or given up with its reason, and not both."""
    wrong: Problems = []
    for alert, receiver in expected.items():
        mail = told.mails.get(alert)
        if mail is None:
            wrong.append(f"{alert} to {receiver} has no record")
        elif len(mail.ends) != 1:
            wrong.append(f"{alert} to {receiver} ended as {sorted(mail.ends)}")
        elif "dead" in {status for status, _ in mail.ends} and not mail.error:
            wrong.append(f"{alert} to {receiver} was given up without a reason")
        elif "skipped" in {status for status, _ in mail.ends}:
            wrong.append(f"{alert} to {receiver} was left out")
    return wrong + [f"nobody asked for {alert}" for alert in told.mails if alert not in expected]


def the_mail_server_agrees(
    told: Told, accepted: Iterable[Accepted], addresses: Mapping[str, str]
) -> Problems:
    """What is recorded as sent was accepted, by the right address, and nothing that no attempt was recorded
    of. `addresses`: by receiver."""
    arrived = {one.message_id: one.to for one in accepted}
    by_id = {mail.message_id: mail for mail in told.mails.values()}
    wrong = [
        f"{mail.message_id} is recorded as sent and did not arrive"
        for mail in told.mails.values()
        if any(status == "sent" for status, _ in mail.ends) and mail.message_id not in arrived
    ]
    for id_, to in arrived.items():
        mail = by_id.get(id_)
        if mail is None or not mail.attempts:
            wrong.append(f"{id_} arrived and no attempt is recorded")
        elif addresses.get(mail.receiver) != to:
            wrong.append(f"{id_} for {mail.receiver} arrived at another address")
    return wrong


def accepted_again(accepted: Iterable[Accepted]) -> list[list[Accepted]]:
    """What was accepted more than once, in the order of acceptance."""
    found: dict[str, list[Accepted]] = defaultdict(list)
    for one in accepted:
        found[one.message_id].append(one)
    return [several for several in found.values() if len(several) > 1]


def nothing_arrived_twice_unmarked(told: Told, accepted: Iterable[Accepted]) -> Problems:
    """Each acceptance of a Message-ID after the first was marked as a repeat, in the mail and on the log."""
    marked = {mail.message_id for mail in told.mails.values() if mail.repeated}
    return [
        f"{several[0].message_id} was accepted {len(several)} times, "
        f"{sum(one.repeated for one in several)} times marked"
        for several in accepted_again(accepted)
        if not all(one.repeated for one in several[1:]) or several[0].message_id not in marked
    ]


def no_more_was_repeated_than_was_in_flight(told: Told, most: int) -> Problems:
    """At most `most` alerts were marked as repeated: as many as can have lost their answer."""
    marked = sum(mail.repeated for mail in told.mails.values())
    return [f"{marked} alerts were repeated, at most {most} can have lost an answer"] if marked > most else []


def inboxes_are_numbered(expected: Mapping[str, str], told: Told) -> Problems:
    """Each receiver's inbox has as many alerts as it was sent, numbered 1, 2, 3 …, each number once."""
    wrong: Problems = []
    wanted = Counter(expected.values())
    for receiver in {*wanted, *told.numbers}:
        found = told.numbers.get(receiver, {})
        if sorted(found) != list(range(1, wanted[receiver] + 1)):
            wrong.append(f"inbox of {receiver}: {wanted[receiver]} alerts, numbers {sorted(found)[:50]}")
        elif len({a for alerts in found.values() for a in alerts}) != len(found):
            wrong.append(f"inbox of {receiver}: an alert has two numbers, or a number two alerts")
    return wrong


def everything_wrong(
    expected: Mapping[str, str],
    told: Told,
    accepted: Sequence[Accepted],
    addresses: Mapping[str, str],
) -> dict[str, Problems]:
    """What is wrong, by the rule that does not hold."""
    return {
        "an alert has not one end": every_alert_has_one_end(expected, told),
        "log and mail server disagree": the_mail_server_agrees(told, accepted, addresses),
        "a mail went out twice unmarked": nothing_arrived_twice_unmarked(told, accepted),
        "an inbox is numbered wrongly": inboxes_are_numbered(expected, told),
    }
