"""One row made an opinion, and what became of it there: pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from lianxin_contracts.envelope import rfc3339
from lianxin_contracts.inbound import Outcome, Score
from lianxin_local.replay.mapping import Columns
from lianxin_local.replay.moments import instant
from lianxin_local.replay.rows import Numbered

SCORES: dict[str, Score] = {
    "satisfied": "satisfied", "满意": "satisfied", "basically": "basically", "基本满意": "basically",
    "dissatisfied": "dissatisfied", "不满意": "dissatisfied",
}  # fmt: skip
OUTCOMES: tuple[Outcome, ...] = ("solved", "planned", "explained", "referred", "duplicate", "invalid")
NO_ANSWER = "（原记录没有附答复。）"


class Unusable(Exception):
    """A row that can't be played; `column` says where, `str()` what is wrong and what to do."""

    def __init__(self, column: str, what: str) -> None:
        super().__init__(what)
        self.column = column


class Answers(Struct, frozen=True):
    """What became of an opinion, each at its own instant (UTC, in the order of the fields); `resolved` None:
    nothing did."""

    accepted: datetime
    resolved: datetime
    answered: datetime | None = None
    rated: datetime | None = None
    answer: str = NO_ANSWER
    outcome: Outcome = "solved"
    score: Score | None = None
    comment: str | None = None


class Entry(Struct, frozen=True):
    """A row as it is played: the body to post, when (None: now), and what became of it."""

    row: int
    body: dict[str, Any]
    at: datetime | None = None
    answers: Answers | None = None

    @property
    def name(self) -> str:
        """What makes a repeat of this opinion, and of what is done on it, count once."""
        return str(self.body["external_id"])


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are read. `prefix` begins the external ids of rows that have none of their own; `accept_after`
    is how long after its submission a case is accepted where the file doesn't say; a station is drawn from
    `stations` where there are some and the row names none."""

    columns: Columns
    prefix: str
    zone: ZoneInfo
    event_time: bool = False
    written: str | None = None
    crs: str = "wgs84"
    language: str | None = None
    stations: Sequence[str] = ()
    seed: int = 1
    accept_after: timedelta = timedelta(hours=1)
    outcome: Outcome = "solved"

    def entry(self, row: Numbered) -> Entry:
        """What `row` says. Raises `Unusable`."""
        at = self._at(row, "time") if self.event_time else None
        if self.event_time and at is None:
            raise Unusable(
                self._column("time"), "no time: fill it in, or leave the row out with --skip-unusable"
            )
        body = self._body(row)
        if at is not None:
            body["occurred_at"] = rfc3339(at)
        return Entry(row.number, body, at, None if at is None else self._answers(row, at))

    def _body(self, row: Numbered) -> dict[str, Any]:
        value = self.columns.value
        title = " ".join(value(row.values, "title").split())
        body: dict[str, Any] = {"text": value(row.values, "text") or title}
        own = value(row.values, "external_id")
        body["external_id"] = own or f"{self.prefix}-{row.number}"
        if title:
            body["title"] = title
        for field in ("station", "grid", "topic", "address"):
            if found := " ".join(value(row.values, field).split()):
                body[field] = found
        if "station" not in body and self.stations:
            body["station"] = random.Random(f"{self.seed}/{row.number}").choice(self.stations)
        if (place := self._place(row)) is not None:
            body["location"] = place
        if self.language is not None:
            body["language"] = self.language
        return body

    def _place(self, row: Numbered) -> dict[str, Any] | None:
        lat, lon = self._degrees(row, "lat"), self._degrees(row, "lon")
        # 0°, 0° lies in the Gulf of Guinea: what computers write where they know no place.
        if lat is None or lon is None or (lat == 0 and lon == 0):
            return None
        return {"lat": lat, "lon": lon, "crs": self.crs}

    def _degrees(self, row: Numbered, field: str) -> float | None:
        text = self.columns.value(row.values, field)
        try:
            return float(text) if text else None
        except ValueError:
            raise Unusable(self._column(field), f"{text[:40]!r} is no number of degrees") from None

    def _answers(self, row: Numbered, opened: datetime) -> Answers | None:
        resolved = self._at(row, "resolved_at")
        if resolved is None:
            return None
        if resolved < opened:
            raise Unusable(
                self._column("resolved_at"), "resolved before it was submitted: mend one of the times"
            )
        accepted = self._at(row, "accepted_at") or min(opened + self.accept_after, resolved)
        answered = self._at(row, "answered_at")
        rated = self._at(row, "rated_at")
        score = self._score(row)
        if not opened <= accepted <= resolved:
            raise Unusable(
                self._column("accepted_at"), "accepted before it was submitted or after it was resolved"
            )
        if answered is not None and not accepted <= answered <= resolved:
            raise Unusable(
                self._column("answered_at"), "answered before it was accepted or after it was resolved"
            )
        if rated is not None and rated < resolved:
            raise Unusable(self._column("rated_at"), "rated before it was resolved")
        value = self.columns.value
        return Answers(
            accepted=accepted,
            resolved=resolved,
            answered=answered,
            rated=None if score is None else rated or resolved,
            answer=value(row.values, "answer") or NO_ANSWER,
            outcome=self._outcome(row),
            score=score,
            comment=value(row.values, "comment") or None,
        )

    def _score(self, row: Numbered) -> Score | None:
        text = self.columns.value(row.values, "score")
        if text and text not in SCORES:
            raise Unusable(self._column("score"), f"{text[:40]!r} is none of {', '.join(SCORES)}")
        return SCORES[text] if text else None

    def _outcome(self, row: Numbered) -> Outcome:
        text = self.columns.value(row.values, "outcome")
        if not text:
            return self.outcome
        if text not in OUTCOMES:
            raise Unusable(self._column("outcome"), f"{text[:40]!r} is none of {', '.join(OUTCOMES)}")
        return text

    def _at(self, row: Numbered, field: str) -> datetime | None:
        text = self.columns.value(row.values, field)
        if not text:
            return None
        try:
            return instant(text, self.zone, self.written)
        except (ValueError, OverflowError) as error:
            raise Unusable(self._column(field), f"{error} with --time-format, or mend it") from None

    def _column(self, field: str) -> str:
        return "+".join(self.columns.of.get(field, (field,)))
