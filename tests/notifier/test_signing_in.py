"""Signing in to the workbench, and what nobody may do who isn't, or is somebody else."""

import re
from urllib.parse import urlsplit

import pytest

from lianxin_contracts import ids, inbound, lifecycle, topics
from tests.notifier.lifecycles import SUBMITTED, History, assigned
from tests.notifier.running import Running
from tests.notifier.small_city import ADMIN
from tests.notifier.topics import read_all, write
from tests.notifier.visitors import Visitor, link_for, signed_in
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker

# Without a worker there are no inboxes yet, and pages say so with 503.
pytestmark = pytest.mark.usefixtures("worker")


def case_of(broker: Broker, api: Running, deputy: str, *, contact: bool = False) -> History:
    """A case in this deputy's inbox."""
    case = History()
    records = [case.words("路灯坏了"), *case.steps(SUBMITTED, assigned(deputy))]
    write(broker.bootstrap, [case.contact("13800000000"), *records] if contact else records)
    eventually(lambda: any(item["id"] == case.opinion for item in api.inbox(deputy, limit=500)))
    return case


def said_of(broker: Broker, opinion: str) -> list[str]:
    return [e.type for e in read_all(broker.bootstrap, topics.INBOUND) if e.subject == opinion]


def test_a_link_signs_in_once_and_only_by_its_button(api: Running) -> None:
    link = link_for(api, "D1")
    scanner = Visitor(api)
    for _ in range(3):  # what mail scanners and previews of chats do
        assert scanner.http.get(urlsplit(link).path).status_code == 200
        assert not scanner.http.cookies
    deputy = Visitor(api)
    answer = deputy.open(link)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert deputy.http.get("/inbox").status_code == 200


def test_a_link_that_was_used_signs_nobody_in(api: Running) -> None:
    link = link_for(api, "D1")
    assert Visitor(api).open(link).status_code == 303
    thief = Visitor(api)
    again = thief.http.post(urlsplit(link).path, data={"to": "/inbox"})
    assert again.status_code == 410
    assert not thief.http.cookies
    assert thief.http.get("/inbox").status_code == 303


def test_a_link_with_another_name_on_it_signs_nobody_in(api: Running) -> None:
    token = urlsplit(link_for(api, "D1")).path.rpartition("/")[2]
    other = urlsplit(link_for(api, "D2")).path.rpartition("/")[2]
    forged = f"{other.split('.')[0]}.{token.split('.')[1]}"
    thief = Visitor(api)
    assert thief.http.post(f"/signin/{forged}", data={"to": "/inbox"}).status_code == 403
    assert not thief.http.cookies


def test_a_link_leads_to_our_own_pages_only(api: Running) -> None:
    visitor = Visitor(api)
    answer = visitor.http.post(urlsplit(link_for(api, "D1")).path, data={"to": "https://evil.test/inbox"})
    assert answer.headers["location"] == "/inbox"


def test_another_site_can_not_press_the_button(api: Running) -> None:
    path = urlsplit(link_for(api, "D1")).path
    answer = Visitor(api).http.post(path, data={"to": "/inbox"}, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403


def test_asking_for_a_link_tells_nobody_whether_there_is_such_a_deputy(api: Running) -> None:
    known, unknown = (Visitor(api).http.post("/signin", data={"who": who}) for who in ("M6", "NOBODY"))
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert known.status_code == 200


def test_one_name_is_not_asked_for_without_end(api: Running) -> None:
    answers = [Visitor(api).http.post("/signin", data={"who": "M5"}).status_code for _ in range(7)]
    assert answers[0] == 200
    assert answers[-1] == 429


def test_a_sign_in_that_is_revoked_ends_at_once(api: Running) -> None:
    deputy = signed_in(api, "D3")
    staff = {"Authorization": f"Bearer {ADMIN}"}
    (newest, *_) = api.http.get("/v1/signins", params={"person": "D3"}, headers=staff).json()["items"]
    assert api.http.delete(f"/v1/signins/{newest['id']}", headers=staff).json() == {"revoked": 1}
    assert deputy.http.get("/inbox").status_code == 303


def test_administrators_end_sign_ins_on_their_page_and_deputies_do_not(api: Running) -> None:
    deputy, admin = signed_in(api, "D4"), signed_in(api, "A1")
    assert deputy.http.get("/signins").status_code == 403
    assert deputy.http.get("/v1/signins").status_code == 403
    page = admin.http.get("/signins").text
    csrf = re.search(r'name="csrf" value="(\w+)"', page)
    session = re.search(r"<strong>代表4</strong>.*?name=\"session\" value=\"([\w-]+)\"", page, re.DOTALL)
    assert csrf is not None
    assert session is not None
    admin.http.post("/signins", data={"csrf": csrf[1], "session": session[1]})
    assert deputy.http.get("/inbox").status_code == 303


def test_whoever_signs_out_is_out(api: Running) -> None:
    deputy = signed_in(api, "D1")
    csrf = re.search(r'name="csrf" value="(\w+)"', deputy.http.get("/inbox").text)
    assert csrf is not None
    cookies = dict(deputy.http.cookies)
    assert deputy.http.post("/signout", data={"csrf": csrf[1]}).headers["location"] == "/signin"
    assert Visitor(api).http.get("/inbox", cookies=cookies).status_code == 303


def test_a_deputy_can_not_see_another_s_case(city_broker: Broker, api: Running) -> None:
    case = case_of(city_broker, api, "D1")
    assert signed_in(api, "D1").http.get(f"/inbox/{case.opinion}").status_code == 200
    other = signed_in(api, "D2")
    for path in (
        f"/inbox/{case.opinion}",
        f"/v1/cases/{case.opinion}",
        f"/v1/cases/{case.opinion}?as=D1",
        "/v1/inbox?deputy=D1",
        "/v1/alerts/stream?deputy=D1",
    ):
        answer = other.http.get(path)
        assert answer.status_code == 403, path
        assert "路灯坏了" not in answer.text


def test_a_deputy_can_not_act_on_another_s_case_nor_in_another_s_name(
    city_broker: Broker, api: Running
) -> None:
    mine, theirs = case_of(city_broker, api, "D2"), case_of(city_broker, api, "D1")
    deputy = signed_in(api, "D2")
    fields = deputy.fields(deputy.http.get(f"/inbox/{mine.opinion}").text, "accept")
    assert deputy.http.post(f"/inbox/{theirs.opinion}", data=fields).status_code == 403
    header = {"X-CSRF-Token": fields["csrf"]}
    body = {"action": "accept"}
    address = f"/v1/cases/{theirs.opinion}/actions"
    assert deputy.http.post(address, json=body, headers=header).status_code == 403
    assert deputy.http.post(address, json=body | {"as": "D1"}, headers=header).status_code == 403
    assert "case.accept" not in said_of(city_broker, theirs.opinion)


def test_nobody_forges_an_action(city_broker: Broker, api: Running) -> None:
    case = case_of(city_broker, api, "D1")
    deputy, other = signed_in(api, "D1"), signed_in(api, "D2")
    page = f"/inbox/{case.opinion}"
    fields = deputy.fields(deputy.http.get(page).text, "accept")
    without = {name: value for name, value in fields.items() if name != "csrf"}
    theirs = re.search(r'name="csrf" value="(\w+)"', other.http.get("/inbox").text)
    assert theirs is not None
    for forged in (without, without | {"csrf": "0" * 32}, without | {"csrf": theirs[1]}):
        assert deputy.http.post(page, data=forged).status_code == 403
    for header in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        assert deputy.http.post(page, data=fields, headers=header).status_code == 403
    address = f"/v1/cases/{case.opinion}/actions"
    assert deputy.http.post(address, json={"action": "accept"}).status_code == 403
    assert "case.accept" not in said_of(city_broker, case.opinion)
    # And the page's own form is heeded, in the name of whoever is signed in and of no channel.
    assert deputy.http.post(page, data=fields).status_code == 303
    (event,) = [
        e
        for e in read_all(city_broker.bootstrap, topics.INBOUND)
        if e.subject == case.opinion and e.type == "case.accept"
    ]
    assert event.data == inbound.Accept(inbound.Actor("deputy", "D1"))


def test_a_deputy_can_not_reach_another_s_contact(city_broker: Broker, api: Running) -> None:
    case = case_of(city_broker, api, "D1", contact=True)
    holder, other = signed_in(api, "D1"), signed_in(api, "D2")
    command = ids.fresh()
    write(
        city_broker.bootstrap,
        [case.next(lifecycle.ContactRevealed(inbound.Actor("deputy", "D1")), cause=command)],
    )
    page = f"/inbox/{case.opinion}?command={command}"
    eventually(lambda: "13800000000" in holder.http.get(page).text)
    for path in (page, f"/v1/cases/{case.opinion}/contact?command={command}"):
        answer = other.http.get(path)
        assert answer.status_code == 403
        assert "13800000000" not in answer.text
    # Who opens the page without revealing it anew does not see it either.
    assert "13800000000" not in holder.http.get(f"/inbox/{case.opinion}").text
