"""Open311 without a server: what is said, asked and shown, in XML and in JSON."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec
import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import lifecycle, registry
from lianxin_intake import opinion
from lianxin_intake.open311 import asking, catalogue, saying, showing
from lianxin_intake.open311.answers import answer, form_of_path, refusal
from lianxin_intake.projection import Step, Tracked

NOW = datetime(2026, 11, 25, tzinfo=UTC)
CITY = registry.Snapshot(
    version="1",
    city=registry.City("wuxi", "无锡"),
    regions={
        "320213": registry.Region("320213", "district", "梁溪区"),
        "320213001": registry.Region("320213001", "street", "金匮街道", "320213"),
    },
    grids={"320213001001001": registry.Grid("320213001001001", "一", "320213001001", "320213001", "320213")},
    stations={"S1": registry.Station("S1", "之家", "320213001001001")},
    topics={
        "01": registry.Topic("01", "城市建设", "City"),
        "01.road": registry.Topic("01.road", "道路", "Roads", "01", {"坑": 3.0, "路": 1.0, "井盖": 3.0}),
    },
)
SAID = {"service_code": "01.road", "address_string": "金匮桥", "description": "路灯坏了"}


def body(**more: str) -> dict[str, object]:
    return saying.body_of({**SAID, **more}, CITY)


def text_of(**more: str) -> str:
    return str(body(**more)["text"])


def refused(ask: Callable[[], object]) -> list[tuple[int, str]]:
    """What a client is told: (code, description) of each error."""
    with pytest.raises(ProblemError) as error:
        ask()
    answered = refusal("json", error.value)
    return [(one["code"], one["description"]) for one in json.loads(bytes(answered.body))]


def faults(**more: str) -> list[str]:
    found = refused(lambda: body(**more))
    assert {code for code, _ in found} == {400}
    return [description.partition(":")[0] for _, description in found]


# --- said


def test_a_request_says_what_an_opinion_says() -> None:
    said = body(
        lat="31.5689", long="120.2986", first_name="芳", last_name="王", phone="110", **{
            "attribute[station]": "S1", "attribute[grid]": "320213001001001", "attribute[crs]": "gcj02",
            "attribute[external_id]": "x-1", "attribute[title]": "路灯", "attribute[language]": "zh",
        }
    )  # fmt: skip
    assert said == {
        "topic": "01.road",
        "text": "路灯坏了",
        "address": "金匮桥",
        "location": {"lat": 31.5689, "lon": 120.2986, "crs": "gcj02"},
        "station": "S1",
        "grid": "320213001001001",
        "contact": {"name": "王芳", "phone": "110"},
        "external_id": "x-1",
        "title": "路灯",
        "language": "zh",
    }
    assert opinion.faults(opinion.read(msgspec.json.encode(said)), CITY) == []


def test_a_name_in_latin_letters_keeps_its_order_and_its_space() -> None:
    assert body(first_name="Ada", last_name="Lovelace")["contact"] == {"name": "Ada Lovelace"}


def test_an_address_id_is_a_grid_code() -> None:
    assert body(address_id="320213001001001")["grid"] == "320213001001001"
    assert faults(address_id="1", **{"attribute[grid]": "2"}) == ["address_id"]


def test_without_a_description_the_service_names_what_it_is_about() -> None:
    assert text_of(description="") == "道路"


def test_a_media_url_is_the_opinions_link() -> None:
    said = body(media_url="https://x.example/a.jpg")
    assert (said["text"], said["media_url"]) == ("路灯坏了", "https://x.example/a.jpg")


def test_a_description_has_at_most_4000_characters() -> None:
    assert len(text_of(description="路" * 4000)) == 4000
    assert faults(description="路" * 4001) == ["description"]


@pytest.mark.parametrize(
    ("lat", "long"),
    [("31", ""), ("", "120"), ("nan", "1"), ("1e999", "1"), ("1_0", "１２"), ("north", "east")],
)
def test_coordinates_come_in_pairs_of_numbers(lat: str, long: str) -> None:
    given = {name: value for name, value in (("lat", lat), ("long", long)) if value}
    assert set(faults(**given, address_string="")) <= {"lat", "long"}


def test_a_place_is_needed() -> None:
    found = refused(lambda: saying.body_of({"service_code": "01"}, CITY))
    assert [description.partition(":")[0] for _, description in found] == ["lat, long"]


def test_a_missing_service_code_is_400_and_an_unknown_one_404() -> None:
    assert [code for code, _ in refused(lambda: saying.body_of({}, CITY))] == [400]
    assert [code for code, _ in refused(lambda: body(service_code="99"))] == [404]


def test_an_attribute_that_no_service_has_is_refused_and_all_faults_are_told_at_once() -> None:
    given = {"attribute[colour]": "red", "attribute[grid]": "1", "attribute[grid][]": "2"}
    assert faults(**given) == ["attribute[colour]", "attribute[grid]"]


def test_a_form_is_read_as_utf8_and_an_empty_argument_is_absent() -> None:
    assert saying.read_form(urlencode({"description": "路 +&=", "email": ""}).encode()) == {
        "description": "路 +&="
    }
    assert saying.read_form("description=路灯".encode()) == {"description": "路灯"}


@pytest.mark.parametrize(
    "raw", [b"a=%ff", b"a=\xff", b"a=1&a=2", b"&".join(b"a%d=1" % n for n in range(300))]
)
def test_a_form_that_can_not_be_read_is_refused(raw: bytes) -> None:
    assert [code for code, _ in refused(lambda: saying.read_form(raw))] == [400]


ARGUMENTS = st.sampled_from(
    ["service_code", "lat", "long", "address_string", "address_id", "media_url", "description",
     "phone", "last_name", "attribute[x]", "attribute[]",
     *(f"attribute[{code}]" for code in catalogue.ATTRIBUTE_CODES)]
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["01", "31.5", "S1", "gcj02", "https://x.example"]),
    st.floats().map(str),
)


@given(st.dictionaries(ARGUMENTS, VALUES))
def test_whatever_is_said_is_an_opinion_or_an_error(arguments: dict[str, str]) -> None:
    assert what_came_of({"service_code": "01", **arguments}) in (200, 400, 404)


def what_came_of(arguments: dict[str, str]) -> int:
    try:
        opinion.read(msgspec.json.encode(saying.body_of(arguments, CITY)))
    except ProblemError as error:
        return refusal("xml", error).status_code
    except opinion.Unreadable as error:
        return 400 if error.field in ("occurred_at", "location.crs") else 500
    return 200


# --- updates


UPDATE = {"service_request_id": "ca7267d5-530e-5827-b45b-3549aeaca151", "description": "看过"}


def test_an_update_of_another_system_is_a_visit() -> None:
    said = saying.update_of(
        {**UPDATE, "status": "in_progress", "updated_datetime": "2026-11-21T01:20:00Z", "email": "a@b.cn",
         "media_url": "https://x.example/1", "attribute[deputy]": "D1"}
    )  # fmt: skip
    assert said == {
        "opinion": UPDATE["service_request_id"],
        "text": "看过",
        "visited_at": "2026-11-21T01:20:00Z",
        "media_url": "https://x.example/1",
        "deputy": "D1",
    }


@pytest.mark.parametrize("status", ["CLOSED", "FIXED", "REOPEN", "x"])
def test_an_update_closes_nothing(status: str) -> None:
    ((code, description),) = refused(lambda: saying.update_of({**UPDATE, "status": status}))
    assert code == 400
    assert description.startswith("status: ")


def test_an_update_says_something() -> None:
    ((code, description),) = refused(lambda: saying.update_of({**UPDATE, "description": ""}))
    assert (code, description.partition(":")[0]) == (400, "description")


def test_an_update_of_what_can_not_be_a_request_is_not_found() -> None:
    ((code, _),) = refused(lambda: saying.update_of({**UPDATE, "service_request_id": "4711"}))
    assert code == 404


# --- asked


def asked(**arguments: str) -> asking.Selection:
    return asking.selection(QueryParams(arguments), NOW)


def test_without_dates_the_last_90_days_are_meant() -> None:
    assert (asked().start, asked().end, asked().limit) == (NOW - timedelta(days=90), NOW, 1000)


def test_one_date_means_90_days_from_or_to_it() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert asked(start_date="2026-03-01T08:00:00+08:00").start == at
    assert asked(start_date="2026-03-01T00:00:00Z").end == at + timedelta(days=90)
    assert asked(end_date="2026-03-01T00:00:00Z").start == at - timedelta(days=90)


def test_a_plus_that_was_lost_in_the_address_is_found_again() -> None:
    assert asked(end_date="2026-03-01T08:00:00 08:00").end == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "arguments",
    [
        {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-04-02T00:00:00Z"},
        {"start_date": "2026-02-01T00:00:00Z", "end_date": "2026-01-01T00:00:00Z"},
        {"start_date": "2026-01-01T00:00:00"},
        {"start_date": "0001-01-01T00:00:00+14:00"},
        {"end_date": "9999-12-31T23:59:59-12:00"},
        {"start_date": "yesterday"},
        {"status": "pending"},
        {"page": "0"},
        {"page_size": "1001"},
        {"page": "102"},
        {"page": "１"},
    ],
)
def test_an_argument_that_can_not_be_meant_is_named(arguments: dict[str, str]) -> None:
    ((code, description),) = refused(lambda: asked(**arguments))
    assert code == 400
    assert description.partition(":")[0] in arguments


def test_status_and_service_code_take_lists_and_pages_count_from_one() -> None:
    wanted = asked(status="open,closed", service_code="a, b", page="3", page_size="20")
    assert set(wanted.stages) == set(lifecycle.STAGES)
    assert (wanted.topics, wanted.skip, wanted.limit) == (("a", "b"), 40, 20)
    assert set(asked(status="closed").stages) == {"resolved", "rated", "closed"}


# --- shown

SEEN = Tracked(
    id="o", sequence=9, opened=True, stage="rated", submitted_at=NOW, topic="01.road", street="320213001",
    grid="320213001001001", holder="D1", near=lifecycle.RoundedPlace(31.569, 120.299),
    updated_at=NOW + timedelta(days=3), closed_at=NOW + timedelta(days=2), due=NOW + timedelta(days=7),
    timeline=(
        Step(NOW, "opinion.submitted", "text"),
        Step(NOW, "opinion.assigned", None, {"deputy": "D1"}),
        Step(NOW, "contact.revealed", None, {"deputy": "D1"}),
        Step(NOW + timedelta(days=2), "opinion.resolved", "w", {"outcome": "planned"}),
        Step(NOW + timedelta(days=3), "opinion.rated", None, {"score": "satisfied"}),
    ),
)  # fmt: skip


def test_anybody_sees_topic_street_stage_dates_and_the_rounded_place_and_nothing_else() -> None:
    shown = showing.request(SEEN, "zh", CITY, extended=False)
    assert {name: value for name, value in shown.items() if value is not None} == {
        "service_request_id": "o",
        "status": "closed",
        "status_notes": "已评价",
        "service_name": "道路",
        "service_code": "01.road",
        "requested_datetime": "2026-11-25T00:00:00Z",
        "updated_datetime": "2026-11-27T00:00:00Z",
        "expected_datetime": "2026-12-02T00:00:00Z",
        "address": "梁溪区金匮街道",
        "lat": 31.569,
        "long": 120.299,
    }


def test_a_description_is_what_was_released_and_nothing_else() -> None:
    assert showing.request(SEEN, "zh", CITY, extended=True)["description"] is None
    assert showing.request(SEEN, "zh", CITY, extended=True, released="某处")["description"] == "某处"


def test_extensions_add_stages_and_neither_deputy_nor_outcome_nor_score() -> None:
    shown = showing.request(SEEN, "en", CITY, extended=True)
    assert shown["extended_attributes"] == {"stage": "rated", "group": "City"}
    assert [note["type"] for note in shown["notes"]] == ["submitted", "assigned", "resolved", "rated"]
    for secret in ("D1", "planned", "satisfied", "320213001001001"):
        assert secret not in json.dumps(shown)


def test_updates_are_the_changes_of_stage_within_the_dates_under_lasting_ids() -> None:
    found = showing.updates(SEEN, NOW + timedelta(days=1), NOW + timedelta(days=2), "en")
    assert [(one["update_id"], one["status"], one["description"]) for one in found] == [
        ("o.4", "CLOSED", "Resolved")
    ]


# --- the catalogue


def test_a_topic_is_a_service_and_its_first_level_the_group() -> None:
    _, road = catalogue.services(CITY, "zh")
    assert (road["service_code"], road["service_name"], road["group"]) == ("01.road", "道路", "城市建设")
    assert road["keywords"] == "井盖,坑,路"
    assert catalogue.services(CITY, "en")[1]["group"] == "City"


def test_a_definition_lists_what_a_request_may_have() -> None:
    found = catalogue.service_definition(CITY, "01.road")["attributes"]
    assert [one["code"] for one in found] == list(catalogue.ATTRIBUTE_CODES)
    assert {one["required"] for one in found} == {False}


# --- written


def test_a_list_is_a_bare_array_in_json_and_one_element_each_in_xml() -> None:
    content = [{"lat": 31.5, "ok": True, "none": None, "notes": [{"type": "a"}]}]
    assert json.loads(bytes(answer("json", "service_requests", content).body)) == content
    written = answer("xml", "service_requests", content)
    assert written.headers["content-type"] == "text/xml; charset=utf-8"
    assert bytes(written.body).startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    root = ElementTree.fromstring(bytes(written.body))
    assert root.findtext("request/lat") == "31.5"
    assert root.findtext("request/ok") == "true"
    assert root.findtext("request/none") == ""
    assert root.findtext("request/notes/note/type") == "a"


@pytest.mark.parametrize("text", ["a\x00b", "<b>&\"'", "]]>", "\ud800", "\uffff", "𝄞 路"])
def test_whatever_a_name_holds_the_xml_can_be_read(text: str) -> None:
    written = bytes(answer("xml", "service_requests", [{"address": text}]).body)
    read = ElementTree.fromstring(written).findtext("request/address")
    assert read == text or "\ufffd" in read


@pytest.mark.parametrize(
    ("ours", "answered", "code"),
    [(400, 400, 400), (401, 403, 403), (403, 403, 403), (404, 404, 404), (409, 400, 409), (413, 413, 413),
     (415, 415, 415), (422, 400, 400), (429, 429, 429), (503, 503, 503)],
)  # fmt: skip
def test_an_error_is_a_list_of_code_and_description(ours: int, answered: int, code: int) -> None:
    error = ProblemError(ours, "x", "Title", "Detail.", headers={"Retry-After": "2"})
    written = refusal("json", error)
    assert written.status_code == answered
    assert written.headers["retry-after"] == "2"
    assert json.loads(bytes(written.body)) == [{"code": code, "description": "Title. Detail."}]
    read = ElementTree.fromstring(bytes(refusal("xml", error).body))
    assert (read.tag, read.findtext("error/code")) == ("errors", str(code))


def test_an_error_is_told_as_xml_where_no_form_was_asked_for() -> None:
    assert [form_of_path(path) for path in ("/a.json", "/a.xml", "/a", "/a.csv")] == [
        "json",
        "xml",
        "xml",
        "xml",
    ]
