"""What must hold of alerts, mails, supports and ratings when everything has come to rest after kills.

Beside `tests.end_to_end.checks`; as there, each check gives back what is wrong, with the ids.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lianxin_contracts import inbound, lifecycle, topics
from lianxin_contracts.deliveries import Delivery
from lianxin_router.domain.evolve import evolve
from tests.end_to_end.checks import Problems, histories, repeats
from tests.end_to_end.ledger import Ledger
from tests.end_to_end.log import Log
from tests.end_to_end.surface import Alert

ENDED = ("sent", "dead", "skipped")


def deliveries(log: Log) -> Iterator[Delivery]:
    """Every record of `alerts.deliveries`, each event once. One event with two numbers is two: its id does
    not follow from the number, and an alert under two numbers must be seen."""
    seen: set[tuple[str, int | None]] = set()
    for _, event in log.events(topics.DELIVERIES):
        assert isinstance(event.data, Delivery)
        if (event.id, event.data.number) not in seen:
            seen.add((event.id, event.data.number))
            yield event.data


def nothing_else_was_opened(log: Log, ledger: Ledger) -> Problems:
    """Every case on the log is one that was answered with 202."""
    return [f"nobody was told of {case}" for case in histories(log) if case not in ledger.opinions]


def nothing_was_put_aside(log: Log) -> Problems:
    """A kill makes no record unreadable: the dead letters are empty."""
    return [
        f"{topic} holds {record.key}: {dict(record.headers).get('lianxin_dlq_error', b'').decode()}"
        for topic in log.records
        if topic.endswith(".dlq")
        for record in log.of(topic)
    ]


def every_support_counts_once(log: Log, ledger: Ledger) -> Problems:
    """One `opinion.supported` for each supporter, however often and when it was said. None is refused: they
    are said right after the submission, so before anybody could have closed the case."""
    wrong: Problems = []
    told = histories(log)
    for case, supporters in ledger.supports.items():
        found = Counter(e.data.supporter for e in told[case] if isinstance(e.data, lifecycle.Supported))
        refused = sum(isinstance(e.data, lifecycle.CommandRefused) and e.data.type == "opinion.supported"
                      for e in told[case])  # fmt: skip
        if refused or len(found) != len(supporters) or any(times > 1 for times in found.values()):
            wrong.append(
                f"case {case}: {len(supporters)} supporters, {found.total()} counted, {refused} refused"
            )
    return wrong


def every_rating_is_there(log: Log, ledger: Ledger) -> Problems:
    """What each resident said last stands in the case; each time it was said it counts once."""
    wrong: Problems = []
    told = histories(log)
    said: dict[str, set[str]] = defaultdict(set)
    for case, event in log.events(topics.INBOUND):
        if isinstance(event.data, inbound.Rated):
            said[case].add(event.id)
    for case, score in ledger.ratings.items():
        scores = [event.data.score for event in told[case] if isinstance(event.data, lifecycle.Rated)]
        if not scores or scores[-1] != score:
            wrong.append(f"case {case}: rated {scores}, its resident said {score} last")
        if len(scores) > len(said[case]):
            wrong.append(f"case {case}: rated {len(scores)} times, said {len(said[case])} times")
    return wrong


def stages(log: Log) -> dict[str, str]:
    """The stage of each case, as its log says."""
    found: dict[str, str] = {}
    for id_, events in histories(log).items():
        case = None
        for event in events:
            case = evolve(case, event)
        if case is not None:
            found[id_] = case.stage
    return found


def every_resident_sees_the_stage(log: Log, views: Mapping[str, Mapping[str, Any]]) -> Problems:
    """The page of each opinion stands where the log ends."""
    told = stages(log)
    return [
        f"{id_} is {told.get(id_)} by the log and {view['stage']} to its resident"
        for id_, view in views.items()
        if view["stage"] != told.get(id_)
    ]


def every_inbox_shows_the_stage(log: Log, inboxes: Mapping[str, list[dict[str, Any]]]) -> Problems:
    """What stands open in an inbox stands where the log ends."""
    told = stages(log)
    return [
        f"{item['id']} is {told.get(item['id'])} by the log and {item['stage']} in the inbox of {receiver}"
        for receiver, items in inboxes.items()
        for item in items
        if item["state"] == "open" and item["stage"] != told.get(item["id"])
    ]


def panels_show_the_stages(log: Log, shown: Mapping[str, float]) -> Problems:
    """`lianxin_cases`, over all districts, is what the log says."""
    told = Counter(stages(log).values())
    return [
        f"{shown.get(stage, 0):g} cases are shown as {stage}, {told[stage]} are by the log"
        for stage in sorted({*told, *shown})
        if shown.get(stage, 0) != told[stage]
    ]


def every_alert_has_one_number(log: Log) -> Problems:
    """In each inbox the alerts are 1, 2, 3 …: no number stands for two, and no alert has two."""
    wrong: Problems = []
    inboxes: dict[str, dict[int, str]] = defaultdict(dict)
    numbers: dict[tuple[str, str], int] = {}
    for one in deliveries(log):
        if one.channel != "inbox" or one.number is None:
            continue
        known = inboxes[one.receiver].setdefault(one.number, one.alert)
        if known != one.alert:
            wrong.append(f"inbox of {one.receiver}: number {one.number} is {known} and {one.alert}")
        number = numbers.setdefault((one.receiver, one.cause), one.number)
        if number != one.number:
            wrong.append(f"inbox of {one.receiver}: {one.cause} is number {number} and {one.number}")
    for receiver, found in inboxes.items():
        if missing := set(range(1, len(found) + 1)) - set(found):
            wrong.append(f"inbox of {receiver}: no alert has the numbers {sorted(missing)[:5]}")
    return wrong


def numbered_opinions(log: Log) -> dict[str, dict[int, str]]:
    """By receiver: the opinion that each number of the inbox is about."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for one in deliveries(log):
        if one.channel == "inbox" and one.number is not None:
            found[one.receiver].setdefault(one.number, one.opinion)
    return dict(found)


def open_inboxes_were_told_each_alert_once(
    log: Log, told: Mapping[str, Sequence[Alert]], *, whole: bool
) -> Problems:
    """What a stream brought, over all its breaks, is 1, 2, 3 … and each the opinion that has this number on
    the log. `whole`: and nothing is missing at the end."""
    numbers = numbered_opinions(log)
    wrong: Problems = []
    for receiver, alerts in told.items():
        known = numbers.get(receiver, {})
        expected = list(range(1, (len(known) if whole else len(alerts)) + 1))
        if [alert.number for alert in alerts] != expected:
            wrong.append(
                f"inbox of {receiver}: told {[a.number for a in alerts][:50]}, {len(known)} are on the log"
            )
        wrong += [
            f"inbox of {receiver}: {a.number} is {a.opinion} when told, {known.get(a.number)} on the log"
            for a in alerts
            if known.get(a.number) != a.opinion
        ]
    return wrong


def every_assignment_was_alerted(log: Log) -> Problems:
    """Each `opinion.assigned` is the cause of an alert in its assignee's inbox."""
    alerted = {(one.cause, one.receiver) for one in deliveries(log) if one.channel == "inbox"}
    return [
        f"{event.data.assignee} has no alert of {event.id}, assignment of {case}"
        for case, events in histories(log).items()
        for event in events
        if isinstance(event.data, lifecycle.Assigned) and (event.id, event.data.assignee) not in alerted
    ]


def mails_under_way(log: Log) -> list[str]:
    """Alerts by mail whose last record is no end."""
    last: dict[str, str] = {}
    for one in deliveries(log):
        if one.channel == "mail":
            last[one.alert] = one.status
    return [alert for alert, status in last.items() if status not in ENDED]


def every_mail_arrived(log: Log, mails: Iterable[Mapping[str, Any]]) -> Problems:
    """What is recorded as sent was accepted by the mail server, and nothing that was not recorded before."""
    arrived = {mail["message_id"] for mail in mails}
    attempted = {one.message_id for one in deliveries(log) if one.channel == "mail"}
    sent = {one.message_id: one for one in deliveries(log) if one.channel == "mail" and one.status == "sent"}
    lost = {one.message_id: one for one in deliveries(log) if one.channel == "mail" and one.status == "dead"}
    return [
        *(f"mail {id_} to {one.receiver} is recorded as sent and did not arrive"
          for id_, one in sent.items() if id_ not in arrived),
        *(f"mail {id_} to {one.receiver} was given up: {one.error}" for id_, one in lost.items()),
        *(f"mail {id_} arrived and no attempt is recorded" for id_ in arrived if id_ not in attempted),
    ]  # fmt: skip


def repeats_after_crash(log: Log) -> int:
    """How many attempts are marked `repeated_after_crash`."""
    return len(repeats(log))


def no_log_file_holds_words(logs: Path, ledger: Ledger) -> Problems:
    """What the processes wrote down names no resident's words, contact or tracking code, in no spelling that
    JSON or a URL would give it."""
    secrets = {
        spelling.encode()
        for opinion in ledger.opinions.values()
        for secret in (opinion.marker, *opinion.contact_secrets, opinion.tracking_code)
        for spelling in (secret, json.dumps(secret)[1:-1], quote(secret))
    }
    wrong: Problems = []
    for file in sorted(path for path in logs.rglob("*") if path.is_file()):
        text = file.read_bytes()
        wrong += [f"{file.name} holds {secret.decode()}" for secret in secrets if secret in text]
    return wrong
