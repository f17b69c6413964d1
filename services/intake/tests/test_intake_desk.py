"""The desk: its sessions, and what its form becomes. No I/O."""

from datetime import UTC, datetime

import pytest
from msgspec import Struct
from starlette.responses import Response

from lianxin_contracts import registry
from lianxin_contracts.registry import Snapshot
from lianxin_intake.desk.places import PlaceFinder
from lianxin_intake.desk.sessions import IDLE_S, LONGEST_S, Sealed, Session, Sessions
from lianxin_intake.desk.writing_down import WhichPlace, body_of, in_words, moment_of, settle
from lianxin_intake.opinion import Fault

GRID = "320213001001001"
CITY = Snapshot(
    "v1",
    registry.City("wuxi", "无锡"),
    regions={
        "320213001": registry.Region("320213001", "street", "金匮街道"),
        "320213001001": registry.Region("320213001001", "community", "永定桥社区"),
        "320213001002": registry.Region("320213001002", "community", "永丰社区"),
    },
    grids={
        code: registry.Grid(code, name, code[:12], code[:9], code[:6])
        for code, name in (
            (GRID, "永定桥第一网格"),
            ("320213001002001", "永丰第一网格"),
            ("320213001002002", "永丰第二网格"),
        )
    },
    stations={"S1": registry.Station("S1", "代表之家", GRID)},
)
FINDER = PlaceFinder(CITY)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def cookie_of(sessions: Sessions, session: Session) -> tuple[str, str]:
    response = Response()
    sessions.keep(response, session)
    whole = response.headers["set-cookie"]
    return whole.split("=", 1)[1].split(";")[0].strip('"'), whole


def test_a_session_lives_while_it_is_used_and_no_longer_than_a_shift() -> None:
    clock = Clock()
    sessions = Sessions(b"secret", clock)
    session = sessions.begin("hash")
    started = clock.now
    while clock.now - started < LONGEST_S - IDLE_S:
        clock.now += IDLE_S
        kept = sessions.read(cookie_of(sessions, session)[0])
        assert kept is not None
        session = kept
    cookie = cookie_of(sessions, session)[0]
    clock.now = started + LONGEST_S + 1
    assert sessions.read(cookie) is None


def test_a_session_ends_after_an_hour_without_a_page() -> None:
    clock = Clock()
    sessions = Sessions(b"secret", clock)
    cookie = cookie_of(sessions, sessions.begin("hash"))[0]
    clock.now += IDLE_S + 1
    assert sessions.read(cookie) is None


def test_the_cookie_shows_nothing_and_scripts_and_other_sites_do_not_get_it() -> None:
    sessions = Sessions(b"secret")
    value, whole = cookie_of(sessions, sessions.begin("f" * 64))
    assert "ffff" not in value
    for attribute in ("Secure", "HttpOnly", "SameSite=strict", "Path=/desk"):
        assert attribute in whole


@pytest.mark.parametrize("forged", ["", "x", "a" * 5000, "é", "AAAA", None])
def test_a_cookie_that_we_did_not_make_is_nobody(forged: str | None) -> None:
    assert Sessions(b"secret").read(forged) is None


def test_a_seal_is_of_one_secret_and_one_purpose() -> None:
    class Said(Struct):
        word: str

    sealed = Sealed(b"secret", "one").seal(Said("x"))
    assert Sealed(b"secret", "one").open(sealed, Said) == Said("x")
    assert Sealed(b"secret", "two").open(sealed, Said) is None
    assert Sealed(b"other", "one").open(sealed, Said) is None
    assert Sealed(b"secret", "one").open(sealed[:-4] + "AAA=", Said) is None


def test_a_form_belongs_to_its_session() -> None:
    sessions = Sessions(b"secret")
    mine, other = sessions.begin("hash"), sessions.begin("hash")
    assert sessions.accepts(sessions.token(mine), mine)
    assert not sessions.accepts(sessions.token(other), mine)
    assert not sessions.accepts("é", mine)


def test_a_whole_name_is_taken_and_a_part_of_one_is_asked_about() -> None:
    assert settle({"place": "永定桥社区"}, FINDER).place == FINDER.get("community", "320213001001")
    with pytest.raises(WhichPlace) as asked:
        settle({"place": "永"}, FINDER)
    assert len(asked.value.candidates) > 1


def test_a_choice_counts_for_the_words_that_it_was_made_for() -> None:
    chosen = {"chosen": f"grid:{GRID}", "chosen_for": "永"}
    assert settle({"place": "永", **chosen}, FINDER).place == FINDER.get("grid", GRID)
    with pytest.raises(WhichPlace):
        settle({"place": "金", **chosen}, FINDER)
    with pytest.raises(WhichPlace):
        settle({"place": "永", "chosen_for": "永", "chosen": "grid:1"}, FINDER)


def test_words_that_name_nothing_stay_words() -> None:
    for fields in ({"place": "老槐树下"}, {"place": "永", "chosen": "words", "chosen_for": "永"}):
        where = settle(fields, FINDER)
        assert body_of(fields | {"text": "x"}, where, None)["address"] == fields["place"]
    assert body_of({"text": "x"}, settle({}, FINDER), None) == {"text": "x"}


@pytest.mark.parametrize(
    ("kind", "id_", "expected"),
    [
        ("grid", GRID, {"grid": GRID, "address": "3号楼"}),
        ("station", "S1", {"station": "S1", "address": "3号楼"}),
        ("community", "320213001001", {"grid": GRID, "address": "3号楼"}),
        ("community", "320213001002", {"address": "金匮街道永丰社区 3号楼"}),
    ],
)
def test_a_place_becomes_what_the_router_can_locate(kind: str, id_: str, expected: dict[str, str]) -> None:
    fields = {
        "text": "灯坏了",
        "address": "3号楼",
        "place": "永",
        "chosen": f"{kind}:{id_}",
        "chosen_for": "永",
    }
    where = settle(fields, FINDER)
    assert body_of(fields, where, None) == {"text": "灯坏了", **expected}
    assert in_words(fields, where).endswith(" 3号楼")


def test_the_time_is_the_citys_own() -> None:
    assert moment_of("2026-11-25T14:30", CITY) == datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
    assert moment_of(None, CITY) is None
    assert isinstance(moment_of("yesterday", CITY), Fault)
    fields = {"text": "x", "phone": "0510 1"}
    at = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
    assert body_of(fields, settle({}, FINDER), at) == {
        "text": "x",
        "contact": {"phone": "0510 1"},
        "occurred_at": "2026-11-25T06:30:00+00:00",
    }
