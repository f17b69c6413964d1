"""`lianxin up` on a stack whose services were given a bad setting."""

from collections.abc import Callable

from tests.support.stacks import LocalStack
from tests.support.wait import eventually


def test_up_with_the_setting_mended_heals_services_that_ended_again_and_again(
    make_stack: Callable[..., LocalStack],
) -> None:
    stack = make_stack("--broker", "tansu", env={"LIANXIN_START_SECONDS": "1"})
    stack.env["LIANXIN_KAFKA_IDEMPOTENT"] = "perhaps"
    options = ("up", "--detach", "--broker", "tansu", "--port-base", str(stack.port_base))
    failed = stack.lianxin(*options, check=False)
    assert failed.returncode == 1
    assert "is not ready after 1 s" in failed.stderr
    infrastructure = {name: pid for name, pid in stack.status()["pids"].items() if "." not in name}
    assert set(infrastructure) == {"broker", "database"}
    log = stack.directory / "logs" / "router.worker.log"
    eventually(lambda: "kafka_idempotent" in log.read_text().lower(), timeout=120)

    stack.env.clear()
    stack.up()

    told = stack.status()
    assert all(service["ready"] for service in told["services"].values())
    assert told["pids"] == told["pids"] | infrastructure
