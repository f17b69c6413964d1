"""The reader of the router's own log when its broker is away."""

import asyncio
import gc
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from lianxin_chassis.settings import Settings
from lianxin_contracts import topics
from lianxin_router.fold import LogReader
from tests.support.ports import free_port


async def test_a_broker_that_is_away_costs_no_connection_that_nobody_closes() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    reader = LogReader(Settings(service="router", kafka_bootstrap=f"127.0.0.1:{free_port()}"))

    with pytest.raises((KafkaError, TimeoutError)):
        await reader.ends(topics.LIFECYCLE)
    gc.collect()

    assert complaints == []
