"""Following an opinion: what its owner sees, from the log through the projection."""

from uuid import uuid4

import httpx
import pytest

from lianxin_contracts import ids, lifecycle, topics, words
from lianxin_contracts.envelope import deletion
from lianxin_intake.tracking import TrackingCodes
from tests.intake.lifecycles import ASSIGNED, DEPUTY, RESIDENT, START, SUBMITTED, history, written
from tests.intake.running import SECRET, Running
from tests.intake.small_city import DESK, GRID, OTHER, REPLAY, SUBMIT
from tests.intake.topics import read_all, said_of, write
from tests.support.brokers import Broker
from tests.support.wait import eventually

CODES = TrackingCodes(SECRET.encode())
FIELDS = {"id", "stage", "topic", "grid", "submitted_at", "holder", "due", "timeline", "rating"}


def by_code(api: Running, opinion: str, **headers: str) -> httpx.Response:
    return api.http.get(f"/v1/opinions/{opinion}", params={"code": CODES.of(opinion)}, headers=headers)


def by_key(api: Running, opinion: str, key: str) -> httpx.Response:
    return api.http.get(f"/v1/opinions/{opinion}", headers={"Authorization": f"Bearer {key}"})


def in_stage(api: Running, opinion: str, stage: str) -> dict[str, object]:
    def reached() -> dict[str, object] | None:
        view: dict[str, object] = by_code(api, opinion).json()
        return view if view["stage"] == stage else None

    view = eventually(reached, timeout=120)
    assert view is not None
    return view


def test_an_opinion_that_is_not_yet_projected_is_submitted(api: Running) -> None:
    receipt = api.submit({"text": "x"}, SUBMIT).json()
    for answer in (by_code(api, receipt["id"]), by_key(api, receipt["id"], SUBMIT)):
        assert answer.status_code == 200
        view = answer.json()
        assert set(view) == FIELDS
        assert (view["id"], view["stage"], view["timeline"]) == (receipt["id"], "submitted", [])
        assert view["submitted_at"] is not None


def test_a_resolved_opinion_shows_its_way_and_the_answer(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    opinion = ids.fresh()
    answer = str(uuid4())
    write(
        city_broker.bootstrap,
        [
            written(opinion, "text", "opinion", "路灯坏了三天"),
            written(opinion, answer, "resolve", "已修好", DEPUTY),
            *history(
                opinion,
                SUBMITTED,
                ASSIGNED,
                lifecycle.Accepted(actor=DEPUTY),
                lifecycle.ContactRevealed(actor=DEPUTY),
                lifecycle.CommandRefused(type="case.accept", code="already_accepted"),
                lifecycle.ClockChecked(clock="resolve"),
                lifecycle.Resolved(actor=DEPUTY, outcome="solved", words=answer, times=1, rate_until=START),
            ),
        ],
    )
    view = in_stage(api, opinion, "resolved")
    assert set(view) == FIELDS
    assert (view["topic"], view["grid"], view["holder"]) == ("0101", GRID, "D1")
    assert view["submitted_at"] == "2026-11-23T01:00:00.000Z"
    assert view["due"] == "2026-11-30T01:00:00.000Z"
    timeline = eventually(
        lambda: (found := by_code(api, opinion).json()["timeline"])[-1]["text"] == "已修好" and found
    )
    assert [(line["type"], line["text"]) for line in timeline] == [
        ("opinion.submitted", "路灯坏了三天"),
        ("opinion.assigned", "已交办给王芳代表。"),
        ("opinion.accepted", "王芳代表已接办。"),
        ("contact.revealed", "王芳代表查看了您的联系方式。"),
        ("opinion.resolved", "已修好"),
    ]
    english = by_code(api, opinion, **{"Accept-Language": "en-GB"}).json()["timeline"]
    assert english[1]["text"] == "Assigned to deputy 王芳."


def test_only_the_channel_that_sent_it_and_the_code_open_an_opinion(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    opinion = ids.fresh()
    write(city_broker.bootstrap, history(opinion, SUBMITTED, ASSIGNED))
    in_stage(api, opinion, "assigned")
    assert by_key(api, opinion, SUBMIT).status_code == 200
    assert by_key(api, opinion, OTHER).json()["code"] == "another_channel"
    assert api.http.get(f"/v1/opinions/{opinion}").status_code == 401
    wrong = api.http.get(f"/v1/opinions/{opinion}", params={"code": CODES.of(str(uuid4()))})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "tracking_code_wrong")


def test_a_code_may_be_typed_as_it_is_read(api: Running) -> None:
    opinion = ids.fresh()
    typed = CODES.of(opinion).lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert api.http.get(f"/v1/opinions/{opinion}", params={"code": typed}).status_code == 200


def test_what_was_never_an_id_of_ours_is_not_found(api: Running) -> None:
    for id_ in (str(uuid4()), "1", "x" * 500):
        assert by_key(api, id_, SUBMIT).status_code == 404


def test_erased_words_are_gone_from_the_view(api: Running, worker: Running, city_broker: Broker) -> None:
    opinion = ids.fresh()
    told = written(opinion, "text", "opinion", "秘密")
    write(city_broker.bootstrap, [told, *history(opinion, SUBMITTED, ASSIGNED)])
    eventually(lambda: "秘密" in by_code(api, opinion).text, timeout=120)
    gone = deletion(topics.WORDS, words.key(opinion, "text"), START)
    steps = history(opinion, SUBMITTED, ASSIGNED, lifecycle.Erased(actor=RESIDENT))
    write(city_broker.bootstrap, [gone, steps[-1]])
    eventually(lambda: by_code(api, opinion).json()["timeline"][-1]["type"] == "opinion.erased", timeout=120)
    assert "秘密" not in by_code(api, opinion).text


def test_a_refused_rating_of_an_id_that_nobody_submitted_is_no_submitted_opinion(
    worker: Running, city_broker: Broker, api: Running
) -> None:
    opinion, unknown = ids.fresh(), ids.fresh()
    refused = lifecycle.CommandRefused(type="opinion.rated", code="unknown_opinion")
    write(city_broker.bootstrap, [*history(unknown, refused), *history(opinion, SUBMITTED)])
    decided = read_all(city_broker.bootstrap, topics.LIFECYCLE)
    submitted = {event.subject for event in decided if event.type == "opinion.submitted"}
    assert opinion in submitted

    def counts_agree() -> bool:
        assert counted(worker) == len(submitted)
        return True

    eventually(counts_agree, timeout=120)
    assert by_code(api, unknown).json()["stage"] == "submitted"


def counted(worker: Running) -> float:
    lines = worker.http.get("/metrics").text.splitlines()
    name = 'lianxin_counted_opinions{what="submitted"} '
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), -1)


def test_a_conflict_is_told_from_the_projection_after_a_restart(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    """Another instance accepted it: this one has nothing in memory."""
    key = str(uuid4())
    opinion = ids.opinion_id("app", key)
    write(city_broker.bootstrap, history(opinion, SUBMITTED))
    eventually(lambda: by_code(api, opinion).json()["timeline"], timeout=120)
    assert api.submit({"text": "something else"}, SUBMIT, key).status_code == 409


@pytest.mark.parametrize("path", ["rating", "withdrawal", "erasure"])
def test_no_key_replaces_the_tracking_code(api: Running, path: str) -> None:
    opinion = api.submit({"text": "x"}, SUBMIT).json()["id"]
    body = {"score": "satisfied"} if path == "rating" else {}
    for code in ({}, {"tracking_code": ""}, {"tracking_code": CODES.of(str(uuid4()))}):
        answer = api.post(f"/v1/opinions/{opinion}/{path}", body | code, SUBMIT)
        assert answer.status_code == 403, answer.text


def test_a_rating_with_the_code_is_said_to_the_router(api: Running, city_broker: Broker) -> None:
    receipt = api.submit({"text": "x"}, SUBMIT).json()
    body = {"score": "dissatisfied", "comment": "没修", "tracking_code": receipt["tracking_code"]}
    key = str(uuid4())
    answers = [api.post(f"/v1/opinions/{receipt['id']}/rating", body, None, key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    _, rated, again = said_of(city_broker.bootstrap, topics.INBOUND, receipt["id"])
    assert rated.id == again.id == answers[0].json()["command_id"]
    assert (rated.type, rated.source) == ("opinion.rated", "/intake/tracking")
    assert (rated.data.score, rated.data.comment) == ("dissatisfied", "没修")  # type: ignore[attr-defined]
    changed = api.post(f"/v1/opinions/{receipt['id']}/rating", body | {"score": "satisfied"}, None, key)
    assert (changed.status_code, changed.json()["code"]) == (409, "idempotency_conflict")
    unknown = api.post(f"/v1/opinions/{receipt['id']}/rating", body | {"score": "great"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_score")


def test_only_a_key_that_may_date_back_says_when_a_rating_was_given(
    api: Running, city_broker: Broker
) -> None:
    receipt = api.submit({"text": "x", "occurred_at": "2020-01-01T08:00:00+08:00"}, REPLAY).json()
    path = f"/v1/opinions/{receipt['id']}/rating"
    body = {"score": "satisfied", "occurred_at": "2020-01-09T08:00:00+08:00"}
    coded = body | {"tracking_code": receipt["tracking_code"]}
    assert api.post(path, coded, None).status_code == 401
    assert api.post(path, coded, SUBMIT).json()["code"] == "backdate_scope_missing"
    assert api.post(path, coded, DESK).json()["code"] == "too_long_ago"
    assert api.post(path, body, REPLAY).status_code == 403, "no key replaces the tracking code"
    assert api.post(path, coded, REPLAY).status_code == 202
    _, rated = said_of(city_broker.bootstrap, topics.INBOUND, receipt["id"])
    assert rated.time.isoformat() == "2020-01-09T00:00:00+00:00"
    assert rated.recordedtime.year > 2020


def test_only_a_key_that_may_date_back_says_when_somebody_joined_in(
    api: Running, city_broker: Broker
) -> None:
    opinion = api.submit({"text": "x", "occurred_at": "2020-01-01T08:00:00+08:00"}, REPLAY).json()["id"]
    path = f"/v1/opinions/{opinion}/support"
    body = {"supporter": "neighbour", "occurred_at": "2020-01-02T08:00:00+08:00"}
    assert api.post(path, body, SUBMIT).json()["code"] == "backdate_scope_missing"
    assert api.post(path, body, REPLAY).status_code == 202
    _, supported = said_of(city_broker.bootstrap, topics.INBOUND, opinion)
    assert supported.time.isoformat() == "2020-01-02T00:00:00+00:00"


def test_the_same_supporter_counts_once_and_is_not_named(api: Running, city_broker: Broker) -> None:
    opinion = api.submit({"text": "x"}, SUBMIT).json()["id"]
    for _ in range(2):
        assert api.post(f"/v1/opinions/{opinion}/support", {"supporter": "wx-1"}, OTHER).status_code == 202
    _, one, two = said_of(city_broker.bootstrap, topics.INBOUND, opinion)
    assert (one.type, one.source, one.id) == ("opinion.supported", "/intake/other", two.id)
    assert "wx-1" not in repr(one)


def test_stations_are_found_by_a_part_of_their_name(api: Running) -> None:
    everything = api.http.get("/v1/stations").json()["items"]
    assert [station["id"] for station in everything] == ["S2", "S1"]
    assert everything[1] == {"id": "S1", "name": "金匮街道代表之家", "grid": GRID, "kind": "street_home"}
    found = api.http.get("/v1/stations", params={"q": "金匮", "limit": 1}).json()["items"]
    assert [station["id"] for station in found] == ["S1"]
    assert api.http.get("/v1/stations", params={"limit": 0}).status_code == 422


def test_topics_are_listed_with_their_first_level(api: Running) -> None:
    items = api.http.get("/v1/topics").json()["items"]
    assert items[1] == {"id": "0101", "name": "道路", "name_en": "Roads", "parent": "01"}
