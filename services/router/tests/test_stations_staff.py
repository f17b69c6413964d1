"""What the staff of a station may: place what came in there and waits, and nothing else of the office's."""

import pytest
from services.router.tests.cases import ANN, TOM, Talk, accepted, in_triage

from lianxin_contracts import inbound
from lianxin_contracts.inbound import Actor, Answer, Assign, ErasureRequested, HandOver

STAN, STELLA = Actor("staff", "stan"), Actor("staff", "stella")


def test_staff_of_a_station_place_a_case_that_came_in_there_and_waits() -> None:
    talk = in_triage(station="home")
    talk.says(Assign(STAN, to="bea"), 1)
    assert (talk.case.assignee, talk.one("opinion.assigned").by) == ("bea", "triage")


@pytest.mark.parametrize("station", ["home", None])
def test_staff_of_another_station_do_not(station: str | None) -> None:
    talk = in_triage(station=station)
    talk.says(Assign(STELLA, to="bea"), 1)
    assert talk.code() == "not_allowed"
    assert talk.case.assignee is None


def test_staff_of_a_station_take_no_case_from_a_deputy() -> None:
    talk = in_triage(station="home")
    talk.says(Assign(TOM, to="bea"), 1)
    talk.says(Assign(STAN, to="ann"), 2)
    assert talk.code() == "not_allowed"
    assert talk.case.assignee == "bea"


@pytest.mark.parametrize(
    "command", [inbound.Supervise(STAN), inbound.Publish(STAN, "x"), inbound.Accept(STAN)], ids=str
)
def test_staff_of_a_station_neither_press_nor_release_nor_handle(command: object) -> None:
    talk = in_triage(station="home")
    talk.says(command)
    assert talk.code() is not None
    assert talk.last is not None
    assert talk.last.events[0].type == "command.refused"


def handed_over(station: str) -> tuple[Talk, str]:
    talk = Talk()
    talk.submits(station=station)
    talk.says(inbound.Accept(ANN))
    talk.says(HandOver(ANN, "water"))
    return talk, talk.case.children[0].id


def test_staff_of_a_station_enter_a_department_s_answer_for_its_cases_alone() -> None:
    talk, child = handed_over("home")
    talk.says(Answer(STELLA, "修好了", child), 1)
    assert talk.code() is not None
    assert talk.case.children[0].answered is None
    talk.says(Answer(STAN, "修好了", child), 2)
    assert talk.case.children[0].answered is not None


def test_staff_of_a_station_erase_nothing() -> None:
    talk = accepted()
    decision = talk.says(ErasureRequested(STAN))
    assert (talk.code(), decision.deletions) == ("not_allowed", ())
    assert not talk.case.erased
