"""The desk over the wire: signing in, writing down, the receipt; and what nobody else may do."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from lianxin_contracts import inbound, topics
from lianxin_contracts.envelope import Event
from tests.intake.running import Running
from tests.intake.small_city import DESK, GRID, NO_SCOPE, REVOKED, SUBMIT
from tests.intake.topics import read_all, said_of
from tests.support.brokers import Broker


class Seat:
    """A browser without scripts that signed in. The cookie is Secure, which httpx sends over TLS alone."""

    def __init__(self, api: Running) -> None:
        self._api = api
        signed = api.http.post("/desk/sign-in", data={"channel_key": DESK})
        assert signed.status_code == 303
        self.cookie = signed.headers["set-cookie"].split(";")[0]

    def get(self, address: str) -> httpx.Response:
        return self._api.http.get(address, headers={"Cookie": self.cookie})

    def post(self, fields: dict[str, str], **headers: str) -> httpx.Response:
        return self._api.http.post("/desk", data=fields, headers={"Cookie": self.cookie, **headers})

    def opened(self) -> dict[str, str]:
        answer = self.get("/desk")
        assert answer.status_code == 200
        return hidden(answer.text)


def hidden(html: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(token|key)" value="([^"]*)"', html))


def code_on(page: str) -> str:
    return "-".join(re.findall(r"<span>([0-9A-Z]{4,5})</span>", page))


@pytest.fixture(scope="module")
def seat(api: Running) -> Seat:
    return Seat(api)


def all_said(broker: Broker) -> list[Event]:
    return read_all(broker.bootstrap, topics.INBOUND)


def test_only_a_desks_key_that_holds_opens_the_desk(api: Running) -> None:
    assert "渠道密钥" in api.http.get("/desk").text
    for key, words in (
        ("lx_unknown", "密钥不对"),
        (REVOKED, "密钥不对"),
        (NO_SCOPE, "没有受理权限"),
        (SUBMIT, "不是受理台的密钥"),
    ):
        answer = api.http.post("/desk/sign-in", data={"channel_key": key})
        assert answer.status_code in (401, 403)
        assert words in answer.text
        assert key not in answer.text
        assert "set-cookie" not in answer.headers


def test_a_call_is_written_down_once_and_its_code_read_out(seat: Seat, city_broker: Broker) -> None:
    said = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=2)
    fields = seat.opened() | {
        "text": "电话里说路灯坏了",
        "place": "崇安社区第一网格",
        "address": "3号楼",
        "topic": "0101",
        "phone": "13800000000",
        "occurred": f"{said.astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%dT%H:%M}",
    }
    answers = [seat.post(fields) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    pages = [seat.get(answer.headers["location"]).text for answer in answers]
    assert code_on(pages[0]) == code_on(pages[1]) != ""
    assert code_on(pages[0]) not in answers[0].headers["location"]
    assert "崇安社区第一网格 3号楼" in pages[0]
    assert "data:image/svg+xml" in pages[0]
    assert "13800000000" not in pages[0]
    events = [e for e in all_said(city_broker) if getattr(e.data, "text", "") == fields["text"]]
    assert len({event.id for event in events}) == 1
    data = events[0].data
    assert isinstance(data, inbound.Submitted)
    assert (data.channel, data.entry, data.grid, data.address) == ("desk", "desk", GRID, "3号楼")
    assert data.contact is not None
    assert events[0].time == said
    assert said_of(city_broker.bootstrap, topics.INBOUND, events[0].subject)


def test_several_places_are_asked_about_and_nothing_typed_is_lost(seat: Seat) -> None:
    fields = seat.opened() | {"text": "哪里的灯", "place": "jk", "address": "3号楼"}
    asked = seat.post(fields)
    assert asked.status_code == 422
    assert "是哪一个" in asked.text
    for words in ("哪里的灯", "3号楼", "station:S1"):
        assert words in asked.text
    chosen = {"chosen": "station:S1", "chosen_for": "jk"}
    answer = seat.post(fields | chosen | hidden(asked.text))
    assert answer.status_code == 303
    assert "金匮街道代表之家 3号楼" in seat.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({}, "请先写下"),
        ({"text": "x", "occurred": "2001-01-01T00:00"}, "七天以内"),
        ({"text": "x", "occurred": "soon"}, "时间不对"),
        ({"text": "x", "phone": "不知道"}, "电话号码不对"),
        ({"text": "x", "topic": "9999"}, "没有这个类别"),
    ],
)
def test_a_mistake_is_told_at_its_field(seat: Seat, typed: dict[str, str], words: str) -> None:
    answer = seat.post(seat.opened() | {"address": "3号楼"} | typed)
    assert answer.status_code == 422
    assert words in answer.text
    assert "3号楼" in answer.text


def test_a_form_of_another_session_or_site_is_not_taken(api: Running, seat: Seat) -> None:
    fields = seat.opened() | {"text": "x"}
    assert seat.post(fields, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    again = Seat(api).post(fields)
    assert again.status_code == 403
    assert "再按一次提交" in again.text
    assert seat.post(fields | {"key": "1"}).status_code == 422
    assert api.http.post("/desk/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_what_was_typed_outlives_the_session(api: Running) -> None:
    over = api.http.post("/desk", data={"text": "<b>写到一半", "phone": "0510 1", "channel_key": "secret"})
    assert over.status_code == 401
    assert "登录已过期" in over.text
    assert "&lt;b&gt;写到一半" in over.text
    assert "secret" not in over.text
    back = api.http.post(
        "/desk/sign-in", data={"channel_key": DESK, "text": "<b>写到一半", "phone": "0510 1"}
    )
    assert back.status_code == 200
    assert "&lt;b&gt;写到一半" in back.text


def test_the_receipt_is_for_who_sits_at_the_desk(api: Running, seat: Seat) -> None:
    address = seat.post(seat.opened() | {"text": "收据"}).headers["location"]
    assert code_on(seat.get(address).text)
    assert not code_on(api.http.get(address).text)
    assert seat.get("/desk/receipt?r=x").status_code == 404
    out = api.http.post("/desk/sign-out", headers={"Cookie": seat.cookie})
    assert 'lianxin_desk=""' in out.headers["set-cookie"]


def test_places_are_found_by_what_was_heard(api: Running) -> None:
    def asked(**query: str) -> httpx.Response:
        return api.http.get("/v1/places", params=query)

    (station, *_) = asked(q="jkjddb").json()["items"]
    assert (station["kind"], station["id"], station["grid"]) == ("station", "S1", GRID)
    assert asked(q="崇安社区第一网格").json()["items"][0]["exact"] is True
    assert asked(q="火星").json() == {"items": []}
    assert len(asked(q="金", limit="1").json()["items"]) == 1
    for wrong in ({}, {"q": ""}, {"q": "x" * 65}, {"q": "x", "limit": "51"}, {"q": "x", "limit": "0"}):
        assert asked(**wrong).status_code == 422
