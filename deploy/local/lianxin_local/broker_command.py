"""`lianxin broker`: what a broker needs before services with credentials of their own can use it."""

import asyncio

import click
from aiokafka.errors import KafkaError, SecurityDisabled

from lianxin_chassis import topics
from lianxin_chassis.outages import Outage
from lianxin_chassis.settings import Settings
from lianxin_local.broker_access import set_access
from lianxin_local.problem import Problem
from lianxin_local.registry_publish import operator


@click.group()
def broker() -> None:
    """A broker that is not this machine's own stack: compose, Kubernetes, a cluster."""


@broker.command()
@click.option("--bootstrap", required=True, help="host:port[,host:port]; credentials: LIANXIN_KAFKA_….")
def prepare(bootstrap: str) -> None:
    """Make the topics that are missing, and set what each service may do; safe to repeat."""
    try:
        added, removed = asyncio.run(_prepare(operator(bootstrap)))
    except topics.WrongTopicSettings as error:
        raise Problem(f"topics are set otherwise than the contract says:\n{error}") from None
    except SecurityDisabled:
        raise Problem(
            f"the broker at {bootstrap} has no authorizer: it lets everybody do everything"
        ) from None
    except (Outage, KafkaError, OSError) as error:
        raise Problem(f"the broker at {bootstrap} can't be prepared: {error!r}") from None
    click.echo(f"topics are as they should be; access rules: {added} added, {removed} removed")


async def _prepare(settings: Settings) -> tuple[int, int]:
    await topics.ensure(settings)
    return await set_access(settings)
