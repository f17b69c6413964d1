"""The city as records: regions, grids, stations, topics, deputies, mandates, rosters, calendars, policies,
departments, channels and the hashes of their keys.

A load writes every record of one version under `{kind}/{id}@{version}` and ends with
`registry.activated {version, counts, digest}`; readers switch as a whole when counts and digest agree.
Channel keys have no version (`channel_key/{hash}`): they are rotated and revoked without a load. What was
done to them stands beside them for good (`key_change/{event id}`).
Dates are civil dates of the city's zone, half-open [from, until).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

Level = Literal["street", "town", "county", "city", "province", "nation"]
Scope = Literal["submit", "act", "read", "replay", "backdate", "field", "staff"]
Unit = Literal["hours", "working_hours", "days", "working_days", "months"]
Position = tuple[float, float]


class City(Struct, frozen=True):
    """The whole: one record. `zone` is the IANA time zone of every civil date, `languages` in order."""

    id: str
    name: str
    zone: str = "Asia/Shanghai"
    languages: tuple[str, ...] = ("zh", "en")


class Region(Struct, frozen=True):
    """A district (6 digits), street or town (9) or community (12); `parent` is the code above."""

    id: str
    kind: Literal["district", "street", "community"]
    name: str
    parent: str | None = None
    statistical: bool = False


class Grid(Struct, frozen=True):
    """A grid 网格: 15 digits. `polygon` is one closed ring of (longitude, latitude), WGS-84 degrees;
    `synthetic` says that nobody surveyed it."""

    id: str
    name: str
    community: str
    street: str
    district: str
    polygon: tuple[Position, ...] = ()
    synthetic: bool = True


class Station(Struct, frozen=True):
    """A deputies' station 代表家站点."""

    id: str
    name: str
    grid: str
    kind: Literal["county_home", "street_home", "liaison", "contact_point"] = "liaison"


class Topic(Struct, frozen=True):
    """A topic: first level has no `parent`. `words` are rule terms with weights (a rule that works before
    any data exists); `evidence` says that a resolution needs evidence."""

    id: str
    name: str
    name_en: str
    parent: str | None = None
    words: dict[str, float] = msgspec.field(default_factory=dict)
    evidence: bool = False
    urgent: bool = False


class Deputy(Struct, frozen=True):
    """A deputy 代表, by number. `cap` is the most open cases at a time; `channels` where alerts go, in
    order: `mail:…` and `webhook:…` addresses, `sms:` numbers, members of WeCom (`wecom_app:…`), names of
    robots (`wecom:…`, `dingtalk:…`, `feishu:…`), and `push`, the browsers that the deputy chose."""

    id: str
    name: str
    level: Level
    station: str | None = None
    cap: int = 30
    channels: tuple[str, ...] = ()
    language: str = "zh"


class Mandate(Struct, frozen=True):
    """What a deputy answers for: regions or grids (code prefixes of 6, 9, 12 or 15 digits) and topics
    (codes; empty means all), from `since` until `until` (exclusive)."""

    id: str
    deputy: str
    areas: tuple[str, ...]
    topics: tuple[str, ...] = ()
    since: date = date(2000, 1, 1)
    until: date | None = None


class Duty(Struct, frozen=True):
    """A roster line: on these ISO weekdays (1 Monday) `deputy` is on duty, in weeks of the month 1..5 where
    `weeks` is given (the third Tuesday: weekdays [2], weeks [3]). A `shift` 值班 says that the other days are
    off; a `contact_day` 接待日 says when residents can come and takes nothing away. A deputy without shifts
    is always on duty."""

    id: str
    deputy: str
    weekdays: tuple[int, ...]
    weeks: tuple[int, ...] = ()
    station: str | None = None
    kind: Literal["shift", "contact_day"] = "shift"


class Leave(Struct, frozen=True):
    """A deputy is away from `since` until `until` (exclusive); `substitute` stands in."""

    id: str
    deputy: str
    since: date
    until: date
    substitute: str | None = None


class Calendar(Struct, frozen=True):
    """One year of working days: statutory holidays that fall on weekdays, and make-up workdays 调休 that
    fall on weekends. `published` is false where the government has not announced the year: then plain
    weekends count. Working hours are local times `HH:MM` of each working day, in order."""

    id: str
    year: int
    holidays: tuple[date, ...] = ()
    workdays: tuple[date, ...] = ()
    hours: tuple[tuple[str, str], ...] = (("09:00", "12:00"), ("13:00", "17:00"))
    published: bool = True


class Limit(Struct, frozen=True):
    """A length of time: `working_days` end at the close of the n-th working day after the first."""

    amount: int
    unit: Unit


class Policy(Struct, frozen=True):
    """Service levels of one kind of case, from the resident's submission, and the caps of its lifecycle.
    `topics` are the codes it covers (empty: all); the policy with the longest matching code wins."""

    id: str
    kind: Literal["opinion", "suggestion", "project"] = "opinion"
    topics: tuple[str, ...] = ()
    acknowledge: Limit = Limit(24, "hours")
    first_response: Limit = Limit(3, "working_days")
    resolve: Limit = Limit(7, "working_days")
    triage: Limit = Limit(1, "working_days")
    take_back: Limit = Limit(48, "hours")
    rating: Limit = Limit(14, "days")
    pause: Limit = Limit(30, "days")
    remind_before: Limit = Limit(24, "hours")
    max_returns: int = 2
    max_reopens: int = 3
    max_take_backs: int = 2
    max_transfers: int = 3
    return_reasons: tuple[str, ...] = ("not_my_area", "not_my_topic", "conflict_of_interest", "other")
    pause_reasons: tuple[str, ...] = ("waiting_for_resident", "waiting_for_department", "season")


class Department(Struct, frozen=True):
    """A department that takes child orders."""

    id: str
    name: str


class Staff(Struct, frozen=True):
    """A person of the congress's office: `roles` among triage, supervisor and administrator, for
    `areas` (empty: all); or with role station, for what came in at `stations`."""

    id: str
    name: str
    roles: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()


class Channel(Struct, frozen=True):
    """A front-end channel that may post."""

    id: str
    name: str
    kind: str = "api"
    entry: Literal["direct", "offline", "desk"] = "direct"


class ChannelKey(Struct, frozen=True):
    """A channel's key: `id` is the SHA-256 of the key in hex, never the key. `until`: from then on it holds
    no more, because another one replaced it."""

    id: str
    channel: str
    scopes: tuple[Scope, ...]
    revoked: bool = False
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is worth something at `now`."""
        return not self.revoked and (self.until is None or now < self.until)


class KeyChanged(Struct, frozen=True):
    """`registry.key_changed`: the record for auditors of one change of a channel key; the event's time says
    when. `key` and `replaces` are hashes; `by` is who did it, as their machine or they themselves say;
    `until`: as of the key that was replaced."""

    key: str
    change: Literal["created", "rotated", "revoked"]
    channel: str
    scopes: tuple[Scope, ...]
    by: str
    why: str = ""
    replaces: str | None = None
    until: datetime | None = None


class Activated(Struct, frozen=True):
    """`registry.activated`: version `version` is whole. `counts` by kind; `digest` as `digest_of`."""

    version: str
    counts: dict[str, int]
    digest: str


KINDS: dict[str, type[Struct]] = {
    "city": City,
    "region": Region,
    "grid": Grid,
    "station": Station,
    "topic": Topic,
    "deputy": Deputy,
    "mandate": Mandate,
    "duty": Duty,
    "leave": Leave,
    "calendar": Calendar,
    "policy": Policy,
    "department": Department,
    "staff": Staff,
    "channel": Channel,
}
CHANNEL_KEY = "channel_key"
KEY_CHANGED = "registry.key_changed"
ACTIVATED = "registry.activated"
MODELS: dict[str, type[Struct]] = {
    **{f"registry.{kind}": model for kind, model in KINDS.items()},
    f"registry.{CHANNEL_KEY}": ChannelKey,
    ACTIVATED: Activated,
    KEY_CHANGED: KeyChanged,
}


def record_key(kind: str, id_: str, version: str) -> str:
    """The Kafka key of one record of one version."""
    return f"{kind}/{id_}@{version}"


def channel_key_key(hash_: str) -> str:
    """The Kafka key of a channel key's record."""
    return f"{CHANNEL_KEY}/{hash_}"


def key_change_key(id_: str) -> str:
    """The Kafka key of one record of a change of a key: the event's own id, so that compaction, which keeps
    the newest record of each key, keeps every one."""
    return f"key_change/{id_}"


def activation_key(version: str) -> str:
    """The Kafka key of a version's activation."""
    return f"activated/{version}@{version}"


def hash_of_key(secret: str) -> str:
    """What the registry holds of a channel key: SHA-256, hex. Keys are random, so no salt is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def digest_of(records: Iterable[tuple[str, Struct]]) -> str:
    """The digest of records as they are about to be written; see `digest_of_written`."""
    return digest_of_written((kind, record.id, msgspec.json.encode(record)) for kind, record in records)  # type: ignore[attr-defined]


def digest_of_written(records: Iterable[tuple[str, str, bytes]]) -> str:
    """SHA-256 (hex) over the kind, id and JSON of all records, in the order of (kind, id).

    Over the JSON as it was written, never as a reader's models understand it: a reader that knows a field
    more, or less, than the writer finds the same digest. Only the keys of objects within a record are sorted.
    """
    lines = sorted(f"{kind}\x1f{id_}\x1f".encode() + _canonical(value) for kind, id_, value in records)
    whole = hashlib.sha256()
    for line in lines:
        whole.update(line + b"\n")
    return whole.hexdigest()


def _canonical(value: bytes) -> bytes:
    if value.count(b"{") == 1:  # most records: nothing to sort, and to read it again would cost seconds
        return value
    fields = msgspec.json.decode(value, type=dict[str, Any])
    encode = msgspec.json.Encoder(order="deterministic").encode
    return b"{" + b",".join(encode(name) + b":" + encode(within) for name, within in fields.items()) + b"}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One whole version of the city, in memory: each kind by id. Treat as immutable."""

    version: str
    city: City
    regions: Mapping[str, Region] = field(default_factory=dict)
    grids: Mapping[str, Grid] = field(default_factory=dict)
    stations: Mapping[str, Station] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    deputies: Mapping[str, Deputy] = field(default_factory=dict)
    mandates: Mapping[str, Mandate] = field(default_factory=dict)
    duties: Mapping[str, Duty] = field(default_factory=dict)
    leaves: Mapping[str, Leave] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    departments: Mapping[str, Department] = field(default_factory=dict)
    staff: Mapping[str, Staff] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)


_PLURAL = {
    "region": "regions", "grid": "grids", "station": "stations", "topic": "topics", "deputy": "deputies",
    "mandate": "mandates", "duty": "duties", "leave": "leaves", "calendar": "calendars", "policy": "policies",
    "department": "departments", "staff": "staff", "channel": "channels",
}  # fmt: skip


def pairs_of(city: Snapshot) -> list[tuple[str, Struct]]:
    """Every (kind, record) pair of `city`: what `assemble` puts together."""
    tables = {kind: getattr(city, plural) for kind, plural in _PLURAL.items()}
    return [("city", city.city)] + [(kind, record) for kind in tables for record in tables[kind].values()]


class Incomplete(Exception):
    """The records of a version do not make up what its activation says; `str()` says what differs."""


def counts_of(records: Iterable[tuple[str, Struct]]) -> dict[str, int]:
    """How many records there are of each kind."""
    counts: dict[str, int] = {}
    for kind, _ in records:
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def assemble(
    version: str,
    records: Iterable[tuple[str, Struct]],
    activated: Activated | None,
    digest: str | None = None,
) -> Snapshot:
    """Put the (kind, record) pairs of one version together.

    Raises `Incomplete` where counts or digest differ from `activated` (None: not checked, for tests and
    files), or where there is not exactly one city. `digest` is that of the records as they were written, for
    a reader; without it they are taken to be unwritten yet.
    """
    pairs = list(records)
    if activated is not None:
        counts = counts_of(pairs)
        if counts != activated.counts:
            raise Incomplete(f"version {version}: counts {counts}, activated with {activated.counts}")
        if (digest or digest_of(pairs)) != activated.digest:
            raise Incomplete(f"version {version}: digest differs from the activated one")
    cities = [record for kind, record in pairs if kind == "city"]
    if len(cities) != 1:
        raise Incomplete(f"version {version}: {len(cities)} city records, expected one")
    tables: dict[str, dict[str, Struct]] = {plural: {} for plural in _PLURAL.values()}
    for kind, record in pairs:
        if kind != "city":
            tables[_PLURAL[kind]][record.id] = record  # type: ignore[attr-defined]
    return Snapshot(version=version, city=cities[0], **tables)  # type: ignore[arg-type]
