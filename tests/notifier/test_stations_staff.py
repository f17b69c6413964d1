"""Staff of a station see and place what came in there, and may do nothing of anybody else's."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from lianxin_contracts import inbound, topics
from tests.notifier.lifecycles import SUBMITTED, History, assigned, triaged
from tests.notifier.running import Running
from tests.notifier.small_city import ACT
from tests.notifier.topics import read_all, write
from tests.notifier.visitors import Visitor, signed_in
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker

pytestmark = pytest.mark.usefixtures("worker")

WORDS = "站里的电梯坏了"
FORBIDDEN = {
    "Z1": ("/supervision", "/signins"),
    "T1": ("/station", "/signins"),
    "S1": ("/station", "/signins"),
    "A1": ("/station",),
    "D1": ("/station", "/supervision", "/signins"),
}


def case_at(broker: Broker, api: Running, station: str, *steps: Any, told: str = "T1") -> History:
    """A case that came in at `station`; `told` has it in the inbox."""
    case = History()
    write(broker.bootstrap, [case.words(WORDS), *case.steps(replace(SUBMITTED, station=station), *steps)])
    eventually(lambda: any(item["id"] == case.opinion for item in api.inbox(told, limit=500)))
    return case


def offered(page: str) -> list[str]:
    return re.findall(r'name="action" value="(\w+)"', page)


def said_of(broker: Broker, opinion: str) -> list[tuple[str, Any]]:
    return [(e.type, e.data) for e in read_all(broker.bootstrap, topics.INBOUND) if e.subject == opinion]


def test_staff_of_a_station_find_what_came_in_there_and_no_more(city_broker: Broker, api: Running) -> None:
    ours = case_at(city_broker, api, "P1", triaged("T1"))
    theirs = case_at(city_broker, api, "P2", triaged("T1"))
    staff = signed_in(api, "Z1")
    assert staff.http.get("/inbox").headers["location"] == "/station"
    page = staff.http.get("/station")
    assert page.status_code == 200
    assert f"/inbox/{ours.opinion}" in page.text
    assert theirs.opinion not in page.text
    assert 'href="/duty/P1"' in page.text
    assert WORDS in staff.http.get(f"/inbox/{ours.opinion}").text
    assert staff.http.get(f"/v1/cases/{ours.opinion}").json()["words"][0]["text"] == WORDS


def test_staff_of_a_station_see_no_case_of_another_by_any_door(city_broker: Broker, api: Running) -> None:
    case = case_at(city_broker, api, "P2", triaged("T1"))
    stranger, key = signed_in(api, "Z1"), {"Authorization": f"Bearer {ACT}"}
    for path in (f"/inbox/{case.opinion}", f"/v1/cases/{case.opinion}"):
        answer = stranger.http.get(path)
        assert answer.status_code == 403, path
        assert WORDS not in answer.text
    address = f"/v1/cases/{case.opinion}"
    seen = {who: api.http.get(address, params={"as": who}, headers=key).status_code for who in FORBIDDEN}
    assert seen == {"Z1": 403, "T1": 200, "S1": 200, "A1": 200, "D1": 403}
    assert api.http.get(address, params={"as": "Z2"}, headers=key).status_code == 200


def test_staff_of_a_station_place_what_waits_and_are_offered_nothing_else(
    city_broker: Broker, api: Running
) -> None:
    case = case_at(city_broker, api, "P1", triaged("T1"))
    staff = signed_in(api, "Z1")
    page = staff.http.get(f"/inbox/{case.opinion}").text
    assert set(offered(page)) == {"assign"}
    fields = staff.fields(page, "assign") | {"to": "D2"}
    assert staff.http.post(f"/inbox/{case.opinion}", data=fields).status_code == 303
    said = ("case.assign", inbound.Assign(inbound.Actor("staff", "Z1"), to="D2"))
    assert said in said_of(city_broker, case.opinion)


def test_staff_of_a_station_are_offered_nothing_once_a_deputy_has_the_case(
    city_broker: Broker, api: Running
) -> None:
    case = case_at(city_broker, api, "P1", triaged("T1"), assigned("D1", "triage"), told="D1")
    staff = signed_in(api, "Z1")
    eventually(lambda: "代表1" in staff.http.get(f"/inbox/{case.opinion}").text)
    assert offered(staff.http.get(f"/inbox/{case.opinion}").text) == []


def test_staff_of_a_station_act_on_no_case_of_another(city_broker: Broker, api: Running) -> None:
    ours = case_at(city_broker, api, "P1", triaged("T1"))
    theirs = case_at(city_broker, api, "P2", triaged("T1"))
    staff = signed_in(api, "Z1")
    fields = staff.fields(staff.http.get(f"/inbox/{ours.opinion}").text, "assign") | {"to": "D2"}
    assert staff.http.post(f"/inbox/{theirs.opinion}", data=fields).status_code == 403
    header = {"X-CSRF-Token": fields["csrf"]}
    for body in ({"action": "assign", "to": "D2"}, {"action": "assign", "to": "D2", "as": "T1"}):
        answer = staff.http.post(f"/v1/cases/{theirs.opinion}/actions", json=body, headers=header)
        assert answer.status_code == 403
    assert "case.assign" not in dict(said_of(city_broker, theirs.opinion))


def test_no_role_opens_another_s_pages(api: Running) -> None:
    for person, paths in FORBIDDEN.items():
        visitor = signed_in(api, person)
        for path in paths:
            assert visitor.http.get(path).status_code == 403, (person, path)
    assert Visitor(api).http.get("/station").headers["location"] == "/signin?to=%2Fstation"


def test_nobody_but_administrators_hands_out_links_or_ends_sign_ins_of_others(api: Running) -> None:
    for person in ("Z1", "T1", "S1", "D1"):
        visitor = signed_in(api, person)
        page = visitor.http.get("/station" if person == "Z1" else "/inbox").text
        found = re.search(r'name="csrf" value="(\w+)"', page)
        assert found is not None
        header = {"X-CSRF-Token": found[1]}
        for call in (
            visitor.http.get("/v1/signins"),
            visitor.http.post("/v1/signins", params={"person": "A1"}, headers=header),
            visitor.http.delete("/v1/signins", params={"person": "D2"}, headers=header),
            visitor.http.post("/signins", data={"csrf": found[1], "session": "any"}),
        ):
            assert call.status_code == 403, (person, call.request.method, call.request.url)
