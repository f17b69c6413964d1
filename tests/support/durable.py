"""A durable broker, for the tests that need one: where there is none they say so and skip, and fail on CI."""

import os
from functools import cache
from pathlib import Path

import pytest

from lianxin_local.kafka import Kafka
from lianxin_local.problem import Problem
from tests.support.brokers import TansuBroker, wanted_broker


def require_durable_broker() -> None:
    """Skip the test that runs, or that a fixture is made for, unless it can have Apache Kafka; on CI fail."""
    if (missing := what_is_missing()) is not None:
        skip_or_fail(f"needs a durable broker: {missing}")


def skip_or_fail(why: str) -> None:
    """Skip what runs, saying why; where the environment has CI=true a skip would hide that nothing was
    tested, so there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}; on CI this may not be skipped", pytrace=False)
    pytest.skip(why)


def what_is_missing() -> str | None:
    """Why this run has no Apache Kafka, or None if it has."""
    if wanted_broker() is TansuBroker:
        return "LIANXIN_TEST_BROKER=tansu keeps everything in memory"
    return _unobtainable()


@cache
def _unobtainable() -> str | None:
    try:
        Kafka.at(Path(), 0, 0)  # looks for Java and the jars, and starts nothing
    except Problem as problem:
        return problem.message
    return None
