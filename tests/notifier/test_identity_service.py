"""Signing in by a city's own identity service, against a real one and against one that lies."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest

from tests.notifier.conftest import DATABASE
from tests.notifier.running import Running
from tests.notifier.small_city import ADMIN
from tests.notifier.visitors import Visitor, signed_in
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.identity_service import (
    CLIENT,
    SECRET,
    Claims,
    IdentityService,
    SigningKey,
    hs256,
    rs256,
    unsigned,
)

pytestmark = pytest.mark.usefixtures("worker")

LOGOUT = {"http://schemas.openid.net/event/backchannel-logout": {}}
STAFF = {"Authorization": f"Bearer {ADMIN}"}
Make = Callable[..., Running]


@pytest.fixture(scope="module")
def make(city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Further APIs on the shared city, each with settings of its own."""
    made: list[Running] = []

    def start(**env: str) -> Running:
        directory = tmp_path_factory.mktemp("notifier-oidc")
        made.append(Running("api", directory, city_broker, database.url, DATABASE, **env))
        return made[-1].start()

    yield start
    for running in made:
        running.stop()


@pytest.fixture(scope="module")
def running_service() -> Iterator[IdentityService]:
    with IdentityService() as service:
        yield service


@pytest.fixture
def service(running_service: IdentityService) -> Iterator[IdentityService]:
    yield running_service
    running_service.behave()


@pytest.fixture(scope="module")
def desk(make: Make, running_service: IdentityService) -> Running:
    """An API that knows the service."""
    return make(
        oidc_issuer=running_service.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        oidc_name="梁溪政务认证",
    )


def left(visitor: Visitor, **query: str) -> str:
    """The address at the service to which the button leads."""
    answer = visitor.http.get("/signin/oidc", params=query)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def back(visitor: Visitor, query: dict[str, str]) -> httpx.Response:
    return visitor.http.get("/signin/oidc/callback", params=query)


def sign_in(desk: Running, service: IdentityService, **claims: object) -> tuple[Visitor, httpx.Response]:
    visitor = Visitor(desk)
    return visitor, back(visitor, service.grant(left(visitor), **claims))


def assert_out(visitor: Visitor, answer: httpx.Response, fault: str) -> None:
    """Nobody was signed in, and the page of signing in says why and offers the other way."""
    assert answer.status_code == 303
    assert f"fault={fault}" in answer.headers["location"]
    assert not any(name.endswith("lianxin") for name in visitor.http.cookies)
    page = visitor.http.get(answer.headers["location"])
    assert page.status_code == 200
    assert 'role="alert"' in page.text
    assert 'name="who"' in page.text
    assert visitor.http.get("/inbox").status_code == 303


def test_whoever_the_service_knows_is_signed_in_as_the_person_of_that_number(
    desk: Running, service: IdentityService
) -> None:
    visitor, answer = sign_in(desk, service, preferred_username="d1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox")
    assert answer.headers["cache-control"] == "no-store"
    page = visitor.http.get("/inbox")
    assert page.status_code == 200
    assert "代表1" in page.text
    (newest, *_) = desk.http.get("/v1/signins", params={"person": "D1"}, headers=STAFF).json()["items"]
    assert newest["provider"] == "oidc"
    assert "subject" not in newest


def test_the_button_is_there_only_where_a_service_is_set(desk: Running, api: Running) -> None:
    assert "用“梁溪政务认证”登录" in desk.http.get("/signin").text
    assert "/signin/oidc" not in api.http.get("/signin").text
    assert Visitor(api).http.get("/signin/oidc").status_code == 403  # a link that nobody made


def test_what_leaves_for_the_service_carries_no_secret_and_the_cookie_neither(
    desk: Running, service: IdentityService
) -> None:
    visitor = Visitor(desk)
    answer = visitor.http.get("/signin/oidc")
    where = urlsplit(answer.headers["location"])
    asked = {name: values[0] for name, values in parse_qs(where.query).items()}
    assert asked["tenant"] == "wuxi"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"{desk.url}/signin/oidc/callback"
    assert SECRET not in answer.headers["location"]
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    for secret in (asked["state"], asked["nonce"], asked["code_challenge"]):
        assert secret not in cookie
    again = parse_qs(urlsplit(left(visitor)).query)
    assert all(again[name][0] != asked[name] for name in ("state", "nonce", "code_challenge"))


def test_the_way_leads_to_our_own_pages_only_and_in_the_language_that_was_chosen(
    desk: Running, service: IdentityService
) -> None:
    for to, expected in (("https://evil.test/", "/inbox?lang=en"), ("/supervision", "/supervision?lang=en")):
        visitor = Visitor(desk)
        address = left(visitor, to=to, lang="en")
        answer = back(visitor, service.grant(address, preferred_username="D1"))
        assert answer.headers["location"] == expected


def forged(service: IdentityService) -> dict[str, Callable[[Claims], str]]:
    """Every lie, by what it is."""
    key, stranger = service.key, SigningKey(service.key.id)
    now = int(time.time())
    return {
        "another issuer": lambda told: rs256(key, told | {"iss": "https://evil.test"}),
        "the issuer with a slash": lambda told: rs256(key, told | {"iss": told["iss"] + "/"}),
        "another client": lambda told: rs256(key, told | {"aud": "another"}),
        "others, too, and nobody who asked": lambda told: rs256(key, told | {"aud": [CLIENT, "another"]}),
        "asked for by another": lambda told: rs256(key, told | {"azp": "another"}),
        "no audience": lambda told: rs256(key, {n: v for n, v in told.items() if n != "aud"}),
        "another nonce": lambda told: rs256(key, told | {"nonce": "another"}),
        "no nonce": lambda told: rs256(key, {n: v for n, v in told.items() if n != "nonce"}),
        "over": lambda told: rs256(key, told | {"exp": now - 3600}),
        "without an end": lambda told: rs256(key, {n: v for n, v in told.items() if n != "exp"}),
        "an end in words": lambda told: rs256(key, told | {"exp": "never"}),
        "an end beyond time": lambda told: rs256(key, told | {"exp": 1e300}),
        "of the future": lambda told: rs256(key, told | {"iat": now + 3600, "exp": now + 7200}),
        "made before it was asked for": lambda told: rs256(key, told | {"iat": now - 3600}),
        "no subject": lambda told: rs256(key, {n: v for n, v in told.items() if n != "sub"}),
        "unsigned": lambda told: unsigned(key, told),
        "unsigned, said otherwise": lambda told: unsigned(key, told, "nOnE"),
        "RS256 without a signature": lambda told: unsigned(key, told, "RS256"),
        "HMAC under the public key": lambda told: hs256(key.pem(), key, told),
        "HMAC under our own secret": lambda told: hs256(SECRET.encode(), key, told),
        "signed by a stranger under the key's name": lambda told: rs256(stranger, told),
        "signed by a key that it brings along": lambda told: rs256(stranger, told, jwk=stranger.document()),
        "signed by a key elsewhere": lambda told: rs256(
            stranger, told, kid="else", jku="https://evil.test/keys"
        ),
        "with something critical": lambda told: rs256(key, told, crit=["b64"], b64=False),
        "an access token": lambda told: rs256(key, told, typ="at+jwt"),
        "a logout token": lambda told: rs256(key, told, typ="logout+jwt"),
        "claims changed after signing": lambda told: ".".join(
            (
                rs256(key, told).split(".")[0],
                rs256(key, told | {"preferred_username": "A1"}).split(".")[1],
                rs256(key, told).split(".")[2],
            )
        ),
        "no token": lambda _: "",
        "five parts": lambda _: "a.b.c.d.e",
        "very long": lambda told: rs256(key, told | {"more": "x" * 20_000}),
    }


def test_no_token_that_lies_signs_anybody_in(desk: Running, service: IdentityService) -> None:
    for what, lie in forged(service).items():
        service.lie = lie
        visitor, answer = sign_in(desk, service, preferred_username="D1")
        assert "fault=oidc_invalid" in answer.headers["location"], what
        assert_out(visitor, answer, "oidc_invalid")
    service.lie = None
    assert sign_in(desk, service, preferred_username="D1")[1].headers["location"] == "/inbox"


def test_an_answer_is_heeded_once(desk: Running, service: IdentityService) -> None:
    visitor = Visitor(desk)
    address = left(visitor)
    cookies = dict(visitor.http.cookies)
    granted = service.grant(address, preferred_username="D1")
    assert back(visitor, granted).headers["location"] == "/inbox"
    # The same answer once more, and another code for the same attempt, by whoever has the cookie.
    for query in (granted, service.grant(address, preferred_username="D1")):
        thief = Visitor(desk)
        thief.http.cookies.update(cookies)
        assert_out(thief, back(thief, query), "oidc_stale")


def test_nobody_is_signed_in_by_an_answer_to_somebody_else_s_attempt(
    desk: Running, service: IdentityService
) -> None:
    """Login CSRF: an attacker's answer, in the browser of a victim."""
    attacker = Visitor(desk)
    answer = service.grant(left(attacker), preferred_username="D2")
    without, under_way = Visitor(desk), Visitor(desk)
    left(under_way)
    for victim in (without, under_way):
        assert_out(victim, back(victim, answer), "oidc_stale")


def test_a_cookie_that_was_not_made_here_begins_nothing(desk: Running, service: IdentityService) -> None:
    visitor = Visitor(desk)
    granted = service.grant(left(visitor), preferred_username="D1")
    ((name, value),) = visitor.http.cookies.items()
    for forgery in ("", "x", value[:-4] + "AAAA", "." + value.split(".")[1], "é.é", "a" * 5000):
        thief = Visitor(desk)
        answer = thief.http.get(
            "/signin/oidc/callback", params=granted, headers=[(b"Cookie", f"{name}={forgery}".encode())]
        )
        assert "fault=oidc_stale" in answer.headers["location"], forgery


def test_an_answer_in_another_service_s_name_is_not_heeded(desk: Running, service: IdentityService) -> None:
    visitor = Visitor(desk)
    granted = service.grant(left(visitor), preferred_username="D1")
    assert_out(visitor, back(visitor, granted | {"iss": "https://evil.test"}), "oidc_invalid")
    visitor = Visitor(desk)
    granted = service.grant(left(visitor), preferred_username="D1")
    assert back(visitor, granted | {"iss": service.issuer}).headers["location"] == "/inbox"


def test_a_code_of_another_attempt_is_not_taken(desk: Running, service: IdentityService) -> None:
    """PKCE: a stolen code is of no use in the thief's own attempt."""
    victim, thief = Visitor(desk), Visitor(desk)
    stolen = service.grant(left(victim), preferred_username="D1")["code"]
    own = service.grant(left(thief), preferred_username="D2")
    assert_out(thief, back(thief, own | {"code": stolen}), "oidc_invalid")


def test_whoever_says_no_at_the_service_is_told_so(desk: Running, service: IdentityService) -> None:
    visitor = Visitor(desk)
    state = service.grant(left(visitor))["state"]
    script = "<script>alert(1)</script>"
    answer = back(visitor, {"error": "access_denied", "error_description": script, "state": state})
    assert_out(visitor, answer, "oidc_refused")
    assert script not in visitor.http.get(answer.headers["location"]).text


def test_whom_the_registry_does_not_know_is_refused_in_words(desk: Running, service: IdentityService) -> None:
    for claims in (
        {"preferred_username": "NOBODY"},
        {},
        {"preferred_username": ["D1"]},
        {"preferred_username": " "},
    ):
        visitor, answer = sign_in(desk, service, **claims)
        assert_out(visitor, answer, "oidc_nobody")
    assert "登记册里没有对应" in visitor.http.get(answer.headers["location"]).text


def test_a_claim_that_the_token_lacks_is_asked_for_and_heeded_of_the_same_subject_only(
    desk: Running, service: IdentityService
) -> None:
    service.userinfo = {"sub": "s-1", "preferred_username": "D3"}
    assert sign_in(desk, service)[1].headers["location"] == "/inbox"
    service.userinfo = {"sub": "s-2", "preferred_username": "D3"}
    visitor, answer = sign_in(desk, service)
    assert_out(visitor, answer, "oidc_nobody")


def test_a_mail_address_counts_only_where_the_service_has_checked_it(
    make: Make, service: IdentityService
) -> None:
    by_mail = make(
        oidc_issuer=service.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        oidc_claim="email",
        oidc_claim_holds="mail",
    )
    for verified in ({}, {"email_verified": False}, {"email_verified": "false"}):
        visitor, answer = sign_in(by_mail, service, email="m1@deputies.test", **verified)
        assert_out(visitor, answer, "oidc_nobody")
    visitor, answer = sign_in(by_mail, service, email="M1@deputies.test", email_verified=True)
    assert answer.headers["location"] == "/inbox"
    assert "邮件1" in visitor.http.get("/inbox").text
    assert sign_in(by_mail, service, email="D1", email_verified=True)[1].headers["location"] != "/inbox"


def test_new_keys_of_the_service_are_found_and_made_up_ones_don_t_make_it_work(
    make: Make, service: IdentityService
) -> None:
    desk = make(oidc_issuer=service.issuer, oidc_client_id=CLIENT, oidc_client_secret=SECRET)
    assert sign_in(desk, service, preferred_username="D1")[1].headers["location"] == "/inbox"
    old = service.key
    service.rotate()
    assert sign_in(desk, service, preferred_username="D1")[1].headers["location"] == "/inbox"
    service.lie = lambda told: rs256(old, told)
    service.asked.clear()
    for _ in range(3):
        visitor, answer = sign_in(desk, service, preferred_username="D1")
        assert_out(visitor, answer, "oidc_invalid")
    assert service.asked.count("/keys") <= 1


def test_while_the_service_is_away_links_go_on(make: Make, service: IdentityService) -> None:
    service.down = True
    desk = make(oidc_issuer=service.issuer, oidc_client_id=CLIENT, oidc_client_secret=SECRET)
    visitor = Visitor(desk)
    answer = visitor.http.get("/signin/oidc", params={"lang": "en"})
    assert_out(visitor, answer, "oidc_away")
    assert "be reached" in visitor.http.get(answer.headers["location"]).text
    signed_in(desk, "D1")
    assert desk.http.get("/readyz").status_code == 200
    assert desk.metric('lianxin_oidc_faults_total{step="discovery"}') >= 1


def test_a_service_that_is_away_on_the_way_back_signs_nobody_in_and_is_no_error_of_ours(
    desk: Running, service: IdentityService
) -> None:
    visitor = Visitor(desk)
    granted = service.grant(left(visitor), preferred_username="D1")
    service.down = True
    assert_out(visitor, back(visitor, granted), "oidc_away")


@pytest.mark.parametrize(
    "twist",
    [
        {"issuer": "https://evil.test"},
        {"token_endpoint": "http://192.0.2.7/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"end_session_endpoint": "http://192.0.2.7/"},
        {"token_endpoint": None},
    ],
    ids=str,
)
def test_a_discovery_document_that_leads_elsewhere_is_not_followed(
    make: Make, service: IdentityService, twist: dict[str, str]
) -> None:
    service.discovery = dict(twist)
    desk = make(oidc_issuer=service.issuer, oidc_client_id=CLIENT, oidc_client_secret=SECRET)
    visitor = Visitor(desk)
    assert_out(visitor, visitor.http.get("/signin/oidc"), "oidc_away")


def logout_token(service: IdentityService, **more: object) -> str:
    claims = service.claims(jti="j-1", events=LOGOUT, **more)
    return rs256(service.key, claims, typ="logout+jwt")


def tell(desk: Running, token: str) -> httpx.Response:
    return httpx.post(f"{desk.url}/signin/oidc/logouts", data={"logout_token": token}, timeout=30)


def test_a_logout_at_the_service_ends_that_sign_in_here_and_no_other(
    desk: Running, service: IdentityService
) -> None:
    first, _ = sign_in(desk, service, preferred_username="D1", sub="one", sid="a")
    second, _ = sign_in(desk, service, preferred_username="D1", sub="one", sid="b")
    by_link = signed_in(desk, "D1")
    answer = tell(desk, logout_token(service, sub="one", sid="a"))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert [v.http.get("/inbox").status_code for v in (first, second, by_link)] == [303, 200, 200]
    assert tell(desk, logout_token(service, sub="one")).status_code == 200
    assert [v.http.get("/inbox").status_code for v in (second, by_link)] == [303, 200]


def test_a_logout_that_is_not_believed_ends_nothing(desk: Running, service: IdentityService) -> None:
    visitor, _ = sign_in(desk, service, preferred_username="D1", sub="two", sid="c")
    now = int(time.time())
    stranger = SigningKey(service.key.id)
    honest = service.claims(jti="j", events=LOGOUT, sub="two", sid="c")
    forgeries = [
        rs256(service.key, honest | {"nonce": "n"}),
        rs256(service.key, honest | {"events": {}}),
        rs256(service.key, honest | {"aud": "another"}),
        rs256(service.key, honest | {"iss": "https://evil.test"}),
        rs256(service.key, honest | {"iat": now - 3600}),
        rs256(service.key, honest | {"exp": now - 3600}),
        rs256(service.key, {n: v for n, v in honest.items() if n not in ("sub", "sid")}),
        rs256(service.key, honest | {"sid": {"$ne": ""}}),
        rs256(stranger, honest),
        unsigned(service.key, honest),
        hs256(service.key.pem(), service.key, honest),
        "",
    ]
    for token in forgeries:
        answer = tell(desk, token)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"}), token
    assert visitor.http.get("/inbox").status_code == 200


def test_whoever_signs_out_is_offered_to_sign_out_there_too(desk: Running, service: IdentityService) -> None:
    visitor, _ = sign_in(desk, service, preferred_username="D1")
    csrf = re.search(r'name="csrf" value="(\w+)"', visitor.http.get("/inbox").text)
    assert csrf is not None
    answer = visitor.http.post("/signout", data={"csrf": csrf[1]})
    assert answer.headers["location"] == "/signin?out=1"
    assert 'href="/signin/oidc/out"' in visitor.http.get("/signin?out=1").text
    where = urlsplit(visitor.http.get("/signin/oidc/out").headers["location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{service.issuer}/logout"
    assert parse_qs(where.query) == {
        "client_id": [CLIENT],
        "post_logout_redirect_uri": [f"{desk.url}/signin"],
    }


def test_neither_codes_nor_tokens_nor_subjects_are_logged(desk: Running, service: IdentityService) -> None:
    visitor = Visitor(desk)
    granted = service.grant(left(visitor), preferred_username="NOBODY-7", sub="subject-of-nobody")
    back(visitor, granted)
    log = desk.log()
    for private in (granted["code"], granted["state"], "subject-of-nobody", "NOBODY-7", SECRET):
        assert private not in log


def test_a_deputy_signs_in_at_a_provider_of_others(make: Make) -> None:
    """`oidc-provider-mock`, which shares no code of ours; it does not look at PKCE."""
    users = [oidc_provider_mock.User(sub="u-1", claims={"preferred_username": "D2"})]
    with oidc_provider_mock.run_server_in_thread(user_claims=users, require_nonce=True) as server:
        desk = make(
            oidc_issuer=f"http://localhost:{server.server_port}",
            oidc_client_id="workbench",
            oidc_client_secret="anything",
        )
        visitor = Visitor(desk)
        there = httpx.post(left(visitor), data={"sub": "u-1"}, timeout=30)
        answer = visitor.http.get(there.headers["location"].removeprefix(desk.url))
        assert answer.headers["location"] == "/inbox", desk.log()[-2000:]
        assert "代表2" in visitor.http.get("/inbox").text


def test_half_a_setting_stops_the_start_and_says_why(
    tmp_path: Path, city_broker: Broker, database: Database
) -> None:
    for env in (
        {"oidc_issuer": "http://id.example.org", "oidc_client_id": "x"},
        {"oidc_issuer": "https://id.example.org"},
        {"oidc_issuer": "https://id.example.org", "oidc_client_id": "x", "oidc_algorithms": "RS256,HS256"},
        {"oidc_issuer": "https://id.example.org", "oidc_client_id": "x", "oidc_scopes": "profile"},
    ):
        running = Running("api", tmp_path, city_broker, database.url, DATABASE, **env)
        spawned = running.command()
        assert spawned.process.wait(60) != 0
        assert "LIANXIN_OIDC_" in spawned.tail()
