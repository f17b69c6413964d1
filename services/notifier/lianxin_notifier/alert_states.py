"""What became of the alerts about one opinion, for operators: from queued to acknowledged."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from lianxin_chassis.database import Database
from lianxin_chassis.generations import Generations
from lianxin_notifier.delivery_documents import Made
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.inbox import Seat
from lianxin_notifier.rebuild import SERVICE
from lianxin_notifier.store import ProjectionStore

AlertState = Literal["inbox", "queued", "failed", "sent", "dead", "skipped", "read", "acknowledged"]

# What tells most of where an alert stands comes first: one that some channel took was sent.
_ORDER: tuple[tuple[AlertState, tuple[str, ...]], ...] = (
    ("sent", ("sent",)),
    ("queued", ("queued", "attempting")),
    ("failed", ("failed",)),
    ("dead", ("dead",)),
    ("skipped", ("skipped",)),
)


class Alerted(Struct, frozen=True):
    """One receiver: their place at the case, how their newest alert stands, and every delivery so far."""

    receiver: str
    seat: Seat
    state: AlertState
    deliveries: tuple[Made, ...]


def state_of(seat: Seat, made: Sequence[Made]) -> AlertState:
    """How the newest alert to whoever sits there stands. `acknowledged`: they have acted since; `read`: they
    have looked; `inbox`: no outside channel was used."""
    if seat.acted > seat.told:
        return "acknowledged"
    if seat.seen > seat.told:
        return "read"
    found = {one.status for one in made}
    return next((state for state, statuses in _ORDER if found & {*statuses}), "inbox")


async def alerted_about(db: Database, opinion: str) -> list[Alerted]:
    """Everybody who was told of `opinion`, by receiver's id. Raises PyMongo's errors."""
    store = ProjectionStore(db, await Generations(db, SERVICE).live())
    seats = (await store.seats([opinion])).get(opinion, {})
    by_receiver: dict[str, list[Made]] = {}
    for (_, receiver), several in (await DeliveryStore(db).made_for([opinion])).items():
        by_receiver.setdefault(receiver, []).extend(several)
    return [
        Alerted(who, seat, state_of(seat, _newest(made)), tuple(sorted(made, key=lambda one: one.at)))
        for who, seat in sorted(seats.items())
        for made in [by_receiver.get(who, [])]
    ]


def _newest(made: Sequence[Made]) -> list[Made]:
    """The deliveries of the alert that was last gone on with."""
    last = max(made, key=lambda one: one.raised, default=None)
    return [one for one in made if last is not None and one.cause == last.cause]
