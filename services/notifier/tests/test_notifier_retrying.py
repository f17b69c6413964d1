"""When a failed delivery is tried again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lianxin_notifier.retrying import RetryPolicy

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
POLICY = RetryPolicy(first_s=10, longest_s=3600, attempts=5)


def test_waits_double_from_attempt_to_attempt_up_to_the_longest() -> None:
    policy = RetryPolicy(first_s=10, longest_s=60, attempts=10)
    waits = [policy.next_attempt(n, NOW, chance=0.0) for n in range(1, 6)]
    assert [at and at - NOW for at in waits] == [timedelta(seconds=s) for s in (10, 20, 40, 60, 60)]


def test_the_last_attempt_is_not_followed_by_another() -> None:
    assert POLICY.next_attempt(4, NOW) is not None
    assert POLICY.next_attempt(5, NOW) is None


@given(st.integers(1, 4), st.floats(0, 1))
def test_chance_shortens_a_wait_by_half_at_most(attempt: int, chance: float) -> None:
    whole = POLICY.next_attempt(attempt, NOW, chance=0.0)
    some = POLICY.next_attempt(attempt, NOW, chance=chance)
    assert whole is not None
    assert some is not None
    assert (whole - NOW) / 2 <= some - NOW <= whole - NOW
