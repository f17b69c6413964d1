"""What deputies do: from a request to the command on the log, and what became of it."""

from datetime import timedelta
from typing import Any

import pytest

from lianxin_contracts import ids, inbound, lifecycle, topics
from lianxin_contracts.envelope import Event
from tests.notifier.lifecycles import SUBMITTED, History, assigned, deputy, now
from tests.notifier.running import Running
from tests.notifier.small_city import ACT, BACKDATE, READ, REVOKED, SUBMIT
from tests.notifier.topics import read_all, write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker


def said(broker: Broker, opinion: str) -> list[Event]:
    return [event for event in read_all(broker.bootstrap, topics.INBOUND) if event.subject == opinion]


def status(api: Running, command: str) -> dict[str, Any]:
    answer = api.http.get(f"/v1/commands/{command}")
    assert answer.status_code == 200
    told = answer.json()
    assert isinstance(told, dict)
    return told


def test_an_accepted_action_is_on_the_inbound_log_in_the_name_of_its_actor_and_of_the_channel_that_acted(
    city_broker: Broker, api: Running
) -> None:
    opinion = ids.fresh()
    answer = api.act(
        opinion, {"action": "resolve", "as": "D1", "outcome": "solved", "text": "已修好", "evidence": ["a1"]}
    )
    assert answer.status_code == 202
    (event,) = said(city_broker, opinion)
    assert event.id == answer.json()["command_id"]
    assert (event.type, event.source) == ("case.resolve", "/notifier/D1")
    assert event.data == inbound.Resolve(
        inbound.Actor("deputy", "D1", via="workbench"), "solved", "已修好", ("a1",)
    )
    assert event.time == event.recordedtime


def test_staff_act_as_staff(city_broker: Broker, api: Running) -> None:
    opinion = ids.fresh()
    assert api.act(opinion, {"action": "assign", "as": "T1", "to": "D2"}).status_code == 202
    (event,) = said(city_broker, opinion)
    assert event.data == inbound.Assign(inbound.Actor("staff", "T1", via="workbench"), "D2")


def test_an_administrator_erases_with_a_reason_and_nobody_else_does(
    city_broker: Broker, api: Running
) -> None:
    opinion = ids.fresh()
    for who in ("D1", "T1", "S1"):
        refused = api.act(opinion, {"action": "erase", "as": who, "reason": "resident_asked"})
        assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
    for wrong in ({}, {"reason": "13800000000"}):
        assert api.act(opinion, {"action": "erase", "as": "A1", **wrong}).status_code == 422
    assert api.act(opinion, {"action": "erase", "as": "A1", "reason": "resident_asked"}).status_code == 202
    (event,) = said(city_broker, opinion)
    assert event.type == "opinion.erasure_requested"
    assert event.data == inbound.ErasureRequested(
        inbound.Actor("staff", "A1", via="workbench"), "resident_asked"
    )


def test_what_became_of_an_erasure_is_told(city_broker: Broker, worker: Running, api: Running) -> None:
    opinion = History()
    write(city_broker.bootstrap, opinion.steps(SUBMITTED, assigned("D1")))
    body = {"action": "erase", "as": "A1", "reason": "ordered"}
    command = api.act(opinion.opinion, body).json()["command_id"]
    erased = lifecycle.Erased(inbound.Actor("staff", "A1"), "ordered")
    write(city_broker.bootstrap, [opinion.next(erased, cause=command)])
    eventually(lambda: status(api, command) == {"status": "applied"})
    later = api.act(opinion.opinion, body).json()["command_id"]
    again = lifecycle.CommandRefused("opinion.erasure_requested", "erased")
    write(city_broker.bootstrap, [opinion.next(again, cause=later)])
    eventually(lambda: status(api, later) == {"status": "refused", "code": "erased"})


def test_a_repeat_with_the_same_key_is_the_same_command_and_another_body_a_conflict(
    city_broker: Broker, api: Running
) -> None:
    opinion, headers = ids.fresh(), {"Idempotency-Key": "k-1"}
    body = {"action": "answer", "as": "D1", "text": "好"}
    first, again = (api.act(opinion, body, **headers) for _ in range(2))
    assert first.json() == again.json()
    assert {event.id for event in said(city_broker, opinion)} == {first.json()["command_id"]}
    other = api.act(opinion, body | {"text": "不好"}, **headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_only_a_key_that_may_date_back_says_when_something_happened(
    city_broker: Broker, api: Running
) -> None:
    opinion = ids.fresh()
    at = now() - timedelta(days=2)
    body = {"action": "accept", "as": "D1", "occurred_at": at.isoformat()}
    assert api.act(opinion, body).json()["code"] == "backdate_not_allowed"
    assert api.act(opinion, body).status_code == 403
    assert api.act(opinion, body, key=BACKDATE).status_code == 202
    (event,) = said(city_broker, opinion)
    assert event.time == at
    assert event.recordedtime > at + timedelta(days=1)


@pytest.mark.parametrize(
    ("key", "status_code"), [("unknown", 401), (REVOKED, 401), (READ, 403), (SUBMIT, 403)]
)
def test_only_a_key_of_scope_act_acts(api: Running, key: str, status_code: int) -> None:
    answer = api.act(ids.fresh(), {"action": "accept", "as": "D1"}, key=key)
    assert answer.status_code == status_code
    assert answer.headers["content-type"] == "application/problem+json"


def test_nobody_acts_without_a_key(api: Running) -> None:
    path = f"/v1/cases/{ids.fresh()}/actions"
    answer = api.http.post(path, json={"action": "accept", "as": "D1"}, headers={"Authorization": ""})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "status_code", "code"),
    [
        ({"action": "accept"}, 422, "actor_missing"),
        ({"action": "accept", "as": "NOBODY"}, 422, "actor_unknown"),
        ({"action": "answer", "as": "D1"}, 422, "field_missing"),
        ({"action": "dance", "as": "D1"}, 422, "invalid"),
    ],
)
def test_what_is_plainly_impossible_is_turned_away_and_leaves_no_command(
    city_broker: Broker, api: Running, body: dict[str, Any], status_code: int, code: str
) -> None:
    opinion = ids.fresh()
    answer = api.act(opinion, body)
    assert (answer.status_code, answer.json()["code"]) == (status_code, code)
    assert said(city_broker, opinion) == []


def test_a_case_id_that_is_no_id_and_a_body_that_is_no_json_are_turned_away(api: Running) -> None:
    assert api.act("not-an-id", {"action": "accept", "as": "D1"}).status_code == 404
    path, key = f"/v1/cases/{ids.fresh()}/actions", {"Authorization": f"Bearer {ACT}"}
    plain = api.http.post(path, content=b"accept", headers=key | {"Content-Type": "text/plain"})
    assert plain.status_code == 415
    broken = api.http.post(path, content=b"{", headers=key | {"Content-Type": "application/json"})
    assert broken.status_code == 400
    huge = api.http.post(path, content=b" " * 200_000, headers=key | {"Content-Type": "application/json"})
    assert huge.status_code == 413


def test_a_command_is_pending_until_the_router_has_heeded_or_refused_it(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    write(city_broker.bootstrap, case.steps(SUBMITTED, assigned("D1")))
    body = {"action": "accept", "as": "D1"}
    heeded, refused = (api.act(case.opinion, body).json()["command_id"] for _ in range(2))
    assert status(api, heeded) == {"status": "pending"}
    write(
        city_broker.bootstrap,
        [
            case.next(lifecycle.Accepted(deputy("D1")), cause=heeded),
            case.next(lifecycle.CommandRefused("case.accept", "already_accepted"), cause=refused),
        ],
    )
    eventually(lambda: status(api, heeded) == {"status": "applied"})
    eventually(lambda: status(api, refused) == {"status": "refused", "code": "already_accepted"})
    assert api.http.get("/v1/commands/nonsense").status_code == 404


def test_the_holder_sees_the_words_and_nobody_else_does(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    write(city_broker.bootstrap, [case.words("路灯坏了"), *case.steps(SUBMITTED, assigned("D1"))])

    def seen() -> Any:
        return api.http.get(f"/v1/cases/{case.opinion}", params={"as": "D1"})

    eventually(lambda: seen().status_code == 200 and seen().json()["words"])
    assert [part["text"] for part in seen().json()["words"]] == ["路灯坏了"]
    assert seen().headers["cache-control"] == "no-store"
    other = api.http.get(f"/v1/cases/{case.opinion}", params={"as": "D2"})
    assert (other.status_code, other.json()["code"]) == (403, "not_your_case")
    assert api.http.get(f"/v1/cases/{ids.fresh()}", params={"as": "D1"}).status_code == 404


def test_a_contact_is_shown_only_after_its_reveal_is_on_record_and_only_to_who_revealed_it(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    write(city_broker.bootstrap, [case.contact("13800000000"), *case.steps(SUBMITTED, assigned("D1"))])
    command = api.act(case.opinion, {"action": "reveal_contact", "as": "D1"}).json()["command_id"]

    def contact(as_: str = "D1", command: str = command, opinion: str = case.opinion) -> Any:
        return api.http.get(f"/v1/cases/{opinion}/contact", params={"as": as_, "command": command})

    assert (contact().status_code, contact().json()["code"]) == (409, "reveal_pending")
    write(city_broker.bootstrap, [case.next(lifecycle.ContactRevealed(deputy("D1")), cause=command)])
    shown = eventually(lambda: contact() if contact().status_code == 200 else None)
    assert shown.json()["contact"] == {"name": "王", "phone": "13800000000"}
    assert contact(as_="D2").status_code == 403
    assert contact(command=ids.fresh()).status_code == 409
    assert contact(opinion=ids.fresh()).status_code == 403
    assert "13800000000" not in api.log() + worker.log()


def test_a_refused_reveal_and_a_reveal_long_ago_show_nothing(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    write(city_broker.bootstrap, [case.contact("13800000000"), *case.steps(SUBMITTED, assigned("D1"))])
    refused, old = ids.fresh(), ids.fresh()
    write(
        city_broker.bootstrap,
        [
            case.next(lifecycle.CommandRefused("case.reveal_contact", "not_your_case"), cause=refused),
            case.next(lifecycle.ContactRevealed(deputy("D1")), cause=old, at=now() - timedelta(hours=1)),
        ],
    )

    def code(command: str) -> str:
        answer = api.http.get(f"/v1/cases/{case.opinion}/contact", params={"as": "D1", "command": command})
        return str(answer.json()["code"])

    eventually(lambda: code(refused) == "not_your_case")
    eventually(lambda: code(old) == "reveal_expired")


def test_erasure_takes_words_and_contact_away(city_broker: Broker, worker: Running, api: Running) -> None:
    case = History()
    write(
        city_broker.bootstrap,
        [case.words("路灯坏了"), case.contact("13800000000"), *case.steps(SUBMITTED, assigned("D1"))],
    )
    command = ids.fresh()
    write(city_broker.bootstrap, [case.next(lifecycle.ContactRevealed(deputy("D1")), cause=command)])

    def shown() -> list[Any]:
        answer = api.http.get(f"/v1/cases/{case.opinion}", params={"as": "D1"})
        assert answer.status_code == 200
        words = answer.json()["words"]
        assert isinstance(words, list)
        return words

    eventually(shown)
    write(
        city_broker.bootstrap,
        [
            case.next(lifecycle.Erased(inbound.Actor("resident", "resident"))),
            case.deleted(topics.WORDS),
            case.deleted(topics.CONTACTS),
        ],
    )
    eventually(lambda: not shown())

    def contact() -> tuple[int, str | None]:
        answer = api.http.get(f"/v1/cases/{case.opinion}/contact", params={"as": "D1", "command": command})
        return answer.status_code, answer.json().get("code")

    eventually(lambda: contact() == (404, "no_contact"))  # on a topic of its own, so at a moment of its own


def test_the_documentation_names_every_route(api: Running) -> None:
    paths = api.http.get("/openapi.json").json()["paths"]
    assert {"/v1/inbox", "/v1/alerts/stream", "/v1/cases/{case}/actions", "/v1/commands/{command_id}"} <= set(
        paths
    )
