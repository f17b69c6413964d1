"""Opinions by WeChat, from the platform's signed posts to the record in the log, with broker and database."""

import io
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from uuid import uuid4

import pytest
from PIL import Image

from lianxin_contracts import inbound, topics
from lianxin_contracts.envelope import Event
from lianxin_intake.wechat.wording import PENDING
from tests.intake.fuzzed_wechat import post
from tests.intake.running import Running
from tests.intake.small_city import load_city
from tests.intake.topics import ensure_topics, read_all
from tests.intake.wechat_account import Person, Platform
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.wait import eventually
from tests.support.wechat_server import WechatServer, serving

CODE = re.compile(r"查询码：([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{5})")


def said_with(bootstrap: str, text: str) -> list[Event]:
    """The submissions whose words are `text`."""
    return [
        event
        for event in read_all(bootstrap, topics.INBOUND)
        if isinstance(event.data, inbound.Submitted) and event.data.text == text
    ]


@pytest.mark.parametrize("channel", ["wechat", "wechat-plain"])
def test_what_a_person_sends_becomes_one_opinion_that_can_be_followed(
    api: Running, worker: Running, city_broker: Broker, channel: str
) -> None:
    person, text = Person(Platform(api, channel)), f"路灯坏了 {uuid4()}"
    assert "金匮街道代表之家" in person.send("event", Event="subscribe", EventKey="qrscene_S1")
    assert "1段文字" in person.say(text)
    assert "1个位置" in person.send("location", Location_X="31.5", Location_Y="120.3", Label="人民路1号")
    assert "无法收作意见" in person.send("link", Title="x", Url="http://example.org")
    assert "没有收到" in person.send("image", MediaId="m", PicUrl="http://example.org/x.jpg")
    receipt = handed_in(person)
    match = CODE.search(receipt)
    assert match is not None
    assert person.again() == receipt
    (event,) = said_with(city_broker.bootstrap, text)
    said = event.data
    assert isinstance(said, inbound.Submitted)
    assert (said.channel, said.station, said.address) == (channel, "S1", "人民路1号")
    assert said.place == inbound.Place(31.5, 120.3, "gcj02")
    assert match[1] in person.say("进度")
    assert match[1] in person.say(f"查询 {match[1].lower()}")
    other = Person(person.platform)
    assert "还没有提交过" in other.say("进度")
    assert "没有找到" in other.say("查询 AAAA-AAAA-AAAAA")


def test_pictures_become_attachments_of_the_opinion(api: Running, city_broker: Broker) -> None:
    server, person, text = WechatServer(), Person(Platform(api, "wechat-plain")), f"墙裂了 {uuid4()}"
    server.media["/1.jpg"], server.media["/2.jpg"] = jpeg("red"), b"no picture"
    with serving(server) as url:
        assert "1张图片" in person.send("image", MediaId="m1", PicUrl=f"{url}/1.jpg")
        assert "1张图片" in person.again()
        assert "没有收到" in person.send("image", MediaId="m2", PicUrl=f"{url}/2.jpg")
    assert "还缺文字" in person.say("1")
    person.say(text)
    handed_in(person)
    (said,) = {event.data for event in said_with(city_broker.bootstrap, text)}
    assert len(said.attachments) == 1


def jpeg(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


def test_the_openid_is_nowhere_in_the_log(api: Running, city_broker: Broker) -> None:
    person = Person(Platform(api))
    person.say("路灯坏了")
    handed_in(person)
    for event in read_all(city_broker.bootstrap, topics.INBOUND):
        assert person.openid not in repr(event)


def test_a_post_that_wechat_did_not_sign_now_and_for_this_is_refused(api: Running) -> None:
    plain, sealed = Platform(api, "wechat-plain"), Platform(api)
    person = Person(plain)
    body, get, put = person.message("text", Content="x"), api.http.get, api.http.post
    echo = plain.query() | {"echostr": "5813"}
    assert get(plain.path, params=echo).text == "5813"
    assert get(plain.path, params=echo | {"signature": "0" * 40}).status_code == 403
    assert get(plain.path).status_code == 403
    assert put(plain.path, params=plain.query(at=time.time() - 3600), content=body).status_code == 403
    assert put(sealed.path, params=sealed.query(), content=body).status_code == 403
    wrong_key = sealed.query("x")
    assert put(sealed.path, params=wrong_key, content=b"<xml><Encrypt>x</Encrypt></xml>").status_code == 403
    assert get("/wechat/nobody", params=echo).status_code == 404
    used = plain.query()
    assert put(plain.path, params=used, content=body).status_code == 200
    assert put(plain.path, params=used, content=body).status_code == 200
    assert put(plain.path, params=used, content=person.message("text", Content="y")).status_code == 403
    assert put(plain.path, params=plain.query(), content=b"<xml>" + b"x" * 70_000).status_code == 413
    assert put(plain.path, params=plain.query(), content=b"<xml>").status_code == 400


def test_two_instances_and_wechats_retries_at_once_make_one_opinion(
    api: Running, city_broker: Broker, database: Database, make_running: Callable[..., Running]
) -> None:
    second = make_running("api", city_broker, database.url, "intake_shared").start()
    person, text = Person(Platform(api)), f"井盖松了 {uuid4()}"
    person.say(text)
    person.last = person.message("text", Content="提交")
    replies: list[str] = []
    threads = [
        threading.Thread(target=lambda one=one: replies.append(person.again(api=one)))
        for one in (api, second, api, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: found(person))
    assert len(replies) == 4
    said = said_with(city_broker.bootstrap, text)
    # Two instances may both have written it: under one event id, so that it counts once.
    assert len({(event.id, event.subject) for event in said}) == 1


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 250), *(pytest.param(n, 2_500, marks=pytest.mark.soak) for n in (2, 3, 4, 5))]
)
def test_no_post_that_went_wrong_is_answered_with_an_error_of_ours_or_half_stored(
    api: Running, city_broker: Broker, seed: int, count: int
) -> None:
    def submitted() -> set[str]:
        events = read_all(city_broker.bootstrap, topics.INBOUND)
        return {one.subject for one in events if one.source.startswith("/intake/wechat")}

    before, chance = submitted(), random.Random(seed)
    statuses: Counter[int] = Counter()
    receipts: set[str] = set()
    pending = 0
    for number in range(count):
        platform = Platform(api, chance.choice(("wechat", "wechat-plain")))
        answer = platform.post(post(chance, number))
        statuses[answer.status_code] += 1
        assert answer.status_code in (200, 400, 403, 413), f"post {number} of seed {seed}: {answer.text}"
        if answer.status_code == 200 and answer.text != "success":
            text = platform.text_of(answer)
            receipts.update(CODE.findall(text))
            pending += text == PENDING
    assert 0 < len(receipts) <= len(submitted() - before) <= len(receipts) + pending
    assert {200, 400} <= set(statuses)
    assert api.is_ready()


@pytest.mark.kafka
def test_with_the_broker_away_it_is_said_and_the_opinion_goes_by_itself_when_it_is_back(
    make_kafka: Callable[[], Broker], database: Database, make_running: Callable[..., Running]
) -> None:
    broker = make_kafka()
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    api = make_running("api", broker, database.url, "intake_wechat_killed").start()
    person, text = Person(Platform(api)), f"垃圾没人收 {uuid4()}"
    person.say(text)
    broker.kill()
    assert "还没有得到确认" in person.say("提交")
    assert "还没有得到确认" in person.again()
    broker.start()
    # Nobody writes any more: what says that it arrived is the log, once or, where the broker took what it did
    # not get to confirm, the same once more.
    eventually(lambda: said_with(broker.bootstrap, text), timeout=120)
    eventually(lambda: found(person), timeout=120, every=1)
    assert len({one.id for one in said_with(broker.bootstrap, text)}) == 1


def handed_in(person: Person) -> str:
    """The receipt for what `person` sent so far; on a busy machine it comes with a retry."""
    person.say("1")
    return eventually(lambda: found(person), every=0.5)


def found(person: Person) -> str:
    """The receipt of the last message, once there is one."""
    reply = person.again()
    return reply if CODE.search(reply) else ""


def test_with_the_database_away_the_person_is_told_and_nothing_is_half_stored(
    city_broker: Broker, make_database: Callable[[], Database], make_running: Callable[..., Running]
) -> None:
    database = make_database()
    database.kill()
    api = make_running("api", city_broker, database.url, "intake_wechat_down").start()
    person = Person(Platform(api))
    assert "系统正忙" in person.say("路灯坏了")
    database.start()
    eventually(lambda: "1段文字" in person.again(), timeout=120, every=1)
