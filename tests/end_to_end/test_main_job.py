"""The main job: what residents say reaches a deputy, is answered, rated, closed and counted."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lianxin_contracts import topics
from tests.end_to_end import checks
from tests.end_to_end.drive import Drive
from tests.end_to_end.journey import EVERYTHING_CLOSES
from tests.end_to_end.ledger import Accepted
from tests.end_to_end.log import Log, read_log
from tests.end_to_end.surface import Addresses, Surface
from tests.support.stacks import LocalStack
from tests.support.wait import eventually

OPINIONS = 60
# Waiting costs nothing where it is quick, and several processes share the machine.
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Driven:
    """A stack on which everything was said and done, and what its residents and deputies know of it."""

    stack: LocalStack
    addresses: Addresses
    drive: Drive

    @property
    def opinions(self) -> list[Accepted]:
        return list(self.drive.ledger.opinions.values())

    def log(self) -> Log:
        """Everything that lies in Kafka now, but the city."""
        return asyncio.run(
            read_log(self.stack.bootstrap, [n for n in topics.BY_NAME if n != topics.REGISTRY])
        )

    def view(self, opinion: Accepted) -> dict[str, Any]:
        """The opinion as its resident sees it."""
        url = f"{self.addresses.intake}/v1/opinions/{opinion.id}?code={opinion.tracking_code}"
        found = httpx.get(url, trust_env=False, timeout=60).raise_for_status().json()
        assert isinstance(found, dict)
        return found


def drive_to_the_end(stack: LocalStack, count: int, seed: int) -> Driven:
    addresses = Addresses.of_status(stack.status())

    async def everything() -> Drive:
        async with Surface(addresses, patience_s=PATIENCE_S) as surface:
            drive = Drive(surface, seed=seed, concurrency=16, patience_s=PATIENCE_S)
            await drive.learn()
            accepted = await drive.submit(drive.drafts(count, run="main"), twice=True)
            await drive.finish(accepted, EVERYTHING_CLOSES)
            return drive

    return Driven(stack, addresses, asyncio.run(everything()))


@pytest.fixture(scope="module")
def driven(stack: LocalStack) -> Driven:
    return drive_to_the_end(stack, OPINIONS, seed=20261123)


def test_every_opinion_is_brought_to_its_end(driven: Driven):
    assert driven.drive.failures == []
    assert len(driven.opinions) == OPINIONS
    assert {opinion.stage for opinion in driven.opinions} == {"closed"}


def test_nothing_is_lost_doubled_out_of_order_or_where_it_must_not_be(driven: Driven):
    log = driven.log()

    assert checks.everything_wrong_with(log, driven.drive.ledger) == []
    assert checks.nothing_was_sent_twice(log) == []


def test_the_operators_figures_come_to_agree_with_the_log(driven: Driven):
    log = driven.log()

    def agree() -> bool:
        assert checks.counts_agree(driven.stack.status(), log) == []
        return True

    assert eventually(agree, timeout=PATIENCE_S, every=1.0)


def test_one_opinion_can_be_followed_by_its_timeline(driven: Driven):
    opinion = next(o for o in driven.opinions if o.score == "satisfied")
    view = driven.view(opinion)
    types = [step["type"] for step in view["timeline"]]
    milestones = [
        "opinion.submitted", "opinion.assigned", "opinion.accepted", "opinion.answered", "opinion.resolved",
        "opinion.rated", "opinion.closed",
    ]  # fmt: skip

    assert [type_ for type_ in dict.fromkeys(types) if type_ in milestones] == milestones
    assert [step["at"] for step in view["timeline"]] == sorted(step["at"] for step in view["timeline"])
    assert all(step["text"] for step in view["timeline"])
    assert (view["stage"], view["rating"]) == ("closed", "satisfied")


def test_a_dissatisfied_resident_has_the_case_reopened_before_it_closes(driven: Driven):
    reopened = [id_ for id_, events in checks.histories(driven.log()).items()
                if any(event.type == "opinion.reopened" for event in events)]  # fmt: skip
    dissatisfied = [id_ for id_, score in first_scores(driven.log()).items() if score == "dissatisfied"]

    assert set(dissatisfied) <= set(reopened)
    assert dissatisfied, "the seed gives some"


def first_scores(log: Log) -> dict[str, str]:
    """What each resident said first."""
    found: dict[str, str] = {}
    for case, event in log.events(topics.INBOUND):
        if event.type == "opinion.rated":
            found.setdefault(case, event.data.score)  # type: ignore[attr-defined]
    return found


def test_each_holder_has_each_case_once_in_the_inbox(driven: Driven):
    holders = sorted({opinion.holder for opinion in driven.opinions if opinion.holder})

    async def inboxes() -> dict[str, list[dict[str, Any]]]:
        async with Surface(driven.addresses, patience_s=PATIENCE_S) as surface:
            return {holder: await surface.inbox(holder) for holder in holders}

    found = asyncio.run(inboxes())

    assert checks.no_inbox_lists_an_alert_twice(found) == []
    assert checks.every_assignee_found_it_in_the_inbox(driven.log(), found) == []


def test_saying_it_again_later_is_answered_with_the_same_id_and_opens_nothing(driven: Driven):
    opinion = driven.opinions[0]
    before = checks.histories(driven.log())[opinion.id]

    answer = post(driven, opinion.body, opinion.key)
    rank_behind_it(driven, opinion)

    assert answer.status_code == 202
    assert answer.json()["id"] == opinion.id
    assert answer.json()["tracking_code"] == opinion.tracking_code
    log = driven.log()
    told = checks.histories(log)[opinion.id][len(before) :]
    assert {event.type for event in told} <= {"opinion.supported", "command.refused"}
    assert checks.every_accepted_opinion_is_there_once(log, driven.drive.ledger) == []


def rank_behind_it(driven: Driven, opinion: Accepted) -> None:
    """Say something else of the case, and return when it was decided on: then what was said before it was."""

    async def support() -> None:
        async with Surface(driven.addresses, patience_s=PATIENCE_S) as surface:
            await surface.support(opinion.id, "somebody", f"{opinion.key}/behind")

    def decided() -> bool:
        log = driven.log()
        assert checks.every_inbound_record_left_a_trace(log) == []
        return any(case == opinion.id and event.type == "opinion.supported"
                   for case, event in log.events(topics.INBOUND))  # fmt: skip

    asyncio.run(support())
    assert eventually(decided, timeout=PATIENCE_S, every=0.5)


def test_another_text_under_the_same_key_is_refused(driven: Driven):
    opinion = driven.opinions[0]

    answer = post(driven, opinion.body | {"text": "完全不同的内容"}, opinion.key)

    assert answer.status_code == 409
    assert "idempotency_conflict" in answer.text


def post(driven: Driven, body: dict[str, Any], key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {driven.addresses.submit_key}", "Idempotency-Key": key}
    url = f"{driven.addresses.intake}/v1/opinions"
    return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60)


def test_prometheus_is_shown_every_closure(driven: Driven):
    resolved = {
        case
        for case, events in checks.histories(driven.log()).items()
        if any(event.type == "opinion.resolved" for event in events)
    }

    def shown() -> float:
        page = httpx.get(f"{driven.addresses.metrics}/metrics", trust_env=False, timeout=60)
        text = page.raise_for_status().text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "lianxin_closure_seconds_count"
        )

    assert eventually(lambda: shown() == len(resolved), timeout=PATIENCE_S, every=0.5)
