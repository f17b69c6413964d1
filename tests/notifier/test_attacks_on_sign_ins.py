"""What an attacker would try on sign-ins, pages and calls by cookie that no other test tries."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.notifier.conftest import DATABASE
from tests.notifier.lifecycles import SUBMITTED, History, assigned
from tests.notifier.running import Running
from tests.notifier.small_city import ADMIN
from tests.notifier.topics import write
from tests.notifier.visitors import Visitor, link_for, signed_in
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.databases import Database

pytestmark = pytest.mark.usefixtures("worker")

STAFF = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture(scope="module")
def public(
    city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """An API that is reached by https from outside, as in a city."""
    directory = tmp_path_factory.mktemp("notifier-https")
    address = "https://lianxin.test"
    running = Running("api", directory, city_broker, database.url, DATABASE, public_url=address)
    yield running.start()
    running.stop()


def csrf_of(visitor: Visitor) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', visitor.http.get("/inbox").text)
    assert found is not None
    return found[1]


def test_a_session_that_was_planted_before_signing_in_opens_nothing_afterwards(api: Running) -> None:
    """Session fixation: the token is new at every sign-in, and the browser's former one ends."""
    attacker = signed_in(api, "D2")
    planted = dict(attacker.http.cookies)
    victim = Visitor(api)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in planted.items())}
    answer = victim.http.post(urlsplit(link_for(api, "D1")).path, data={"to": "/inbox"}, headers=headers)
    assert answer.status_code == 303
    assert victim.http.cookies["lianxin"] != planted["lianxin"]
    assert attacker.http.get("/inbox").status_code == 303


@pytest.mark.parametrize("token", ["a" * 43, "0", "null", '{"$ne":""}', "../../x", "x" * 8000, "é"])
def test_a_token_of_somebody_s_own_making_opens_nothing(api: Running, token: str) -> None:
    headers = [(b"Cookie", f"lianxin={token}".encode())]
    assert httpx.get(f"{api.url}/inbox", headers=headers, timeout=30).status_code == 303


def test_behind_https_the_cookie_is_this_host_s_alone_and_never_goes_in_the_open(public: Running) -> None:
    answer = Visitor(public).http.post(urlsplit(link_for(public, "D1")).path, data={"to": "/inbox"})
    (cookie,) = answer.headers.get_list("set-cookie")
    name, *attributes = [part.strip().lower() for part in cookie.split(";")]
    assert name.startswith("__host-lianxin=")
    assert {"httponly", "secure", "path=/", "samesite=lax"} <= set(attributes)
    assert not any(attribute.startswith("domain") for attribute in attributes)


ELSEWHERE = [
    "https://evil.test",
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "/inbox//evil.test",
    "/inbox/..//evil.test",
    "/inbox@evil.test",
    "/inbox?to=//evil.test",
    "/inbox\r\nSet-Cookie: lianxin=x",
    "/inbox\n/x",
    "/%2f%2fevil.test",
    "javascript:alert(1)",
    "/signin",
    "/signout",
    "",
]


@pytest.mark.parametrize("to", ELSEWHERE, ids=repr)
def test_no_way_of_signing_in_leads_elsewhere(api: Running, to: str) -> None:
    path = urlsplit(link_for(api, "D1")).path
    visitor = Visitor(api)
    assert 'name="to" value="/inbox"' in visitor.http.get(path, params={"to": to}).text
    assert visitor.http.post(path, data={"to": to}).headers["location"] == "/inbox"
    # Who is signed in already is sent on by looking.
    again = visitor.http.get(urlsplit(link_for(api, "D1")).path, params={"to": to})
    assert again.headers["location"] == "/inbox"
    assert 'name="to" value="/inbox"' in visitor.http.get("/signin", params={"to": to}).text


def test_every_page_forbids_frames_foreign_scripts_and_caches(city_broker: Broker, api: Running) -> None:
    case = History()
    write(city_broker.bootstrap, [case.words("井盖坏了"), *case.steps(SUBMITTED, assigned("D1"))])
    eventually(lambda: any(item["id"] == case.opinion for item in api.inbox("D1", limit=500)))
    deputy, admin, staff = (signed_in(api, who) for who in ("D1", "A1", "Z1"))
    nobody, link = Visitor(api), urlsplit(link_for(api, "D2")).path
    case_page = f"/inbox/{case.opinion}"
    pages = [(deputy, p) for p in ("/inbox", case_page, "/supervision", "/inbox/x", "/duty/P1")]
    pages += [(admin, "/signins"), (admin, "/supervision"), (staff, "/station")]
    pages += [(nobody, p) for p in ("/signin", link, "/signin/forged", "/duty/x", "/signin?fault=x&out=1")]
    for visitor, path in pages:
        answer = visitor.http.get(path)
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, path
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert answer.headers["cache-control"] == "no-store", path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer"), path
    for path in ("/v1/inbox", f"/v1/cases/{case.opinion}"):
        answer = deputy.http.get(path)
        assert answer.headers["cache-control"] == "no-store", path
        assert answer.headers["x-content-type-options"] == "nosniff", path


def test_a_host_that_is_not_ours_gets_into_no_link_and_no_redirect(public: Running) -> None:
    host = {"Host": "evil.test", "X-Forwarded-Host": "evil.test", "X-Original-URL": "/signins"}
    made = public.http.post("/v1/signins", params={"person": "D1"}, headers=STAFF | host).json()["link"]
    assert made.startswith("https://lianxin.test/signin/")
    visitor = Visitor(public)
    for answer in (
        visitor.http.get("/signin", headers=host),
        visitor.http.get("/inbox", headers=host),
        visitor.http.get("/inbox/", headers=host),
        visitor.http.get("/", headers=host),
        visitor.http.post("/signin", data={"who": "M1"}, headers=host),
        visitor.http.post(urlsplit(made).path, data={"to": "/inbox"}, headers=host),
    ):
        assert "evil.test" not in answer.text, answer.request.url
        assert "evil.test" not in answer.headers.get("location", ""), answer.request.url


def test_no_header_or_field_turns_one_method_into_another(api: Running) -> None:
    admin, other = signed_in(api, "A1"), signed_in(api, "D5")
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        asked = {"person": "D5", "_method": "DELETE"}
        assert admin.http.get("/v1/signins", params=asked, headers={header: "DELETE"}).status_code == 200
    assert admin.http.get("/signout").status_code == 405
    assert admin.http.get("/inbox").status_code == 200
    assert other.http.get("/inbox").status_code == 200


FOREIGN = [
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},  # another host of the same city, taken over
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-site", "Origin": "null"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_other_page_writes_by_a_cookie_even_with_the_token(api: Running, headers: dict[str, str]) -> None:
    admin = signed_in(api, "A1")
    csrf = csrf_of(admin)
    token = {"X-CSRF-Token": csrf} | headers
    for answer in (
        admin.http.post("/signout", data={"csrf": csrf}, headers=headers),
        admin.http.post("/signins", data={"csrf": csrf, "session": "x"}, headers=headers),
        admin.http.post("/v1/signins", params={"person": "D1"}, headers=token),
        admin.http.delete("/v1/signins", params={"person": "D1"}, headers=token),
        admin.http.delete("/v1/signins/x", headers=token),
        admin.http.post("/v1/cases/x/actions", json={"action": "accept"}, headers=token),
    ):
        assert answer.status_code == 403, answer.request.url
    assert admin.http.get("/inbox").status_code == 200


def test_no_call_writes_by_a_cookie_without_the_page_s_token(api: Running) -> None:
    admin, other = signed_in(api, "A1"), signed_in(api, "D1")
    for token in (None, "", csrf_of(other), "é" * 32):
        headers = [] if token is None else [(b"X-CSRF-Token", token.encode())]
        for method, path in (
            ("POST", "/v1/signins?person=D1"),
            ("DELETE", "/v1/signins?person=D1"),
            ("DELETE", "/v1/signins/x"),
        ):
            assert admin.http.request(method, path, headers=headers).status_code == 403, (method, path, token)
    assert other.http.get("/inbox").status_code == 200


def test_a_cookie_is_no_help_to_a_key_that_is_wrong(api: Running) -> None:
    deputy = signed_in(api, "D1")
    for value in ("Bearer wrong", "Basic RDE6", "Bearer", "x"):
        assert deputy.http.get("/v1/inbox", headers={"Authorization": value}).status_code == 401, value


def test_a_simple_form_of_another_site_is_no_json_to_us(api: Running) -> None:
    deputy = signed_in(api, "D1")
    headers = {"X-CSRF-Token": csrf_of(deputy), "Content-Type": "text/plain"}
    answer = deputy.http.post("/v1/cases/x/actions", content=b'{"action":"accept"}', headers=headers)
    assert answer.status_code == 415


def test_other_origins_are_told_nothing_of_what_a_cookie_opens(api: Running) -> None:
    deputy = signed_in(api, "D1")
    asked = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    for method in ("GET", "OPTIONS"):
        answer = deputy.http.request(method, "/v1/inbox", headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_an_open_stream_tells_nothing_more_once_its_sign_in_is_revoked(
    city_broker: Broker, api: Running
) -> None:
    deputy = signed_in(api, "D6")
    told: list[str] = []

    def comes() -> History:
        case = History()
        write(city_broker.bootstrap, [case.words("x"), *case.steps(SUBMITTED, assigned("D6"))])
        return case

    with deputy.http.stream("GET", "/v1/alerts/stream") as stream:
        lines = stream.iter_lines()
        while "event: ready" not in told:
            told.append(next(lines))
        first = comes()
        while not any(first.opinion in line for line in told):
            told.append(next(lines))
        revoked = api.http.delete("/v1/signins", params={"person": "D6"}, headers=STAFF).json()["revoked"]
        assert revoked >= 1
        second = comes()
        told += list(lines)  # to the end: the stream is closed by the other side
    assert not any(second.opinion in line for line in told)
    assert deputy.http.get("/v1/alerts/stream").status_code == 401
