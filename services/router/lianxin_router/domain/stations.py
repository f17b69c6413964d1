"""Whose a case is among the staff of stations: of those at whose station it came in."""

from lianxin_contracts.inbound import Actor
from lianxin_router.domain.case import Case
from lianxin_router.domain.ports import Context

STATION = "station"


def is_of_station(case: Case, actor: Actor, context: Context) -> bool:
    """Whether `actor` is staff of the station at which the case came in."""
    staff = context.staff(actor.id) if actor.kind == "staff" else None
    return staff is not None and STATION in staff.roles and case.station in staff.stations


def is_of_another_station(case: Case, actor: Actor, context: Context) -> bool:
    """Whether `actor` works for stations alone, and the case came in at none of them."""
    staff = context.staff(actor.id) if actor.kind == "staff" else None
    return staff is not None and set(staff.roles) == {STATION} and case.station not in staff.stations
