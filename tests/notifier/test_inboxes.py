"""What stands in whose inbox, from the lifecycle to the page."""

from lianxin_contracts import lifecycle
from tests.notifier.lifecycles import SUBMITTED, History, assigned, deputy, triaged
from tests.notifier.running import Running
from tests.notifier.topics import deliveries, write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker


def test_an_assigned_opinion_stands_in_its_deputys_inbox(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    write(city_broker.bootstrap, case.steps(SUBMITTED, assigned("D1")))
    (item,) = eventually(lambda: [i for i in api.inbox("D1") if i["id"] == case.opinion])
    assert item["stage"] == "assigned"
    assert item["topic"] == "0101"
    assert item["number"] >= 1
    (told,) = deliveries(city_broker.bootstrap, case.opinion)
    assert (told.channel, told.status, told.receiver) == ("inbox", "sent", "D1")
    assert told.number == item["number"]
    assert told.latency_ms is not None


def test_a_case_that_goes_to_another_deputy_leaves_the_first_inbox(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    write(city_broker.bootstrap, case.steps(SUBMITTED, assigned("D2"), lifecycle.Accepted(deputy("D2"))))
    eventually(lambda: [i for i in api.inbox("D2") if i["id"] == case.opinion and i["stage"] == "accepted"])
    write(
        city_broker.bootstrap,
        case.steps(lifecycle.Transferred(deputy("D2"), "D3"), assigned("D3", by="transfer", attempt=2)),
    )
    eventually(lambda: [i for i in api.inbox("D3") if i["id"] == case.opinion])
    assert not [i for i in api.inbox("D2") if i["id"] == case.opinion]


def test_triage_and_supervisors_have_inboxes_too(city_broker: Broker, worker: Running, api: Running) -> None:
    case = History()
    write(city_broker.bootstrap, case.steps(SUBMITTED, triaged("T1")))
    (item,) = eventually(lambda: [i for i in api.inbox("T1", stage="triage") if i["id"] == case.opinion])
    assert item["assigned_at"] is None
    write(city_broker.bootstrap, case.steps(assigned("D1", by="triage", receivers=("S1",))))
    eventually(lambda: [i for i in api.inbox("S1") if i["id"] == case.opinion])
    assert not [i for i in api.inbox("T1") if i["id"] == case.opinion]


def test_an_inbox_lists_by_stage_and_leaves_out_what_is_closed(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    write(
        city_broker.bootstrap,
        case.steps(
            SUBMITTED, assigned("D2"), lifecycle.Accepted(deputy("D2")), lifecycle.Closed("withdrawn")
        ),
    )
    eventually(lambda: [i for i in api.inbox("D2", stage="closed") if i["id"] == case.opinion])
    assert not [i for i in api.inbox("D2") if i["id"] == case.opinion]
    assert not [i for i in api.inbox("D2", stage="assigned") if i["id"] == case.opinion]
    answer = api.http.get("/v1/inbox", params={"deputy": "D2", "stage": "asleep"})
    assert answer.status_code == 422


def test_an_event_that_is_delivered_again_takes_effect_once(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case, after = History(), History()
    records = case.steps(SUBMITTED, assigned("D3"), lifecycle.Accepted(deputy("D3")))
    write(city_broker.bootstrap, [*records, *records, *records[1:]])
    write(city_broker.bootstrap, after.steps(SUBMITTED, assigned("D3")))
    eventually(lambda: [i for i in api.inbox("D3") if i["id"] == after.opinion])
    (item,) = eventually(lambda: [i for i in api.inbox("D3", stage="accepted") if i["id"] == case.opinion])
    told = {(d.alert, d.number) for d in deliveries(city_broker.bootstrap, case.opinion)}
    assert told == {(next(iter(told))[0], item["number"])}


def test_a_gap_in_a_sequence_holds_that_case_alone(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    gapped, whole = History(), History()
    first, _, third = gapped.steps(SUBMITTED, assigned("D4"), lifecycle.Accepted(deputy("D4")))
    before = worker.metric('lianxin_projection_gap_total{projection="inbox"}')
    write(city_broker.bootstrap, [first, third, *whole.steps(SUBMITTED, assigned("D4"))])
    eventually(lambda: [i for i in api.inbox("D4") if i["id"] == whole.opinion])
    eventually(lambda: worker.metric('lianxin_projection_gap_total{projection="inbox"}') > before)
    assert not [i for i in api.inbox("D4") if i["id"] == gapped.opinion]


def test_the_count_of_alerted_opinions_is_that_of_the_ever_assigned(
    city_broker: Broker, worker: Running
) -> None:
    waiting, twice = History(), History()
    write(
        city_broker.bootstrap,
        [
            *waiting.steps(SUBMITTED, triaged("T1")),
            *twice.steps(SUBMITTED, assigned("D1"), lifecycle.TakenBack("D1", "silence"), assigned("D2")),
        ],
    )
    eventually(lambda: len(deliveries(city_broker.bootstrap, twice.opinion)) == 3)

    def alerted() -> set[str]:
        told = deliveries(city_broker.bootstrap)
        return {d.opinion for d in told if d.entry is not None and d.entry.event == "opinion.assigned"}

    assert twice.opinion in alerted()
    assert waiting.opinion not in alerted()
    eventually(lambda: worker.metric('lianxin_counted_opinions{what="alerted"}') == len(alerted()))
