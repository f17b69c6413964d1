"""Whatever is killed: nothing that was answered with 202 is lost, and everything takes effect once.

    make test ARGS='tests/faults -s'        a sample: 100 opinions, 11 kills
    make soak ARGS='tests/faults -s'        2,000 opinions, 100 kills

`LIANXIN_FAULTS_SEED`, `LIANXIN_FAULTS_OPINIONS` and `LIANXIN_FAULTS_KILLS` make another run of either.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from lianxin_chassis.settings import Settings
from lianxin_contracts import lifecycle, topics
from lianxin_local.home import Home
from tests.end_to_end import checks
from tests.end_to_end.drafts import Draft
from tests.end_to_end.drive import Drive
from tests.end_to_end.journey import Shares
from tests.end_to_end.log import Log, read_log
from tests.end_to_end.repeating import RepeatingSurface
from tests.end_to_end.rest import lag, samples
from tests.end_to_end.surface import Addresses, Alert, Surface
from tests.faults import afterwards
from tests.faults.killer import Killer
from tests.faults.listening import Listener
from tests.faults.strikes import draw
from tests.support.smtp import SmtpServer
from tests.support.stacks import LocalStack
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

# Longest wait for one step of one opinion, and for rest after the last kill, s. On two busy cores a killed
# broker was back after 20 s, a service after 40 s; a killed worker's mail is taken up after its lease.
PATIENCE_S = 300.0
REST_S = 300.0
CONNECTIONS = 4
SHARES = Shares(untouched=0.03, returned=0.05, paused=0.05, rated=0.9)
SETTINGS = {
    "LIANXIN_SMTP_CONNECTIONS": str(CONNECTIONS),
    "LIANXIN_ATTEMPT_DEADLINE_S": "10",
    "LIANXIN_DELIVERY_LEASE_S": "20",
    "LIANXIN_RETRY_FIRST_S": "2",
    "LIANXIN_KAFKA_SESSION_TIMEOUT_MS": "6000",
    # At any hour, and soon enough that the rest need not be waited for long.
    "LIANXIN_RESIDENT_QUIET": "",
    "LIANXIN_RESIDENT_LINGER_MINUTES": "0.5",
}

say = sys.stderr.write


@dataclass(frozen=True, slots=True)
class Size:
    """How much is driven while how many processes are killed."""

    opinions: int
    kills: int
    concurrency: int
    within_s: float


SAMPLE = Size(opinions=100, kills=11, concurrency=32, within_s=1_200)
WHOLE = Size(opinions=2_000, kills=100, concurrency=64, within_s=5_400)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is to look at when everything has come to rest."""

    drive: Drive
    surface: RepeatingSurface
    killer: Killer
    listener: Listener
    logs: Path
    log: Log
    status: dict[str, Any]
    inboxes: dict[str, list[dict[str, Any]]]
    mails: list[dict[str, Any]]
    views: dict[str, dict[str, Any]]
    panels: str
    streams: dict[str, list[Alert]]


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SAMPLE, id="sample", marks=pytest.mark.timeout(SAMPLE.within_s + 2 * REST_S)),
        pytest.param(
            WHOLE, id="whole", marks=[pytest.mark.soak, pytest.mark.timeout(WHOLE.within_s + 2 * REST_S)]
        ),
    ],
)
def test_whatever_is_killed_every_opinion_is_there_once_and_takes_effect_once(
    size: Size, make_stack: Callable[..., LocalStack], smtp_server: SmtpServer
) -> None:
    seed = int(os.environ.get("LIANXIN_FAULTS_SEED", "20261123"))
    opinions = int(os.environ.get("LIANXIN_FAULTS_OPINIONS", size.opinions))
    kills = int(os.environ.get("LIANXIN_FAULTS_KILLS", size.kills))
    say(f"\nLIANXIN_FAULTS_SEED={seed} LIANXIN_FAULTS_OPINIONS={opinions} LIANXIN_FAULTS_KILLS={kills}\n")
    mail = {"LIANXIN_SMTP_HOST": smtp_server.host, "LIANXIN_SMTP_PORT": str(smtp_server.port)}
    # So slow to answer that kills find mails which have arrived and are not known to have.
    smtp_server.behave(fail=0.05, slow_s=2.0)
    stack = make_stack(env=SETTINGS | mail)
    stack.up()

    began = time.monotonic()
    drive, surface, killer, listener = asyncio.run(drive_under_kills(stack, size, opinions, kills, seed))
    driven = time.monotonic()
    stack.up()
    come_to_rest(stack, opinions)
    outcome = look(stack, smtp_server, drive, surface, killer, listener)
    tell(outcome, driven - began, time.monotonic() - driven)

    wrong = everything_wrong(outcome, opinions)
    assert not wrong, "\n".join(
        f"{len(found)} × {what}; the first: " + "; ".join(found[:5]) for what, found in wrong.items()
    )


async def drive_under_kills(
    stack: LocalStack, size: Size, opinions: int, kills: int, seed: int
) -> tuple[Drive, RepeatingSurface, Killer, Listener]:
    """Residents and deputies say everything twice, some with their inbox open, while the killer strikes."""
    addresses = Addresses.of_status(stack.status())
    finished = asyncio.Event()
    async with (
        asyncio.timeout(size.within_s),
        RepeatingSurface(addresses, connections=4 * size.concurrency, patience_s=PATIENCE_S) as surface,
    ):
        drive = Drive(surface, seed=seed, concurrency=size.concurrency, patience_s=PATIENCE_S, say=say)
        await drive.learn()

        def progress() -> float:
            return 1.0 if finished.is_set() else drive.progress / (2 * opinions)

        killer = Killer(stack, progress, say)
        killing = asyncio.create_task(killer.run(draw(kills, seed)))
        listener = Listener(surface, lambda: {o.holder for o in drive.ledger.opinions.values() if o.holder})
        listening = asyncio.create_task(listener.run())
        try:
            await drive.see_through(drive.drafts(opinions, run="kills"), SHARES, supporters_of)
            finished.set()
            await killing
        finally:
            killing.cancel()
            listening.cancel()
            (heard,) = await asyncio.gather(listening, return_exceptions=True)
            if not isinstance(heard, asyncio.CancelledError):
                raise heard
    return drive, surface, killer, listener


def supporters_of(draft: Draft) -> list[str]:
    """Who else has the same concern: nobody of most."""
    chance = random.Random(f"supporters/{draft.key}")
    return [f"resident-{n}" for n in range(chance.choice((0, 0, 0, 1, 3)))]


def come_to_rest(stack: LocalStack, opinions: int) -> None:
    """Wait until every record is worked off, every mail has its end, and the figures stand still."""
    before: list[object] = []

    def still() -> bool:
        told = stack.status()
        ready = [name for name, service in told["services"].items() if not service["ready"]]
        seen = (told["counts"], ready, lag(stack))
        again = before == [seen]
        before[:] = [seen]
        counts = told["counts"]
        settled = counts["submitted"] == opinions == (counts["assigned"] or 0) + (counts["triage"] or 0)
        assert again and not ready and seen[2] == 0 and settled, f"counts, not ready, lag: {seen}"  # noqa: PT018
        return counts["alerted"] == counts["assigned"]

    def no_mail_to_come() -> bool:
        assert not (due := mails_to_come(stack)), f"{due} deliveries or alerts are about to be gone on with"
        left = afterwards.mails_under_way(asyncio.run(read_log(stack.bootstrap, [topics.DELIVERIES])))
        assert not left, f"{len(left)} mails without an end: {left[:5]}"
        return True

    # Not fatal: what does not come to rest is told by the checks, with the ids.
    for condition in (still, no_mail_to_come):
        try:
            eventually(condition, timeout=REST_S, every=2.0)
        except AssertionError as restless:
            say(f"no rest: {restless}\n")


def mails_to_come(stack: LocalStack) -> int:
    """How many deliveries and alerts the notifier is about to go on with. What is sent has its next look, for
    a repeat, hours later; what is only queued is on no log yet."""
    soon = datetime.now(UTC) + timedelta(minutes=5)
    with MongoClient[dict[str, Any]](stack.database_url) as client:
        database = client[Settings(service="notifier").database_name]
        # In the order in which an alert goes through them, so that none slips past from one to the next.
        due = [
            database[name].count_documents({"due_at": {"$lte": soon}}) for name in ("reaching", "deliveries")
        ]
    return sum(due)


def look(
    stack: LocalStack,
    smtp: SmtpServer,
    drive: Drive,
    surface: RepeatingSurface,
    killer: Killer,
    listener: Listener,
) -> Outcome:
    """Read everything once, at rest."""
    log = asyncio.run(read_log(stack.bootstrap, [n for n in topics.BY_NAME if n != topics.REGISTRY]))
    status = stack.status()
    numbers = {who: len(known) for who, known in sorted(afterwards.numbered_opinions(log).items())}
    receivers = list(numbers)

    async def ask() -> Outcome:
        async with Surface(Addresses.of_status(status), patience_s=PATIENCE_S) as plain:
            return Outcome(
                drive, surface, killer, listener, Home.at(stack.directory).logs, log, status,
                inboxes={receiver: await plain.inbox(receiver) for receiver in receivers},
                mails=smtp.messages(),
                views={id_: await plain.opinion(id_) for id_ in drive.ledger.opinions},
                panels=await plain.metrics_text(),
                streams={who: await plain.alerts_so_far(who, number) for who, number in numbers.items()},
            )  # fmt: skip

    return asyncio.run(ask())


def everything_wrong(outcome: Outcome, opinions: int) -> dict[str, list[str]]:
    """Each rule that does not hold, with what is wrong."""
    log, ledger = outcome.log, outcome.drive.ledger
    in_flight = CONNECTIONS * sum(
        outcome.killer.killed[name] for name in ("notifier.worker", "broker", "database")
    )
    repeats = afterwards.repeats_after_crash(log)
    closures = sum(number for _, number in samples(outcome.panels, "lianxin_closure_seconds_count"))
    shown_stages: Counter[str] = Counter()
    for labels, number in samples(outcome.panels, "lianxin_cases"):
        shown_stages[labels["stage"]] += int(number)
    resolved = sum(
        any(isinstance(event.data, lifecycle.Resolved) for event in events)
        for events in checks.histories(log).values()
    )
    found = {
        "an opinion was not driven to its end": outcome.drive.failures,
        "an opinion was not accepted": [f"{len(ledger.opinions)} of {opinions} accepted"]
        if len(ledger.opinions) != opinions else [],
        "the same request was answered differently": outcome.surface.unlike,
        "the log contradicts what was answered": checks.everything_wrong_with(log, ledger),
        "a case was opened that nobody submitted": afterwards.nothing_else_was_opened(log, ledger),
        "a good record was put aside": afterwards.nothing_was_put_aside(log),
        "a support was lost or counted twice": afterwards.every_support_counts_once(log, ledger),
        "a rating was lost or counted twice": afterwards.every_rating_is_there(log, ledger),
        "the figures of lianxin status do not agree": checks.counts_agree(outcome.status, log),
        "metrics shows another number of closures": [f"{closures:g} shown, {resolved} on the log"]
        if closures != resolved else [],
        "metrics shows other stages": afterwards.panels_show_the_stages(log, shown_stages),
        "a resident sees something else": afterwards.every_resident_sees_the_stage(log, outcome.views),
        "an inbox shows something else": afterwards.every_inbox_shows_the_stage(log, outcome.inboxes),
        "an inbox lists something twice": checks.no_inbox_lists_an_alert_twice(outcome.inboxes),
        "a holder lacks a case": checks.every_assignee_found_it_in_the_inbox(log, outcome.inboxes),
        "an alert's number is not its own": afterwards.every_alert_has_one_number(log),
        "an inbox that is opened now is told something else":
            afterwards.open_inboxes_were_told_each_alert_once(log, outcome.streams, whole=True),
        "an inbox that was open meanwhile was told something else":
            afterwards.open_inboxes_were_told_each_alert_once(log, outcome.listener.told, whole=False),
        "no inbox that was open was told anything":
            [] if any(outcome.listener.told.values()) else ["the streams brought nothing"],
        "no mail arrived": [] if outcome.mails else ["the mail server accepted none"],
        "a process wrote down what nobody may":
            afterwards.no_log_file_holds_words(outcome.logs, ledger),
        "an assignment was not alerted": afterwards.every_assignment_was_alerted(log),
        "a mail went out twice unmarked": checks.nothing_was_sent_twice(log, outcome.mails),
        "a mail was lost": afterwards.every_mail_arrived(log, outcome.mails),
        "a mail has no end": afterwards.mails_under_way(log),
        "more mails were repeated than were in flight": [f"{repeats} repeats, {in_flight} in flight at most"]
        if repeats > in_flight else [],
    }  # fmt: skip
    return {what: problems for what, problems in found.items() if problems}


def tell(outcome: Outcome, drive_s: float, rest_s: float) -> None:
    """The run in figures, as one line of JSON."""
    figures = {
        "kills": outcome.killer.killed.total(),
        "kills_by_process": dict(sorted(outcome.killer.killed.items())),
        "drive_s": round(drive_s),
        "rest_s": round(rest_s),
        "requests_repeated": outcome.surface.repeated,
        "inboxes_open": len(outcome.listener.told),
        "alerts_told_in_them": sum(map(len, outcome.listener.told.values())),
        "times_an_inbox_was_opened_again": outcome.listener.breaks,
        "mails": len(outcome.mails),
        "repeated_after_crash": afterwards.repeats_after_crash(outcome.log),
        "counts": outcome.status["counts"],
        **outcome.drive.summary(),
    }
    say(json.dumps(figures, ensure_ascii=False) + "\n")
