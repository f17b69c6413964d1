"""Who may sign in, and as what: deputies and the staff of the registry. Pure."""

from dataclasses import dataclass
from typing import Literal

from lianxin_contracts.inbound import Actor
from lianxin_contracts.registry import Snapshot

Role = Literal["deputy", "station", "staff", "supervisor", "administrator"]

# What the registry calls the roles of its staff.
_ROLES: dict[str, Role] = {
    "triage": "staff",
    "supervisor": "supervisor",
    "administrator": "administrator",
    "station": "station",
}


@dataclass(frozen=True, slots=True)
class Person:
    """A deputy or a member of staff. `areas` are the code prefixes that a member of staff answers for, empty
    for the whole city; `stations` those that staff of stations work for; `mail` is where a link can be sent.
    """

    id: str
    name: str
    roles: frozenset[Role]
    areas: tuple[str, ...] = ()
    language: str = "zh"
    mail: str | None = None
    stations: tuple[str, ...] = ()

    @property
    def is_deputy(self) -> bool:
        """Whether this is a deputy."""
        return "deputy" in self.roles

    @property
    def actor(self) -> Actor:
        """Who speaks when this person acts by signing in: no channel vouches for it."""
        return Actor("deputy" if self.is_deputy else "staff", self.id)

    def may(self, *roles: Role) -> bool:
        """Whether the person has one of `roles`."""
        return any(role in self.roles for role in roles)

    def is_of_station(self, station: str | None) -> bool:
        """Whether this is staff of the station `station`."""
        return "station" in self.roles and station in self.stations

    def looks_into(self, station: str | None) -> bool:
        """Whether this person sees a case without having it in the inbox: the office every one, staff of a
        station what came in there."""
        return self.may("staff", "supervisor", "administrator") or self.is_of_station(station)

    def answers_for(self, grid: str | None) -> bool:
        """Whether a member of staff answers for this grid (15 digits); what has none is everybody's."""
        return not self.areas or grid is None or grid.startswith(self.areas)


def person_of(id_: str, city: Snapshot) -> Person | None:
    """The person with this id; None where the registry knows nobody of that id (any more)."""
    if (deputy := city.deputies.get(id_)) is not None:
        mail = next((c.partition(":")[2] for c in deputy.channels if c.startswith("mail:")), None)
        return Person(id_, deputy.name, frozenset({"deputy"}), (), deputy.language, mail or None)
    if (staff := city.staff.get(id_)) is not None:
        roles = frozenset(_ROLES[role] for role in staff.roles if role in _ROLES)
        return Person(id_, staff.name, roles, staff.areas, stations=staff.stations)
    return None


def named(who: str, city: Snapshot) -> Person | None:
    """The person whose id or mail address is `who`, however it is written; None where there is none."""
    wanted = who.strip()
    found = person_of(wanted, city) or person_of(wanted.upper(), city)
    if found is not None or "@" not in wanted:
        return found
    address = f"mail:{wanted.lower()}"
    owner = next((d.id for d in city.deputies.values() if address in map(str.lower, d.channels)), None)
    return person_of(owner, city) if owner is not None else None
