"""The workbench's pages without a server: texts, due times, duty, the map, the forms."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

import lianxin_router
from lianxin_contracts import inbound, lifecycle, registry
from lianxin_contracts.inbound import Place
from lianxin_contracts.links import opens
from lianxin_contracts.registry import Duty, Snapshot
from lianxin_contracts.words import Words
from lianxin_notifier.actions import Action
from lianxin_notifier.casefile import UNTOLD, CaseFile, Told, file_of
from lianxin_notifier.inbox import Opinion
from lianxin_notifier.pages.case_actions import asked_of, covers, forms_of
from lianxin_notifier.pages.duty import falls_on, figures, next_contact_day, on_duty
from lianxin_notifier.pages.gridmap import HEIGHT, WIDTH, grid_map
from lianxin_notifier.pages.lines import deadline
from lianxin_notifier.pages.photos import OPEN_FOR, PhotoLinks
from lianxin_notifier.pages.rendering import HERE, TEXTS
from lianxin_notifier.pages.timeline import steps, why
from lianxin_notifier.people import named, person_of

GRID = "320213001001001"
SQUARE = ((120.30, 31.57), (120.31, 31.57), (120.31, 31.58), (120.30, 31.58), (120.30, 31.57))
NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # Monday, 10:00 in the city
CITY = Snapshot(
    version="v1",
    city=registry.City("wuxi", "无锡"),
    regions={"320213001": registry.Region("320213001", "street", "金匮街道")},
    grids={GRID: registry.Grid(GRID, "网格一", "320213001001", "320213001", "320213", SQUARE)},
    topics={"0101": registry.Topic("0101", "道路", "Roads", parent="01")},
    stations={"P1": registry.Station("P1", "代表之家", GRID)},
    deputies={
        "D1": registry.Deputy("D1", "王芳", "street", "P1", channels=("mail:wang@deputies.test",)),
        "D2": registry.Deputy("D2", "李强", "street", "P1"),
        "D3": registry.Deputy("D3", "赵敏", "street"),
    },
    mandates={n: registry.Mandate(n, n, ("320213001",)) for n in ("D1", "D2")},
    departments={"housing": registry.Department("housing", "住建局")},
    staff={
        "T1": registry.Staff("T1", "分派员", ("triage",)),
        "S1": registry.Staff("S1", "督办员", ("supervisor",), ("320214",)),
    },
)


def test_every_text_is_there_in_both_languages_with_the_same_values():
    for key, words in TEXTS.items():
        assert set(words) == {"zh", "en"}, key
        assert set(re.findall(r"{(\w+)", words["zh"])) == set(re.findall(r"{(\w+)", words["en"])), key


def test_every_text_that_a_template_names_is_there():
    used = {
        key
        for template in (HERE / "templates").glob("*.html")
        for key in re.findall(r"\bt\('([\w.]+)'[,)]", template.read_text("utf-8"))
    }
    assert used - TEXTS.keys() == set()


def test_every_refusal_of_the_router_is_explained_in_words():
    domain = Path(lianxin_router.__file__).parent / "domain"
    codes = {
        code
        for file in domain.glob("*.py")
        for code in re.findall(r'refused\("(\w+)"', file.read_text("utf-8"))
    }
    # What only residents, channels or the router itself can be told.
    others = {
        "already_submitted", "already_supported", "nothing_to_merge", "nothing_to_review",
        "unknown_command", "unreadable", "wrong_source",
    }  # fmt: skip
    assert len(codes) > 30
    assert {code for code in codes - others if f"refused.{code}" not in TEXTS} == set()


def test_every_event_and_stage_has_a_sentence():
    for type_ in lifecycle.MODELS.keys() - UNTOLD:
        assert f"event.{type_}" in TEXTS
    for stage in lifecycle.STAGES:
        assert f"stage.{stage}" in TEXTS


@pytest.mark.parametrize(
    ("after", "urgency", "left"),
    [
        (timedelta(hours=-50), "late", "已超期 2 天"),
        (timedelta(minutes=-5), "late", "今天已超期"),
        (timedelta(hours=5), "soon", "今天 15:00 前"),
        (timedelta(hours=23), "soon", "还剩 1 天"),
        (timedelta(days=3), "calm", "还剩 3 天"),
    ],
)
def test_a_deadline_speaks_in_words_and_a_shape(after: timedelta, urgency: str, left: str):
    told = deadline(NOW + after, NOW, "zh", CITY)
    assert (told.urgency, told.left) == (urgency, left)
    assert told.shape


def test_the_third_tuesday_is_the_contact_day():
    contact = Duty("C", "D1", (2,), (3,), "P1", "contact_day")
    assert falls_on(contact, date(2026, 3, 17))
    assert not falls_on(contact, date(2026, 3, 10))
    with_day = _city(duties={"C": contact})
    assert next_contact_day("P1", date(2026, 3, 2), with_day) == date(2026, 3, 17)
    assert next_contact_day("P1", date(2026, 3, 17), with_day) == date(2026, 3, 17)
    assert next_contact_day("P1", date(2026, 3, 18), with_day) == date(2026, 4, 21)
    assert next_contact_day("P1", date(2026, 3, 2), CITY) is None


def _city(**tables: object) -> Snapshot:
    return replace(CITY, **tables)  # type: ignore[arg-type]


def test_on_duty_are_those_with_a_shift_today_and_those_without_any_and_substitutes_stand_in():
    shifts = {"W": Duty("W", "D1", (1,), station="P1")}
    assert on_duty("P1", date(2026, 3, 2), _city(duties=shifts)) == ["D2", "D1"]
    assert on_duty("P1", date(2026, 3, 3), _city(duties=shifts)) == ["D2"]
    leave = registry.Leave("L", "D2", date(2026, 3, 1), date(2026, 3, 5), "D3")
    assert on_duty("P1", date(2026, 3, 3), _city(duties=shifts, leaves={"L": leave})) == ["D3"]


def test_a_station_s_figures():
    late = Opinion(id="1", stage="assigned", due_acknowledge=NOW - timedelta(hours=1))
    told = figures([late, Opinion(id="2", stage="triage"), Opinion(id="3", stage="closed")], NOW)
    assert (told.waiting, told.late, told.done) == (2, 1, 1)


def test_the_map_puts_the_grid_in_the_middle_and_the_mark_where_the_place_is():
    told = grid_map(GRID, Place(31.575, 120.305), CITY)
    assert told is not None
    assert told.mark == (WIDTH / 2, HEIGHT / 2)
    points = [tuple(map(float, pair.split(","))) for pair in told.own.split()]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)
    other = grid_map(GRID, Place(31.575, 120.305, "gcj02"), CITY)
    assert other is not None
    assert other.mark is None  # another system's numbers would mark a wrong place
    assert grid_map("320213001001999", None, CITY) is None


EXPLANATION = lifecycle.Explanation(
    registry_version="v1",
    rules_version="1",
    located=lifecycle.LocatedBy(GRID, "coordinates", 0.95),
    classified=lifecycle.ClassifiedAs("0101", "rules", 0.8),
    candidates=(lifecycle.Candidate("D1", "street", 2, 30, 0.9),),
    reasons=(lifecycle.Reason("substitute_for", {"deputy": "D2"}),),
)


def told_of(*data: msgspec.Struct) -> list[Told]:
    names = {model: name for name, model in lifecycle.MODELS.items()}
    return [
        Told(n, names[type(one)], NOW, msgspec.json.encode(one).decode()) for n, one in enumerate(data, 1)
    ]


def history() -> list[Told]:
    due = lifecycle.DueTimes(NOW, NOW, NOW, "opinion", "v1")
    deputy = inbound.Actor("deputy", "D1")
    return told_of(
        lifecycle.Submitted(channel="page", digest="d", has_contact=True),
        lifecycle.Assigned("D1", "router", GRID, "320213001", "320213", "0101", 1, due, EXPLANATION),
        lifecycle.SeenBy(deputy),
        lifecycle.Accepted(deputy),
        lifecycle.HandedOver(deputy, "c1", "housing", "main"),
        lifecycle.Supported("s", 3),
    )


def test_the_case_file_folds_what_was_decided():
    file = file_of(history())
    assert (file.has_contact, file.seen, file.supporters) == (True, True, 3)
    assert file.children == {"c1": "housing"}


def test_the_timeline_tells_the_newest_first_in_sentences_without_codes():
    zh, en = (steps(history(), {}, language, CITY) for language in ("zh", "en"))
    assert [step.text for step in zh[:4]] == [
        "又有居民附议，共 3 位", "王芳 交 住建局 主办", "王芳 接办", "王芳 已看到",
    ]  # fmt: skip
    assert en[-2].text == "Assigned to 王芳 (the rules of routing)"


def test_photos_stand_with_what_they_show_as_links_that_open_for_a_while():
    links = PhotoLinks(b"secret", "https://intake.example.org/")
    resident = lifecycle.Submitted(channel="page", digest="d", attachments=("p1.sig", "p2.sig"))
    deputy = inbound.Actor("deputy", "D1")
    done = lifecycle.Resolved(deputy, "solved", "w", times=1, rate_until=NOW, evidence=("p3.sig",))
    told = told_of(resident, lifecycle.Accepted(deputy), done)
    answer, accepted, said = steps(told, {}, "zh", CITY, lambda data: links.of(data, NOW))
    assert [len(step.photos) for step in (answer, accepted, said)] == [1, 0, 2]
    asked = parse_qs(urlsplit(answer.photos[0].thumb).query)
    assert asked["size"] == ["thumb"]
    until, given = int(asked["until"][0]), asked["sig"][0]
    assert opens(b"secret", "p3.sig", until, given, NOW)
    assert not opens(b"secret", "p3.sig", until, given, NOW + OPEN_FOR + timedelta(seconds=1))
    assert links.origin == "https://intake.example.org"


def test_without_an_address_of_intake_there_are_no_photos():
    for links in (PhotoLinks(b"", "https://intake.example.org"), PhotoLinks(b"secret", "")):
        assert links.of(lifecycle.Submitted(channel="page", digest="d", attachments=("p",)), NOW) == ()
        assert links.origin == ""


def test_why_a_case_came_here_is_told_in_words():
    lines = why(file_of(history()), "zh", CITY)
    assert lines[0] == "地点：金匮街道 · 网格一；依据：定位；把握 95%"
    assert "您代 李强 承办。" in lines


def offered(stage: lifecycle.Stage, who: str, file: CaseFile | None = None) -> list[Action]:
    person = person_of(who, CITY)
    assert person is not None
    opinion = Opinion(id="o", stage=stage, holder="D1", grid=GRID, topic="0101")
    given = file or file_of(history())
    return [one.action for one in forms_of(opinion, given, person, "zh", CITY, date(2026, 3, 2))]


def test_what_is_offered_follows_from_stage_and_role():
    assert offered("assigned", "D1") == ["accept", "transfer", "return", "reveal_contact"]
    assert offered("accepted", "D1")[:2] == ["progress", "resolve"]
    assert offered("in_progress", "D2") == []
    assert offered("triage", "T1") == ["assign", "publish"]
    assert offered("triage", "S1") == []  # another district's supervisor
    assert offered("closed", "T1") == ["publish"]


def test_what_was_released_can_be_taken_back_and_what_was_erased_is_not_released():
    office = inbound.Actor("staff", "T1")
    public = [*history(), *told_of(lifecycle.Published(office, "p"))]
    assert offered("closed", "T1", file_of(public)) == ["publish", "unpublish"]
    back = [*public, *told_of(lifecycle.Unpublished(office))]
    assert offered("closed", "T1", file_of(back)) == ["publish"]


def test_a_paused_case_offers_to_go_on():
    paused = lifecycle.Paused(inbound.Actor("deputy", "D1"), "season", NOW)
    assert offered("in_progress", "D1", file_of([*history(), *told_of(paused)]))[0] == "resume"


def test_a_mandate_covers_its_area_its_topics_and_its_time():
    mandate = registry.Mandate("m", "D1", ("320213",), ("01",), date(2026, 1, 1), date(2026, 7, 1))
    assert covers(mandate, GRID, "0101", date(2026, 6, 30))
    assert not covers(mandate, GRID, "0101", date(2026, 7, 1))
    assert not covers(mandate, GRID, "0201", date(2026, 6, 30))
    assert not covers(mandate, "320214001001001", "0101", date(2026, 6, 30))
    assert not covers(mandate, None, "0101", date(2026, 6, 30))


def test_a_pause_lasts_to_the_end_of_its_day_in_the_city():
    asked = asked_of({"action": "pause", "reason": "season", "until": "2026-03-05"}, CITY)
    assert asked.until == datetime(2026, 3, 5, 15, 59, 59, tzinfo=UTC)


def test_people_are_found_by_number_or_mail_however_written():
    for who in ("D1", "d1", " D1 ", "Wang@Deputies.test"):
        found = named(who, CITY)
        assert found is not None
        assert found.id == "D1"
    assert named("nobody@deputies.test", CITY) is None
    assert named("", CITY) is None


def test_a_visit_is_told_with_who_and_when_its_note_and_its_link():
    visited = lifecycle.Visited(inbound.Actor("deputy", "D1", "grid-app"), NOW, "w")
    told = Told(5, "opinion.visited", NOW, msgspec.json.encode(visited).decode())
    link = "https://photos.example.org/1.jpg"
    note = Words("op", "w", "visit", "路灯已换", visited.actor, media_url=link)
    (step,) = steps([told], {"w": note}, "zh", CITY)
    assert "王芳" in step.text
    assert "10:00" in step.text
    assert (step.quote, step.link) == ("路灯已换", link)


def test_a_visit_that_a_system_recorded_is_told_under_the_system_s_name():
    city = replace(CITY, channels={"grid-app": registry.Channel("grid-app", "网格通")})
    visited = lifecycle.Visited(inbound.Actor("channel", "grid-app"), NOW)
    told = Told(5, "opinion.visited", NOW, msgspec.json.encode(visited).decode())
    (step,) = steps([told], {}, "zh", city)
    assert step.text.startswith("网格通")
    assert (step.quote, step.link) == (None, None)


def test_a_link_that_came_with_the_words_leads_out_with_a_warning_and_tells_nobody_where_from():
    template = (HERE / "templates" / "case.html").read_text("utf-8")
    macro = template[
        template.index("macro elsewhere") : template.index("endmacro", template.index("elsewhere"))
    ]
    assert 'rel="noopener noreferrer nofollow"' in macro
    assert "t('elsewhere')" in macro
