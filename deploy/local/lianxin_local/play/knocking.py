"""The clock of cases on replayed time: the wall clock does not knock for them, whoever plays them does.

A knock (`case.due`) says the instant that the play has reached; the router then tells what fell due up to it,
each at its own due instant. Its id follows from case, clock and due instant, as the router's own knocks do,
so that twice does no harm.
"""

import asyncio
from datetime import UTC, datetime

from lianxin_chassis.patience import patiently
from lianxin_chassis.publisher import Publisher
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, milliseconds, to_record
from lianxin_local.play.cases import Cases, Knock

# The router believes knocks from here: docs/lifecycle.md, "Who may say what".
SOURCE = "/operator"
MOST_AT_ONCE = 500


def knock(found: Knock, reached: datetime, now: datetime) -> OutRecord:
    """The record that makes the router look at a case at the instant `reached` (aware)."""
    case, clock, due = found
    event = Event(
        id=ids.knock(case, clock, milliseconds(due)),
        source=SOURCE,
        type="case.due",
        subject=case,
        time=reached,
        recordedtime=now,
        data=inbound.Due(clock, due),
    )
    return to_record(event, topics.INBOUND, case)


class Knocker:
    """Knocks for the open cases of `cases`. Only up to an instant before which everything has been said: what
    is said later of an earlier time is dated at what fell due meanwhile."""

    def __init__(self, cases: Cases, publisher: Publisher) -> None:
        self._cases = cases
        self._publisher = publisher
        self.knocks = 0

    async def knock_up_to(self, reached: datetime) -> int:
        """Knock for what ran out by `reached` (aware) and was not knocked for; how many knocks were sent."""
        sent = 0
        while found := self._cases.due(reached, MOST_AT_ONCE):
            now = datetime.now(UTC)
            records = [knock(one, reached, now) for one in found]
            await patiently(lambda records=records: self._publisher.publish(records))  # type: ignore[misc]
            sent += len(found)
        self.knocks += sent
        return sent

    async def settle(self, reached: datetime, within_s: float, quiet_s: float = 1.0) -> None:
        """Knock until no clock of an open case has run out by `reached` and the log brought nothing that did
        for `quiet_s`. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                await self.knock_up_to(reached)
                before = self._cases.events.total()
                await asyncio.sleep(quiet_s)
                overdue = self._cases.next_due()
                if self._cases.events.total() == before and (overdue is None or overdue > reached):
                    return
