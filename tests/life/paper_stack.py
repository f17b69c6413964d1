"""A stack on paper: the router's own decisions, in memory, behind the doors that a player uses."""

import uuid
from collections import Counter
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from lianxin_chassis.records import Record
from lianxin_contracts import codec, ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_contracts.registry import Snapshot
from lianxin_local.city_files import read_city
from lianxin_local.life.habits import Habits
from lianxin_local.life.lives import Life
from lianxin_local.life.texts import our_texts
from lianxin_local.life.town import Town
from lianxin_local.play.cases import Cases
from lianxin_local.play.surface import Receipt, Refused
from lianxin_local.stack import sample_city
from lianxin_notifier.actions import ActionRequest, command
from lianxin_router.city import City
from lianxin_router.desk import Desk
from lianxin_router.domain.case import Case
from lianxin_router.domain.decide import decide
from lianxin_router.routing.cluster import Fingerprinter

CHANNEL = "demo"


@cache
def wuxi() -> Snapshot:
    return read_city(sample_city()).snapshot()


@cache
def town() -> Town:
    return Town(wuxi(), our_texts())


def a_life(habits: Habits = Habits(), seed: int = 1) -> Life:  # noqa: B008  # frozen
    return Life(seed, habits, town(), our_texts())


def noon(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), town().zone).replace(hour=12)


class PaperStack:
    """Says what `Surface` and `Publisher` say; every decision is appended to `log` and read by `readers`."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.cases: dict[str, Case] = {}
        self.said: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.readers: list[Cases] = []
        self._heard: set[str] = set()
        self._commands: dict[str, str | None] = {}
        city = City.of(wuxi(), Fingerprinter(b"0123456789abcdef"))
        self._desk = Desk(city.index)
        self._desk.know_loads(wuxi().deputies, {})
        self._context = city.context(self._desk)

    def read_by(self, cases: Cases) -> None:
        """Have `cases` follow the log, from its start."""
        for record in self.log:
            cases.apply(record)
        self.readers.append(cases)

    # -- Surface

    async def submit(self, body: dict[str, Any], key: str) -> Receipt:
        opinion = ids.opinion_id(CHANNEL, key)
        place = body.get("location")
        said = inbound.Submitted(
            channel=CHANNEL,
            text=body["text"],
            digest="d",
            topic=body.get("topic"),
            station=body.get("station"),
            grid=body.get("grid"),
            place=inbound.Place(place["lat"], place["lon"], "wgs84") if place else None,
            address=body.get("address"),
        )
        self._hear(ids.derived(opinion, "submitted"), "opinion.submitted", opinion, body["occurred_at"], said)
        return Receipt(opinion, f"code of {opinion}")

    async def support(
        self, opinion: str, supporter: str, key: str, *, occurred_at: datetime | None = None
    ) -> None:
        who = uuid.uuid5(uuid.NAMESPACE_OID, supporter).hex
        said = inbound.Supported(who, CHANNEL)
        self._hear(ids.derived(opinion, who), "opinion.supported", opinion, occurred_at, said)

    async def rate(
        self,
        opinion: str,
        tracking_code: str,
        score: str,
        key: str,
        *,
        comment: str | None = None,
        occurred_at: datetime | None = None,
    ) -> str:
        if tracking_code != f"code of {opinion}":
            raise Refused(403, "tracking_code_wrong", "")
        said = inbound.Rated(inbound.Actor("resident", "resident"), score, comment)  # type: ignore[arg-type]
        id_ = ids.derived(opinion, "rated", key)
        self._hear(id_, "opinion.rated", opinion, occurred_at, said)
        return id_

    async def act(
        self, case: str, action: str, as_: str, key: str, occurred_at: datetime | None = None, **fields: Any
    ) -> str:
        kind = "deputy" if as_ in wuxi().deputies else "staff"
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        asked = ActionRequest(action=action, as_=as_, occurred_at=occurred_at, **fields)  # type: ignore[arg-type]
        event = command(case, asked, inbound.Actor(kind, as_), key, datetime.now(UTC))  # type: ignore[arg-type]
        self._decide(event)
        return event.id

    async def command(self, id_: str) -> dict[str, Any]:
        code = self._commands[id_]
        return {"status": "applied"} if code is None else {"status": "refused", "code": code}

    async def opinion(self, opinion: str) -> dict[str, Any]:
        case = self.cases.get(opinion)
        return {"stage": case.stage if case else "submitted", "rating": case.score if case else None}

    # -- Publisher

    async def publish(self, records: list[OutRecord], deadline_s: float = 5.0) -> None:
        for record in records:
            self._decide(codec.decode(record.topic, record.value or b"", record.headers))

    # -- the router

    def _hear(self, id_: str, type_: str, opinion: str, at: datetime | str | None, data: Any) -> None:
        time = datetime.fromisoformat(at) if isinstance(at, str) else at or datetime.now(UTC)
        self._decide(Event(id_, "/intake/demo", type_, opinion, time, datetime.now(UTC), data))

    def _decide(self, said: Event) -> None:
        if said.id in self._heard:
            return
        self._heard.add(said.id)
        self.said[said.type] += 1
        before = self.cases.get(said.subject)
        decision = decide(before, said, self._context)
        self._desk.advance(before, decision.case)
        self.cases[said.subject] = decision.case
        refusal = decision.refusal
        self._commands[said.id] = refusal.code if refusal else None
        if refusal is not None:
            self.refused[f"{said.type}: {refusal.code}"] += 1
        for event in decision.events:
            out = to_record(event, topics.LIFECYCLE, event.subject)
            record = Record(out.topic, 0, len(self.log), out.key, out.value, out.headers, out.timestamp_ms)
            self.log.append(record)
            for cases in self.readers:
                cases.apply(record)
