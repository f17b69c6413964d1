"""Messages of a WeCom application, against a server that speaks the provider's documented protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from tests.support import robots
from tests.support.robots import AGENTID, CORPID, SECRET, Provider

from lianxin_contracts.deliveries import InboxEntry
from lianxin_contracts.registry import City, Deputy, Region, Snapshot, Topic
from lianxin_notifier.alerts import Due
from lianxin_notifier.channel_wecom_app import Application, Tokens, WecomAppSlot, application_of
from lianxin_notifier.posting import Allowed, Poster
from lianxin_notifier.retrying import SENT, Outcome

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
CITY = Snapshot(
    version="v1",
    city=City("wuxi", "无锡"),
    topics={"0101": Topic("0101", "道路", "Roads", "01")},
    regions={"320213001": Region("320213001", "street", "金匮街道", parent="320213")},
    deputies={"D1": Deputy("D1", "代表", "street"), "E1": Deputy("E1", "Eve", "street", language="en")},
)


def due(target: str = "ZhangSan", receiver: str = "D1") -> Due:
    return Due(
        alert="0d3f0000-0000-4000-8000-000000000001",
        name="wecom_app",
        kind="wecom_app",
        target=target,
        receiver=receiver,
        opinion="o-1",
        cause="e",
        raised=AT,
        entry=InboxEntry("opinion.assigned", "assigned", "open", topic="0101", due=AT),
        street="320213001",
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider(robots.wecom_app)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def slot_of(provider: Provider, clock: Clock, secret: str = SECRET, corpid: str = CORPID) -> WecomAppSlot:
    application = Application(corpid, secret, AGENTID, f"http://127.0.0.1:{provider.port}")
    tokens = Tokens(application, Poster(Allowed("127.0.0.1"), 5.0), clock)
    return WecomAppSlot(
        application, tokens, Poster(Allowed("127.0.0.1"), 5.0), lambda: CITY, "https://lx.test"
    )


@pytest.fixture
async def slot(provider: Provider, clock: Clock) -> AsyncIterator[WecomAppSlot]:
    made = slot_of(provider, clock)
    yield made
    await made.close()


async def test_a_card_says_what_it_is_about_by_when_and_opens_the_case(
    slot: WecomAppSlot, provider: Provider
) -> None:
    assert await slot.deliver(due()) == SENT
    assert await slot.deliver(due(receiver="E1")) == SENT
    (who, card), (_, english) = (json.loads(text) for text in provider.said)
    assert who == "ZhangSan"
    assert card["title"] == "【连心】有一件居民意见交给您（道路，金匮街道）"
    assert "时限：2026年11月23日 星期一 09:00" in card["description"]
    assert (card["url"], card["btntxt"]) == ("https://lx.test/inbox/o-1", "查看")
    assert english["title"].startswith("[Lianxin] A resident's opinion was given to you")


async def test_every_attempt_of_an_alert_is_the_same_so_that_wecom_shows_it_once(
    slot: WecomAppSlot, provider: Provider
) -> None:
    assert await slot.deliver(due()) == SENT
    assert await slot.deliver(replace(due(), attempt=2, repeated=True)) == SENT
    assert len(provider.said) == 1


async def test_two_alerts_on_one_case_are_not_taken_for_one(slot: WecomAppSlot, provider: Provider) -> None:
    assert await slot.deliver(due()) == SENT
    assert await slot.deliver(replace(due(), raised=AT + timedelta(minutes=1))) == SENT
    assert len(provider.said) == 2


async def test_a_token_is_asked_for_once_and_again_before_it_ends(
    slot: WecomAppSlot, provider: Provider, clock: Clock
) -> None:
    await asyncio.gather(slot.deliver(due()), slot.deliver(due("LiSi")))
    assert provider.tokens == ["token-1"]
    clock.now = 6_899.0
    assert await slot.deliver(due()) == SENT
    assert provider.tokens == ["token-1"]
    clock.now = 6_900.0
    assert await slot.deliver(due()) == SENT
    assert provider.tokens == ["token-1", "token-2"]


@pytest.mark.parametrize("code", [40014, 42001])
async def test_a_token_that_is_refused_is_renewed_within_the_attempt(
    slot: WecomAppSlot, provider: Provider, code: int
) -> None:
    assert await slot.deliver(due()) == SENT
    provider.forced = [(200, {}, json.dumps({"errcode": code}).encode())]
    assert await slot.deliver(due("LiSi")) == SENT
    assert provider.tokens == ["token-1", "token-2"]


async def test_a_token_that_is_refused_again_at_once_is_left_to_the_next_attempt(
    slot: WecomAppSlot, provider: Provider
) -> None:
    assert await slot.deliver(due()) == SENT
    old = (200, {}, b'{"errcode": 42001}')
    provider.forced = [old, (200, {}, b'{"errcode": 0, "access_token": "x", "expires_in": 7200}'), old]
    assert await slot.deliver(due()) == Outcome("retry", "wecom_app 42001")


@pytest.mark.parametrize("target", ["WangWu", "WangWu|ZhangSan"])
async def test_a_member_whom_wecom_does_not_know_is_given_up(
    slot: WecomAppSlot, provider: Provider, target: str
) -> None:
    if "|" in target:  # it answers so where some of several are unknown, or not visible to the application
        provider.forced = [
            (200, {}, b'{"errcode": 0, "access_token": "x", "expires_in": 7200}'),
            (200, {}, b'{"errcode": 0, "invaliduser": "wangwu"}'),
        ]
        target = "WangWu"
    outcome = await slot.deliver(due(target))
    assert outcome.result == "dead"
    assert "no" in (outcome.reason or "")
    assert target not in (outcome.reason or "")


async def test_over_the_limit_it_waits_and_a_busy_provider_is_tried_again(
    slot: WecomAppSlot, provider: Provider
) -> None:
    provider.most = 0
    assert await slot.deliver(due()) == Outcome("retry", "wecom_app 45009", wait_s=60.0)
    provider.forced = [(200, {}, b'{"errcode": -1}')]
    assert await slot.deliver(due()) == Outcome("retry", "wecom_app -1")
    provider.forced = [(502, {}, b"<html>")]
    assert await slot.deliver(due()) == Outcome("retry", "http 502")


async def test_an_address_that_the_application_does_not_trust_is_told_in_words(
    slot: WecomAppSlot, provider: Provider
) -> None:
    provider.forced = [(200, {}, b'{"errcode": 60020, "errmsg": "not allow to access from your ip"}')]
    outcome = await slot.deliver(due())
    assert outcome.result == "dead"
    assert outcome.reason is not None
    assert outcome.reason.startswith("wecom_app 60020: ")
    assert "企业可信IP" in outcome.reason


@pytest.mark.parametrize(("secret", "corpid", "code"), [("x", CORPID, "40001"), (SECRET, "x", "40013")])
async def test_a_wrong_secret_or_corporation_is_final(
    provider: Provider, clock: Clock, secret: str, corpid: str, code: str
) -> None:
    wrong = slot_of(provider, clock, secret, corpid)
    outcome = await wrong.deliver(due())
    assert (outcome.result, (outcome.reason or "")[:15]) == ("dead", f"wecom_app {code}")
    await wrong.close()


async def test_an_answer_cut_short_leaves_open_whether_it_arrived_unless_it_was_the_token_s(
    slot: WecomAppSlot, provider: Provider
) -> None:
    provider.forced = [(200, {}, b"<html>")]
    assert await slot.deliver(due()) == Outcome("retry", "no answer of WeCom")
    assert await slot.deliver(due()) == SENT
    provider.forced = [(200, {}, b"<html>")]
    assert await slot.deliver(due()) == Outcome("retry", "no answer of WeCom", unknown=True)


def test_an_application_described_wrongly_is_refused_without_its_secret() -> None:
    assert application_of(" ") is None
    with pytest.raises(ValueError, match="LIANXIN_WECOM_APP") as raised:
        application_of('{"corpid": "w", "secret": "hidden", "agentid": "x"}')
    assert "hidden" not in str(raised.value)
    found = application_of('{"corpid": "w", "secret": "hidden", "agentid": 1}')
    assert found is not None
    assert "hidden" not in repr(found)
