"""A laptop without Apache Kafka: the main job on the stand-in broker, with a handful of opinions."""

from collections.abc import Callable

from tests.end_to_end import checks
from tests.end_to_end.test_main_job import drive_to_the_end
from tests.support.stacks import LocalStack


def test_the_main_job_is_done_on_the_stand_in_broker_too(make_stack: Callable[..., LocalStack]):
    stack = make_stack("--broker", "tansu")
    stack.up()

    driven = drive_to_the_end(stack, count=6, seed=3)

    assert stack.status()["broker"]["kind"] == "tansu"
    assert driven.drive.failures == []
    assert {opinion.stage for opinion in driven.opinions} == {"closed"}
    assert checks.everything_wrong_with(driven.log(), driven.drive.ledger) == []
