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
TO_REST_S = 60.0


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
        found = httpx.get(url, trust_env=False).raise_for_status().json()
        assert isinstance(found, dict)
        return found


def drive_to_the_end(stack: LocalStack, count: int, seed: int) -> Driven:
    addresses = Addresses.of_status(stack.status())

    async def everything() -> Drive:
        async with Surface(addresses) as surface:
            drive = Drive(surface, seed=seed, concurrency=16)
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

    assert eventually(agree, timeout=TO_REST_S, every=1.0)


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
        async with Surface(driven.addresses) as surface:
            return {holder: await surface.inbox(holder) for holder in holders}

    found = asyncio.run(inboxes())

    assert checks.no_inbox_lists_an_alert_twice(found) == []
    assert checks.every_assignee_found_it_in_the_inbox(driven.log(), found) == []


def test_saying_it_again_later_is_answered_with_the_same_id_and_opens_nothing(driven: Driven):
    opinion = driven.opinions[0]
    before = driven.stack.status()["counts"]["submitted"]

    answer = post(driven, opinion.body, opinion.key)

    assert answer.status_code == 202
    assert answer.json()["id"] == opinion.id
    assert answer.json()["tracking_code"] == opinion.tracking_code
    assert driven.stack.status()["counts"]["submitted"] == before


def test_another_text_under_the_same_key_is_refused(driven: Driven):
    opinion = driven.opinions[0]

    answer = post(driven, opinion.body | {"text": "完全不同的内容"}, opinion.key)

    assert answer.status_code == 409
    assert "idempotency_conflict" in answer.text


def post(driven: Driven, body: dict[str, Any], key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {driven.addresses.submit_key}", "Idempotency-Key": key}
    return httpx.post(f"{driven.addresses.intake}/v1/opinions", json=body, headers=headers, trust_env=False)


def test_prometheus_is_shown_every_closure(driven: Driven):
    resolved = {
        case
        for case, events in checks.histories(driven.log()).items()
        if any(event.type == "opinion.resolved" for event in events)
    }

    def shown() -> float:
        text = httpx.get(f"{driven.addresses.metrics}/metrics", trust_env=False).raise_for_status().text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "lianxin_closure_seconds_count"
        )

    assert eventually(lambda: shown() == len(resolved), timeout=TO_REST_S, every=0.5)
