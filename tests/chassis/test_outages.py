"""What is the surroundings' fault and what the record's; how long to wait; when so much fails that we
stop."""

import aiokafka.errors
import pymongo.errors
import pytest

from lianxin_chassis.limits import DeadLetterLimits, FailureCount, TooManyDeadLetters
from lianxin_chassis.outages import Backoff, NotConfirmed, Outage, Overloaded, outage


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (Outage("x", what="mail"), "mail"),
        (NotConfirmed([], "x"), "broker"),
        (Overloaded("x"), "broker"),
        (pymongo.errors.AutoReconnect("x"), "database"),
        (pymongo.errors.ServerSelectionTimeoutError("x"), "database"),
        (pymongo.errors.NetworkTimeout("x"), "database"),
        (pymongo.errors.WaitQueueTimeoutError("x"), "database"),
        (pymongo.errors.NotPrimaryError("x"), "database"),
        (pymongo.errors.OperationFailure("x", code=189), "database"),
        (pymongo.errors.OperationFailure("collection dropped", code=175), "database"),
        (
            pymongo.errors.BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}),
            "database",
        ),
        (aiokafka.errors.KafkaConnectionError("x"), "broker"),
        (aiokafka.errors.NotLeaderForPartitionError("x"), "broker"),
        (ConnectionRefusedError(), "network"),
        (TimeoutError(), "network"),
        (OSError(101, "network is unreachable"), "network"),
    ],
)
def test_faults_of_the_surroundings_are_waited_out(error: Exception, what: str) -> None:
    assert outage(error) == what


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        KeyError("a bug"),
        FileNotFoundError("a bug"),
        pymongo.errors.DuplicateKeyError("x"),
        pymongo.errors.DocumentTooLarge("x"),
        pymongo.errors.OperationFailure("bad query", code=2),
        pymongo.errors.BulkWriteError({"writeErrors": [{"code": 11000}]}),
        aiokafka.errors.MessageSizeTooLargeError("x"),
    ],
)
def test_faults_of_the_record_or_the_code_are_not(error: Exception) -> None:
    assert outage(error) is None


def test_waiting_doubles_up_to_a_cap_is_spread_and_starts_over_after_a_success() -> None:
    backoff = Backoff(first_s=1.0, cap_s=4.0)
    waits = [backoff.next() for _ in range(5)]
    for wait, longest in zip(waits, (1, 2, 4, 4, 4), strict=True):
        assert longest / 2 <= wait <= longest
    backoff.reset()
    assert backoff.next() <= 1.0


GOOD, BAD = True, False


def test_a_success_between_ends_a_row_of_failures() -> None:
    count = FailureCount(DeadLetterLimits(in_a_row=3, share=1.0))
    for outcomes in ([BAD, BAD, GOOD], [GOOD, BAD, GOOD, BAD, BAD], [GOOD, BAD, BAD]):
        count.weigh(outcomes)
        count.note(outcomes)
    with pytest.raises(TooManyDeadLetters, match="3 dead letters in a row"):
        count.weigh([BAD, GOOD])


def test_what_is_only_weighed_is_not_counted() -> None:
    count = FailureCount(DeadLetterLimits(in_a_row=3, share=1.0))
    for _ in range(5):
        count.weigh([BAD, BAD])


def test_a_share_of_failures_counts_only_from_a_number_worth_a_percentage() -> None:
    count = FailureCount(DeadLetterLimits(in_a_row=1_000, share=0.01, at_least=50))
    count.handled(10)
    for _ in range(49):
        count.weigh([BAD, GOOD])
        count.note([BAD, GOOD])
    with pytest.raises(TooManyDeadLetters, match="50 of 109"):
        count.weigh([BAD])


def test_few_failures_among_very_many_successes_stop_nothing() -> None:
    count = FailureCount(DeadLetterLimits(in_a_row=1_000, share=0.01, at_least=50))
    count.handled(100_000)
    for _ in range(500):
        count.weigh([BAD, GOOD])
        count.note([BAD, GOOD])
