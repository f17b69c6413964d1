"""Asking a service's database on behalf of an operator."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.outages import outage
from lianxin_chassis.settings import Settings
from lianxin_local.problem import Problem
from lianxin_local.stack import Stack

T = TypeVar("T")


def asked(stack: Stack, service: str, question: Callable[[Database], Awaitable[T]]) -> T:
    """The answer of the database of `service`. Raises Problem where it does not answer."""

    async def ask() -> T:
        db = open_database(Settings(service=service, mongo_url=stack.database_url))
        try:
            return await question(db)
        finally:
            await close_database(db)

    try:
        return asyncio.run(ask())
    except Exception as error:
        if outage(error) is None:
            raise
        raise Problem(f"the database at {stack.database_url} does not answer: lianxin up?") from None
