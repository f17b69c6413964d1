"""Chat robots and SMS, against servers that speak the providers' documented protocols."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime

import pytest
from tests.support import robots
from tests.support.robots import SECRET, TOKEN, Provider

from lianxin_contracts.deliveries import InboxEntry
from lianxin_contracts.registry import City, Deputy, Region, Snapshot, Topic
from lianxin_notifier.alerts import Due, Outside
from lianxin_notifier.channel_robot import ROBOTS, Robot, RobotKind, RobotSlot, robots_of
from lianxin_notifier.channel_sms import SmsSlot, gateway_of
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
PATHS = {
    "wecom": f"/cgi-bin/webhook/send?key={TOKEN}",
    "dingtalk": f"/robot/send?access_token={TOKEN}",
    "feishu": f"/open-apis/bot/v2/hook/{TOKEN}",
}
JUDGES = {"wecom": robots.wecom, "dingtalk": robots.dingtalk, "feishu": robots.feishu}
LIMITS = {
    "wecom": ("wecom 45009", 60.0),
    "dingtalk": ("dingtalk 130101", 600.0),
    "feishu": ("feishu 11232", 60.0),
}


def due(kind: Outside, target: str = "room", receiver: str = "D1", repeated: bool = False) -> Due:
    return Due(
        alert="0d3f0000-0000-4000-8000-000000000001",
        name=kind,
        kind=kind,
        target=target,
        receiver=receiver,
        opinion="o-1",
        cause="e",
        raised=AT,
        entry=InboxEntry("opinion.assigned", "assigned", "open", topic="0101", due=AT),
        street="320213001",
        repeated=repeated,
    )


@pytest.fixture(params=ROBOTS)
def kind(request: pytest.FixtureRequest) -> RobotKind:
    found: RobotKind = request.param
    return found


@pytest.fixture
def provider(kind: RobotKind) -> Iterator[Provider]:
    made = Provider(JUDGES[kind])
    yield made
    made.close()


@pytest.fixture
async def slot(kind: RobotKind, provider: Provider) -> AsyncIterator[RobotSlot]:
    made = slot_with(kind, provider, SECRET)
    yield made
    await made.close()


def slot_with(kind: RobotKind, provider: Provider, secret: str, allowed: str = "127.0.0.1") -> RobotSlot:
    robot = Robot(f"http://127.0.0.1:{provider.port}{PATHS[kind]}", secret)
    return RobotSlot(kind, {"room": robot}, Poster(Allowed(allowed), 5.0), lambda: CITY, "https://lx.test")


async def test_a_robot_says_what_it_is_about_by_when_and_where_to_look(
    slot: RobotSlot, provider: Provider, kind: RobotKind
) -> None:
    assert await slot.deliver(due(kind)) == SENT
    assert await slot.deliver(due(kind, receiver="E1")) == SENT
    chinese, english = provider.said
    assert chinese.splitlines() == [
        "【连心】有一件居民意见交给您（道路，金匮街道）",
        "时限：2026年11月23日 星期一 09:00",
        "https://lx.test/inbox#o-1",
    ]
    assert english.startswith("[Lianxin] A resident's opinion was given to you (Roads, 金匮街道)")


async def test_a_repeat_says_that_it_is_one(slot: RobotSlot, provider: Provider, kind: RobotKind) -> None:
    assert await slot.deliver(due(kind, repeated=True)) == SENT
    assert provider.said[0].startswith("【重发】【连心】")


async def test_over_the_provider_s_limit_a_robot_waits_as_long_as_the_limit_lasts(
    slot: RobotSlot, provider: Provider, kind: RobotKind
) -> None:
    provider.most = 0
    reason, wait_s = LIMITS[kind]
    assert await slot.deliver(due(kind)) == Outcome("retry", reason, wait_s=wait_s)
    provider.forced = [(429, {"Retry-After": "7"}, b"")]
    assert await slot.deliver(due(kind)) == Outcome("retry", "http 429", wait_s=7.0)


async def test_a_wrong_signature_or_token_is_final(provider: Provider, kind: RobotKind) -> None:
    wrong = slot_with(kind, provider, "SEC-another")
    if kind == "wecom":  # has a token only
        wrong = RobotSlot(
            kind,
            {"room": Robot(f"http://127.0.0.1:{provider.port}/cgi-bin/webhook/send?key=x")},
            Poster(Allowed("127.0.0.1"), 5.0),
            lambda: CITY,
            "https://lx.test",
        )
    outcome = await wrong.deliver(due(kind))
    code = {"wecom": "93000", "dingtalk": "310000", "feishu": "19021"}[kind]
    assert outcome == Outcome("dead", f"{kind} {code}")
    assert provider.said == []
    await wrong.close()


@pytest.mark.parametrize("answer", [(500, b"{}"), (502, b"<html>"), (200, b'{"errcode": -1}')])
async def test_a_provider_in_trouble_is_tried_again(
    slot: RobotSlot, provider: Provider, kind: RobotKind, answer: tuple[int, bytes]
) -> None:
    provider.forced = [(answer[0], {}, answer[1])]
    outcome = await slot.deliver(due(kind))
    assert (outcome.result, outcome.unknown) == ("retry", False)


async def test_an_answer_that_is_none_leaves_open_whether_the_message_arrived(
    slot: RobotSlot, provider: Provider, kind: RobotKind
) -> None:
    provider.forced = [(200, {}, b"<html>please sign in to this network</html>")]
    assert await slot.deliver(due(kind)) == Outcome("retry", "no answer of a robot", unknown=True)


async def test_a_robot_that_nobody_set_up_and_one_inside_are_given_up(
    slot: RobotSlot, provider: Provider, kind: RobotKind
) -> None:
    assert await slot.deliver(due(kind, "elsewhere")) == Outcome("dead", "no robot of this name")
    inside = slot_with(kind, provider, SECRET, allowed="")
    assert await inside.deliver(due(kind)) == Outcome("dead", "address not allowed")
    assert provider.posted == []
    await inside.close()


def test_robots_are_described_in_json_and_a_mistake_in_it_is_named_without_its_secrets() -> None:
    assert robots_of("") == robots_of("{}")
    found = robots_of(
        '{"dingtalk": {"street": {"url": "https://oapi.dingtalk.com/robot/send", "secret": "S"}}}'
    )
    assert found.dingtalk["street"].secret == "S"
    assert "oapi" not in repr(found)
    with pytest.raises(ValueError, match="LIANXIN_ROBOTS") as raised:
        robots_of('{"wecom": {"x": {"uri": "https://secret.example"}}}')
    assert "secret.example" not in str(raised.value)


JSON = {
    "headers": {"Authorization": "Bearer k"},
    "json": {"mobile": "{phone}", "content": "{text}", "options": [{"ref": "{id}"}, 5]},
}
FORM = {"form": {"mobile": "{phone}", "content": "{text}", "extend": "{id}"}}
ANSWER = {"answer": {"path": "result.code", "sent": ["0"], "retry": ["1001"]}}


@pytest.fixture
def sms() -> Iterator[Provider]:
    made = Provider(robots.gateway)
    yield made
    made.close()


@pytest.fixture
async def texting(sms: Provider) -> AsyncIterator[Callable[..., SmsSlot]]:
    made: list[SmsSlot] = []

    def make(**described: object) -> SmsSlot:
        gateway = gateway_of(json.dumps({"url": f"http://127.0.0.1:{sms.port}/send", **described}))
        assert gateway is not None
        made.append(SmsSlot(gateway, Poster(Allowed("127.0.0.1"), 5.0), lambda: CITY, "https://lx.test"))
        return made[-1]

    yield make
    for slot in made:
        await slot.close()


@pytest.mark.parametrize("form", [JSON, FORM])
async def test_a_gateway_is_asked_as_its_description_says(
    texting: Callable[..., SmsSlot], sms: Provider, form: dict[str, object]
) -> None:
    slot = texting(**form, **ANSWER)
    assert await slot.deliver(due("sms", "+8613800000000")) == SENT
    assert sms.said[0].startswith("【连心】有一件居民意见交给您（道路，金匮街道）")
    _, headers, raw = sms.posted[0]
    assert b"0d3f0000-0000-4000-8000-000000000001" in raw
    assert headers.get("authorization") == ("Bearer k" if form is JSON else None)


async def test_a_gateway_s_codes_are_sent_retried_or_final(
    texting: Callable[..., SmsSlot], sms: Provider
) -> None:
    slot = texting(**FORM, **ANSWER)
    assert await slot.deliver(due("sms", "nobody")) == Outcome("dead", "sms BAD_NUMBER")
    sms.most = 0
    assert await slot.deliver(due("sms", "1")) == Outcome("retry", "sms 1001")
    sms.forced = [
        (503, {"Retry-After": "9"}, b""),
        (200, {}, b"[]"),
        (200, {}, b'{"result": {"code": "\xe4"}}'),
    ]
    assert await slot.deliver(due("sms", "1")) == Outcome("retry", "http 503", wait_s=9.0)
    unreadable = Outcome("retry", "no answer of the gateway", unknown=True)
    assert await slot.deliver(due("sms", "1")) == unreadable
    assert await slot.deliver(due("sms", "1")) == unreadable


async def test_without_codes_a_gateway_s_status_decides(
    texting: Callable[..., SmsSlot], sms: Provider
) -> None:
    slot = texting(**FORM)
    sms.forced = [(202, {}, b""), (400, {}, b"")]
    assert await slot.deliver(due("sms", "1")) == SENT
    assert await slot.deliver(due("sms", "1")) == Outcome("dead", "http 400")


@pytest.mark.parametrize(
    "text", ['{"url": "https://x"}', '{"url": "https://x", "json": {}, "form": {}}', "{", "[]"]
)
def test_a_gateway_described_wrongly_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="LIANXIN_SMS_GATEWAY"):
        gateway_of(text)
    assert gateway_of(" ") is None
