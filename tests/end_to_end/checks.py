"""What must hold of a stack at rest, whatever was killed before: each check gives back what is wrong.

An empty list means that it holds. The log is read directly; everything else through the public surface.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from lianxin_contracts import lifecycle, topics
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import Event
from tests.end_to_end.ledger import Ledger
from tests.end_to_end.log import Log

# An assignment ends by one of these; then, and only then, the next may follow.
ENDS_AN_ASSIGNMENT = (
    "opinion.returned",
    "opinion.taken_back",
    "opinion.transferred",
    "opinion.resolved",
    "opinion.withdrawn",
    "opinion.closed",
)
# Inbound is where people speak, words is where words are kept; contacts are sealed on both.
MAY_HOLD_WORDS = (topics.INBOUND, topics.WORDS)

Problems = list[str]


def histories(log: Log) -> dict[str, list[Event]]:
    """The lifecycle of each case in the order of the log, each sequence number the first time it stands."""
    found: dict[str, dict[int, Event]] = defaultdict(dict)
    for case, event in log.events(topics.LIFECYCLE):
        assert event.sequence is not None
        found[case].setdefault(event.sequence, event)
    return {case: list(events.values()) for case, events in found.items()}


def sequences_have_no_gap(log: Log) -> Problems:
    """1, 2, 3 … per case, in this order on the log; a number that is repeated carries the same event."""
    wrong: Problems = []
    first: dict[tuple[str, int], Event] = {}
    highest: Counter[str] = Counter()
    for case, event in log.events(topics.LIFECYCLE):
        number = event.sequence or 0
        known = first.setdefault((case, number), event)
        if known.id != event.id or known.data != event.data:
            wrong.append(
                f"case {case}: number {number} is {known.type} {known.id} and {event.type} {event.id}"
            )
        if number > highest[case] + 1:
            wrong.append(f"case {case}: {number} follows {highest[case]}")
        highest[case] = max(highest[case], number)
    return wrong


def every_accepted_opinion_is_there_once(log: Log, ledger: Ledger) -> Problems:
    """Nothing that was answered with 202 is lost, and nothing was opened twice."""
    told = histories(log)
    wrong: Problems = []
    for id_, opinion in ledger.opinions.items():
        opened = [event for event in told.get(id_, []) if event.type == "opinion.submitted"]
        if len(opened) != 1:
            wrong.append(f"{opinion.key}: {len(opened)} opinion.submitted of {id_}")
        elif opened[0].sequence != 1:
            wrong.append(f"{opinion.key}: opened by number {opened[0].sequence}")
    for key, ids in ledger.by_key().items():
        if len(ids) != 1:
            wrong.append(f"{key} became {len(ids)} opinions: {ids}")
    return wrong + ledger.surprises


def every_inbound_record_left_a_trace(log: Log) -> Problems:
    """Each inbound record is the cause of a lifecycle record, or lies in the dead letters."""
    causes = {event.causationid for _, event in log.events(topics.LIFECYCLE)}
    aside = {dict(record.headers).get("ce_id") for record in log.of(topics.dead_letter(topics.INBOUND))}
    return [
        f"{event.type} {event.id} of {case} left no trace"
        for case, event in log.events(topics.INBOUND)
        if event.id not in causes and event.id.encode() not in aside
    ]


def every_command_is_on_the_log(log: Log, ledger: Ledger) -> Problems:
    """Each action that was answered with 202 is an inbound record."""
    said = {event.id for _, event in log.events(topics.INBOUND)}
    return [
        f"{c.action} of {c.actor} on {c.case} is lost" for c in ledger.commands.values() if c.id not in said
    ]


def a_case_has_one_assignee_at_a_time(log: Log) -> Problems:
    """An assignment ends before the next, and explains itself."""
    wrong: Problems = []
    for case, events in histories(log).items():
        held = False
        for event in events:
            if isinstance(event.data, lifecycle.Assigned):
                if held:
                    wrong.append(f"case {case}: assigned twice, number {event.sequence}")
                held = True
                wrong += [f"case {case}: {why}" for why in _unexplained(event.data)]
            elif isinstance(event.data, lifecycle.Reopened):
                held = event.data.assignee is not None
            elif event.type in ENDS_AN_ASSIGNMENT:
                held = False
    return wrong


def _unexplained(assigned: lifecycle.Assigned) -> Iterable[str]:
    explanation = assigned.explanation
    if not explanation.registry_version or not explanation.rules_version:
        yield "an assignment names no version"
    if not explanation.candidates and assigned.by == "router":
        yield "an assignment names no candidate"
    if assigned.by == "router" and assigned.assignee not in {c.deputy for c in explanation.candidates}:
        yield f"{assigned.assignee} is not among the candidates"


def times_never_go_back(log: Log) -> Problems:
    """Within a case each event happened no earlier than the one before it."""
    return [
        f"case {case}: number {after.sequence} is dated before number {before.sequence}"
        for case, events in histories(log).items()
        for before, after in pairwise(events)
        if after.time < before.time
    ]


def words_and_contacts_are_where_they_may_be(log: Log, ledger: Ledger) -> Problems:
    """No resident's words but on inbound, words and their dead letters; no contact in clear anywhere."""
    markers = [opinion.marker.encode() for opinion in ledger.opinions.values()]
    secrets = [text.encode() for opinion in ledger.opinions.values() for text in opinion.contact_secrets]
    wrong: Problems = []
    for topic, records in log.records.items():
        may_hold_words = topic in MAY_HOLD_WORDS or topic.removesuffix(".dlq") in MAY_HOLD_WORDS
        whole = b"\n".join(record.everything for record in records)
        wrong += [f"a contact is in clear on {topic}: {text.decode()}" for text in secrets if text in whole]
        if not may_hold_words:
            wrong += [f"words are on {topic}: {text.decode()}" for text in markers if text in whole]
    return wrong


def places_are_rounded(log: Log) -> Problems:
    """Coordinates on the lifecycle have three decimals, about 100 m."""
    return [
        f"case {case}: {event.data.near} is an exact place"
        for case, event in log.events(topics.LIFECYCLE)
        if isinstance(event.data, lifecycle.Submitted) and event.data.near is not None
        if any(round(degrees, 3) != degrees for degrees in (event.data.near.lat, event.data.near.lon))
    ]


def counts_agree(status: Mapping[str, Any], log: Log) -> Problems:
    """At rest the equations of `lianxin status` hold, and each figure is what the log says."""
    counts = status["counts"]
    if unknown := [what for what, count in counts.items() if count is None]:
        return [f"nobody tells {', '.join(unknown)}"]
    told = histories(log)
    opened = {case for case, events in told.items() if any(e.type == "opinion.submitted" for e in events)}
    assigned = {case for case in opened if any(e.type == "opinion.assigned" for e in told[case])}
    closed = {case for case in opened if any(e.type == "opinion.closed" for e in told[case])}
    wrong: Problems = []
    if counts["submitted"] != counts["assigned"] + counts["triage"]:
        wrong.append(f"submitted is not assigned + triage: {counts}")
    if counts["alerted"] != counts["assigned"]:
        wrong.append(f"alerted is not assigned: {counts}")
    of_log = {"submitted": len(opened), "assigned": len(assigned), "closed": len(closed)}
    wrong += [
        f"{what}: {counts[what]} by status, {n} by the log" for what, n in of_log.items() if counts[what] != n
    ]
    return wrong


def no_inbox_lists_an_alert_twice(inboxes: Mapping[str, list[dict[str, Any]]]) -> Problems:
    """Within one inbox each number and each opinion stands once."""
    wrong: Problems = []
    for deputy, items in inboxes.items():
        for what in ("number", "id"):
            twice = [value for value, times in Counter(item[what] for item in items).items() if times > 1]
            wrong += [f"inbox of {deputy}: {what} {value} stands more than once" for value in twice]
    return wrong


def every_assignee_found_it_in_the_inbox(log: Log, inboxes: Mapping[str, list[dict[str, Any]]]) -> Problems:
    """Who holds an open case has it in the inbox; `inboxes` are those of all holders."""
    wrong: Problems = []
    for case, events in histories(log).items():
        holder = holder_after(events)
        if holder is not None and holder in inboxes and case not in {item["id"] for item in inboxes[holder]}:
            wrong.append(f"inbox of {holder} lacks {case}")
    return wrong


def holder_after(events: Iterable[Event]) -> str | None:
    """Who holds the case after `events`; None where nobody has it in hand."""
    holder: str | None = None
    for event in events:
        if isinstance(event.data, lifecycle.Assigned):
            holder = event.data.assignee
        elif event.type in ENDS_AN_ASSIGNMENT:
            holder = None
        elif isinstance(event.data, lifecycle.Reopened):
            holder = event.data.assignee
    return holder


def repeats(log: Log) -> list[Delivery]:
    """The attempts towards providers that are marked as repeated after a crash; a record that was published
    twice is one attempt."""
    found: dict[str, Delivery] = {}
    for _, event in log.events(topics.DELIVERIES):
        assert isinstance(event.data, Delivery)
        if event.data.repeated_after_crash and event.data.status == "attempting" and event.data.message_id:
            found[event.id] = event.data
    return list(found.values())


def nothing_was_sent_twice(log: Log, mails: Iterable[Mapping[str, Any]] = ()) -> Problems:
    """Towards providers a Message-ID goes out once, but for repeats that are marked as such."""
    marked = Counter(one.message_id for one in repeats(log))
    arrived = Counter(mail["message_id"] for mail in mails)
    return [
        f"mail {message_id} arrived {times} times, {marked[message_id]} repeats are marked"
        for message_id, times in arrived.items()
        if times > 1 + marked[message_id]
    ]


OF_LOG_AND_LEDGER: Mapping[str, Callable[[Log, Ledger], Problems]] = {
    "every accepted opinion is there once": every_accepted_opinion_is_there_once,
    "sequences have no gap": lambda log, _: sequences_have_no_gap(log),
    "every inbound record left a trace": lambda log, _: every_inbound_record_left_a_trace(log),
    "every command is on the log": every_command_is_on_the_log,
    "a case has one assignee at a time, and says why": lambda log, _: a_case_has_one_assignee_at_a_time(log),
    "times never go back": lambda log, _: times_never_go_back(log),
    "words and contacts are where they may be": words_and_contacts_are_where_they_may_be,
    "places are rounded": lambda log, _: places_are_rounded(log),
}


def everything_wrong_with(log: Log, ledger: Ledger) -> Problems:
    """Every check that needs the log and the ledger alone."""
    return [problem for check in OF_LOG_AND_LEDGER.values() for problem in check(log, ledger)]
