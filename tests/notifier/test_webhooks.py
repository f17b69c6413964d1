"""Webhooks to a real HTTP server: signed, repeated where that helps, and never to where they must not go."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lianxin_contracts.deliveries import Delivery
from tests.notifier.conftest import WEBHOOK_SECRET
from tests.notifier.lifecycles import SUBMITTED, History, assigned
from tests.notifier.running import Running
from tests.notifier.small_city import HOOK_PORT
from tests.notifier.topics import deliveries, write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker


class Hook:
    """An HTTP server that keeps what it is posted and answers with `answers`, in turn; then with 204."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.posted: list[tuple[dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posted.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status = hook.answers.pop(0) if hook.answers else 204
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", "http://169.254.169.254/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: pytest shows what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", HOOK_PORT), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def about(self, opinion: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for headers, body in self.posted if json.loads(body)["subject"] == opinion]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


def posts_of(broker: Broker, opinion: str) -> list[Delivery]:
    return [d for d in deliveries(broker.bootstrap, opinion) if d.channel == "webhook"]


def assign(broker: Broker, who: str) -> str:
    case = History()
    write(broker.bootstrap, case.steps(SUBMITTED, assigned(who)))
    return case.opinion


def test_an_alert_is_posted_as_a_signed_cloud_event(city_broker: Broker, worker: Running, hook: Hook) -> None:
    opinion = assign(city_broker, "W1")
    ((headers, body),) = eventually(lambda: hook.about(opinion))
    assert headers["content-type"] == "application/cloudevents+json"
    stamp, _, sent = headers["lianxin-signature"].partition(",v1=")
    moment = int(stamp.removeprefix("t="))
    assert abs(time.time() - moment) < 600
    assert hmac.new(WEBHOOK_SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest() == sent
    event = json.loads(body)
    assert (event["specversion"], event["type"], event["data"]["topic"]) == ("1.0", "alert.raised", "0101")
    records = eventually(lambda: [r for r in posts_of(city_broker, opinion) if r.status == "sent"])
    assert event["id"] == records[0].message_id


def test_passing_errors_are_tried_again_with_the_same_event_id(
    city_broker: Broker, worker: Running, hook: Hook
) -> None:
    hook.answers = [503, 429, 408]
    opinion = assign(city_broker, "W1")
    eventually(lambda: [r for r in posts_of(city_broker, opinion) if r.status == "sent"])
    posted = hook.about(opinion)
    assert len(posted) == 4
    assert len({body for _, body in posted}) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 302])
def test_an_error_that_no_repetition_mends_is_given_up_at_once(
    city_broker: Broker, worker: Running, hook: Hook, status: int
) -> None:
    hook.answers = [status]
    opinion = assign(city_broker, "W1")
    (dead,) = eventually(lambda: [r for r in posts_of(city_broker, opinion) if r.status == "dead"])
    assert (dead.attempt, dead.error) == (1, f"http {status}")
    assert len(hook.about(opinion)) == 1


def test_a_server_that_is_away_gets_its_alert_when_it_is_back(city_broker: Broker, worker: Running) -> None:
    opinion = assign(city_broker, "W1")
    eventually(lambda: [r for r in posts_of(city_broker, opinion) if r.status == "failed"])
    back = Hook()
    try:
        eventually(lambda: back.about(opinion))
        assert not any(r.repeated_after_crash for r in posts_of(city_broker, opinion))
    finally:
        back.close()


def test_nothing_is_posted_to_an_address_inside_that_the_operator_did_not_name(
    city_broker: Broker, worker: Running, hook: Hook
) -> None:
    opinion = assign(city_broker, "W2")
    (dead,) = eventually(lambda: [r for r in posts_of(city_broker, opinion) if r.status == "dead"])
    assert dead.error == "address not allowed"
    assert hook.posted == []
