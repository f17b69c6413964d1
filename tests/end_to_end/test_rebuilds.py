"""Every projection is rebuilt, and dropped, while opinions go on being driven through: the same state
afterwards, no blank page, no fallen counter, and not one message sent outside (invariant 8)."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.generations import Generations
from lianxin_chassis.settings import Settings
from lianxin_contracts import topics
from lianxin_contracts.deliveries import Delivery
from lianxin_local.ports import ports_from
from lianxin_router.domain.case import Case
from lianxin_router.domain.evolve import evolve
from lianxin_router.store import CaseStore
from tests.end_to_end import checks
from tests.end_to_end.drive import Drive
from tests.end_to_end.journey import Shares
from tests.end_to_end.ledger import Accepted
from tests.end_to_end.log import Log, read_log
from tests.end_to_end.rest import lag
from tests.end_to_end.surface import Addresses, Surface
from tests.end_to_end.watching import Answers, Pages, Watch
from tests.faults import afterwards
from tests.support.smtp import SmtpServer
from tests.support.stacks import LocalStack
from tests.support.wait import eventually

SEED = 20261123
AT_REST = 24
# Opinions that are driven through, one after the other, while something is rebuilt.
AT_ONCE = 2
# Everything is waited for with patience: seven processes and a broker share the machine.
PATIENCE_S = 300.0
SERVICES = ("intake", "router", "notifier", "metrics")


@dataclass
class City:
    """A stack with opinions at rest, at every stage, and what it says about them: on its pages (`expected`),
    in the router's database (`cases`), and towards the outside (`mails`, their Message-IDs)."""

    stack: LocalStack
    smtp: SmtpServer
    drive: Drive
    addresses: Addresses
    opinions: list[Accepted]
    pages: Pages
    expected: Answers = field(default_factory=lambda: Answers({}, {}, {}))
    cases: dict[str, Case | None] = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)
    loads: int = 0

    @property
    def metrics(self) -> dict[str, str]:
        """Where Prometheus scrapes metrics, by process."""
        ports = ports_from(self.stack.port_base)
        return {name: f"http://127.0.0.1:{ports[name]}" for name in ("metrics.api", "metrics.worker")}

    def log(self) -> Log:
        return asyncio.run(
            read_log(self.stack.bootstrap, [n for n in topics.BY_NAME if n != topics.REGISTRY])
        )

    def at_rest(self) -> bool:
        """Everything is worked off, every figure and page is where the log says, every mail has its end."""
        log = self.log()
        assert checks.counts_agree(self.stack.status(), log) == []
        assert lag(self.stack) == 0
        assert afterwards.mails_under_way(log) == []
        answers = self.pages.answers()
        assert afterwards.every_resident_sees_the_stage(log, answers.views) == []
        shown = {holder: list(lines.values()) for holder, lines in answers.inboxes.items()}
        assert afterwards.every_inbox_shows_the_stage(log, shown) == []
        return True

    def mails_now(self) -> list[str]:
        """The Message-ID of every mail to a deputy that has arrived about the opinions at rest, as often as
        it has. Residents' milestones come later by themselves; that none comes twice is checked with all."""
        mine = {opinion.id for opinion in self.opinions}
        attempts = {
            event.data.message_id: event.data
            for _, event in self.log().events(topics.DELIVERIES)
            if isinstance(event.data, Delivery) and event.data.channel == "mail"
        }
        arrived = [mail["message_id"] for mail in self.smtp.messages()]
        assert set(arrived) <= set(attempts), "a mail arrived of which no attempt is recorded"
        to_deputies = {id_ for id_, one in attempts.items() if one.receiver != "resident"}
        return sorted(one for one in arrived if one in to_deputies and attempts[one].opinion in mine)

    def cases_now(self) -> dict[str, Case | None]:
        """What the router's database holds of the opinions at rest."""

        async def read() -> dict[str, Case | None]:
            db = open_database(Settings(service="router", mongo_url=self.stack.database_url))
            try:
                store = CaseStore(db, await Generations(db, "router").live())
                held = await store.load(opinion.id for opinion in self.opinions)
                return {id_: one.case for id_, one in held.items()}
            finally:
                await close_database(db)

        return asyncio.run(read())

    def cases_by_the_log(self) -> dict[str, Case | None]:
        """What the lifecycle folds to for the opinions at rest."""
        told = checks.histories(self.log())
        folded: dict[str, Case | None] = {}
        for opinion in self.opinions:
            case: Case | None = None
            for event in told[opinion.id]:
                case = evolve(case, event)
            folded[opinion.id] = case
        return folded

    def under_load(self, do: Callable[[], None]) -> None:
        """`do` while opinions are submitted, answered and closed; returns when those are closed too."""
        enough = threading.Event()
        self.loads += 1
        run = f"load{self.loads}"
        loading = threading.Thread(target=lambda: asyncio.run(self._load(run, enough)))
        loading.start()
        try:
            do()
        finally:
            enough.set()
            loading.join()

    async def _load(self, run: str, enough: threading.Event) -> None:
        async with Surface(self.addresses, patience_s=PATIENCE_S) as surface:
            drive = Drive(surface, SEED, AT_ONCE, PATIENCE_S, ledger=self.drive.ledger)
            drive.failures = self.drive.failures
            await drive.learn()
            number = 0
            while not enough.is_set():
                number += 1
                await drive.finish(await drive.submit(drive.drafts(AT_ONCE, run=f"{run}-{number}")))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    smtp = SmtpServer(tmp_path_factory.mktemp("smtp"))
    smtp.start()
    mail = {"LIANXIN_SMTP_HOST": smtp.host, "LIANXIN_SMTP_PORT": str(smtp.port)}
    stack = LocalStack(tmp_path_factory.mktemp("rebuilds"), env=mail | {"LIANXIN_REBUILD_HANDOVER_S": "5"})
    stack.up()
    addresses = Addresses.of_status(stack.status())

    async def live() -> Drive:
        async with Surface(addresses, patience_s=PATIENCE_S) as surface:
            drive = Drive(surface, SEED, 8, PATIENCE_S)
            await drive.learn()
            accepted = await drive.submit(drive.drafts(AT_REST, run="rest"))
            # Some are left where they are: at triage, with a deputy, resolved and not rated, closed.
            await drive.finish(accepted[: AT_REST // 2], Shares(untouched=0.2, rated=0.6))
            await drive.finish(accepted[AT_REST // 2 :], Shares(untouched=1.0))
            return drive

    drive = asyncio.run(live())
    assert drive.failures == []
    opinions = list(drive.ledger.opinions.values())
    one = City(stack, smtp, drive, addresses, opinions, Pages(addresses, opinions, datetime.now(UTC)))
    eventually(one.at_rest, timeout=PATIENCE_S, every=1.0)
    one.expected, one.cases, one.mails = one.pages.answers(), one.cases_now(), one.mails_now()
    assert one.mails, "some deputies have mail"
    assert one.cases == one.cases_by_the_log()
    yield one
    stack.remove()
    smtp.kill()


def nothing_is_different(city: City) -> None:
    """Pages, reports, cases and mails are what they were before anything was rebuilt; nobody was killed, so
    not even a marked repeat is allowed."""
    assert eventually(lambda: city.pages.answers() == city.expected, timeout=PATIENCE_S, every=1.0)
    assert city.drive.failures == []
    assert city.cases_now() == city.cases
    log, mails = city.log(), city.smtp.messages()
    assert checks.nothing_was_sent_twice(log, mails) == []
    assert checks.repeats(log) == []
    assert city.mails_now() == city.mails


def test_what_is_rebuilt_under_load_shows_the_same_all_the_time(city: City) -> None:
    def rebuild() -> None:
        for service in SERVICES:
            done = city.stack.lianxin("rebuild", service, check=False, timeout=PATIENCE_S)
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith(f"{service} is rebuilt and live")

    with Watch(city.pages, city.expected, city.metrics) as watch:
        city.under_load(rebuild)
    assert watch.faults == []
    nothing_is_different(city)


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_dropped_under_load_comes_back_the_same_and_shows_nothing_wrong_meanwhile(
    city: City, service: str
) -> None:
    def drop() -> None:
        was = city.stack.status()["pids"][f"{service}.worker"]
        asyncio.run(drop_database(city.stack.database_url, service))

        def back() -> bool:
            told = city.stack.status()
            return bool(told["services"][service]["ready"]) and told["pids"][f"{service}.worker"] != was

        eventually(back, timeout=PATIENCE_S, every=1.0)

    with Watch(city.pages, city.expected, city.metrics, may_be_away=service) as watch:
        city.under_load(drop)
    assert watch.faults == []
    nothing_is_different(city)


async def drop_database(url: str, service: str) -> None:
    settings = Settings(service=service, mongo_url=url)
    db: Any = open_database(settings)
    await db.client.drop_database(settings.database_name)
    await close_database(db)


def test_after_all_that_the_log_and_the_figures_are_whole(city: City) -> None:
    eventually(city.at_rest, timeout=PATIENCE_S, every=1.0)
    assert checks.everything_wrong_with(city.log(), city.drive.ledger) == []
    assert afterwards.every_mail_arrived(city.log(), city.smtp.messages()) == []
