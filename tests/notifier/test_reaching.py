"""A deputy is reached: by the next channel, again where they do not look, and as they wish."""

from collections import Counter
from collections.abc import Callable

import pytest

from lianxin_contracts import lifecycle
from lianxin_contracts.deliveries import Delivery
from tests.notifier.conftest import QUICK
from tests.notifier.lifecycles import SUBMITTED, History, assigned, deputy
from tests.notifier.mails import assign, ended, mails_of
from tests.notifier.running import Running
from tests.notifier.small_city import ACT, READ
from tests.notifier.topics import deliveries, write
from tests.notifier.visitors import signed_in
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.smtp import SmtpServer

pytestmark = pytest.mark.usefixtures("alone")

MakeWorker = Callable[..., Running]
# A second of working time; the small city works day and night.
SOON = str(1 / 3600)


def mailing(make_worker: MakeWorker, smtp: SmtpServer, **env: str) -> Running:
    return make_worker(**{"smtp_host": smtp.host, "smtp_port": str(smtp.port), **QUICK, **env})


def outside(broker: Broker, case: History) -> list[Delivery]:
    return [d for d in deliveries(broker.bootstrap, case.opinion) if d.channel != "inbox"]


def test_the_next_channel_is_used_where_the_first_is_not_set_up(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer
) -> None:
    mailing(make_worker, smtp_server).start()
    (case,) = assign(city_broker, 1, "F1")
    eventually(lambda: ended(city_broker, [case]))
    steps = [(d.channel, d.status) for d in outside(city_broker, case)]
    # Each delivery has a key of its own, so the topic has no order among them.
    assert sorted(steps) == [("mail", "attempting"), ("mail", "sent"), ("sms", "skipped")]


def test_an_alert_that_nobody_looks_at_goes_again_by_two_workers_once_each_time_through_a_kill(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer
) -> None:
    first, second = (
        mailing(make_worker, smtp_server, repeat_after_hours=SOON, repeats_limit="2") for _ in range(2)
    )
    first.start()
    second.start()
    (quiet,), seen = assign(city_broker, 1, "F2"), History()
    # Somebody whose first channel takes it: a further channel is not tried for whoever has looked by then.
    write(city_broker.bootstrap, seen.steps(SUBMITTED, assigned("M1"), lifecycle.SeenBy(deputy("M1"))))
    eventually(lambda: ended(city_broker, [quiet, seen]))
    first.kill()

    def rounds(case: History) -> list[int]:
        # By alert: a worker that is killed when a result is published leaves it to be published again.
        sent = {d.alert: d.again for d in mails_of(city_broker, [case]) if d.status == "sent"}
        return sorted(sent.values())

    eventually(lambda: max(rounds(quiet)) == 2)
    assert rounds(quiet) == [0, 1, 2]
    records = mails_of(city_broker, [quiet])
    assert len({d.alert for d in records}) == 3
    mailed = Counter(m["message_id"] for m in smtp_server.messages())
    assert {m for m, times in mailed.items() if times > 1} <= {
        d.message_id for d in records if d.repeated_after_crash
    }
    assert rounds(seen) == [0]


def test_somebody_is_reached_as_they_wish_and_may_wish_for_nobody_else(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, api: Running
) -> None:
    mailing(make_worker, smtp_server).start()
    answer = api.http.get("/v1/preferences", params={"deputy": "F3"})
    assert answer.json()["offered"][:2] == ["sms:13800000003", "mail:f3@deputies.test"]
    body = {"channels": ["mail:f3@deputies.test"], "language": "en", "paused_until": "2099-01-01"}
    key = {"Authorization": f"Bearer {ACT}"}
    answer = api.http.put("/v1/preferences", params={"deputy": "F3"}, json=body, headers=key)
    assert (answer.status_code, answer.json()["now"]["why"]) == (200, "paused")
    (case,) = assign(city_broker, 1, "F3")
    eventually(lambda: any(item["id"] == case.opinion for item in api.inbox("F3")))
    # On a pause the inbox has it and no channel; when it ends, what still waits goes out.
    assert outside(city_broker, case) == []
    api.http.put("/v1/preferences", params={"deputy": "F3"}, json={**body, "paused_until": None}, headers=key)
    eventually(lambda: ended(city_broker, [case]))
    assert {d.channel for d in outside(city_broker, case)} == {"mail"}


def test_an_address_that_is_not_one_s_own_and_somebody_else_s_wishes_are_out_of_reach(api: Running) -> None:
    key = {"Authorization": f"Bearer {ACT}"}
    for channel in ("mail:thief@x.test", "mail:f2@deputies.test", "sms:110"):
        answer = api.http.put(
            "/v1/preferences", params={"deputy": "F1"}, json={"channels": [channel]}, headers=key
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "channel_foreign")
    reading = {"Authorization": f"Bearer {READ}"}
    assert (
        api.http.put("/v1/preferences", params={"deputy": "F1"}, json={}, headers=reading).status_code == 403
    )
    visitor = signed_in(api, "F1")
    page = visitor.http.get("/preferences")
    assert "138" in page.text
    assert visitor.http.get("/v1/preferences", params={"deputy": "F2"}).status_code == 403
    assert visitor.http.put("/v1/preferences", json={}).status_code == 403  # without the page's token
    assert visitor.http.post("/preferences", data={"paused_until": "2099-01-01"}).status_code == 403


def test_the_page_moves_switches_and_keeps_without_a_script(api: Running) -> None:
    visitor = signed_in(api, "F1")
    csrf = visitor.http.get("/preferences").text.partition('name="csrf" value="')[2].partition('"')[0]
    fields = {
        "csrf": csrf,
        "channel0": "sms:13800000001",
        "channel1": "mail:f1@deputies.test",
        "on0": "1",
        "on1": "1",
        "quiet": "1",
        "quiet_start": "22:00",
        "quiet_end": "06:30",
        "move": "up:1",
    }
    answer = visitor.http.post("/preferences", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/preferences?saved=1#channels")
    kept = visitor.http.get("/v1/preferences").json()["preferences"]
    assert kept["channels"] == ["mail:f1@deputies.test", "sms:13800000001"]
    assert kept["quiet"] == {"start": "22:00", "end": "06:30", "days_off": False}
    page = visitor.http.get("/preferences?saved=1").text
    assert "已保存" in page
    assert page.index("f1@deputies.test") < page.index("13800000001")
