"""The published figures computed again from the raw log, by the words of docs/metrics.md and nothing else:
plain Python over the records' headers and JSON. Shares no code with the service; see invariant 11.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
HOURS = (1, 4, 8, 24, 48, 72, 120, 168, 360, 720, 1440, 2160, 4320, 8760)
STAGE_AFTER = {
    "opinion.submitted": "submitted", "opinion.triaged": "triage", "opinion.assigned": "assigned",
    "opinion.accepted": "accepted", "opinion.progressed": "in_progress", "opinion.handed_over": "in_progress",
    "opinion.paused": "in_progress", "opinion.resolved": "resolved", "opinion.rated": "rated",
    "opinion.closed": "closed", "opinion.returned": "submitted", "opinion.taken_back": "submitted",
    "opinion.transferred": "submitted",
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """One record of the log: which case, which event, when (ms), and its JSON."""

    case: str
    sequence: int
    type: str
    at: int
    data: dict[str, Any]


def said(key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]) -> Said:
    texts = {name: raw.decode() for name, raw in headers}
    time = datetime.fromisoformat(texts["ce_time"])
    return Said(
        case=key.decode(),
        sequence=int(texts["ce_sequence"]),
        type=texts["ce_type"],
        at=(time - EPOCH) // timedelta(milliseconds=1),
        data=json.loads(value),
    )


@dataclass
class Published:
    """What Prometheus must show: `samples[(metric, labels)]`, and the raw values behind each histogram."""

    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    values: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = field(default_factory=dict)


def by_case(log: Iterable[Said]) -> dict[str, list[Said]]:
    """Each case's events once, in order: a repeated record is the same event."""
    cases: dict[str, dict[int, Said]] = defaultdict(dict)
    for record in log:
        cases[record.case][record.sequence] = record
    return {case: [events[number] for number in sorted(events)] for case, events in cases.items()}


def published(log: Iterable[Said]) -> Published:
    """Every figure that the service exports, from the whole log."""
    out = Published()
    stages: Counter[tuple[str, str]] = Counter()
    types: Counter[str] = Counter()
    scores: Counter[str] = Counter(satisfied=0, basically=0, dissatisfied=0)
    values: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = defaultdict(list)
    for events in by_case(log).values():
        types.update(event.type for event in events)
        scores.update(event.data["score"] for event in events if event.type == "opinion.rated")
        submitted = next(event.at for event in events if event.type == "opinion.submitted")
        stages[_stage(events), _place(events)[0]] += 1
        for metric, event, extra in _observed(events):
            district, topic = _place([e for e in events if e.sequence <= event.sequence])
            labels = {"district": district, "topic": topic, **extra}
            at = event.at
            if metric == "final_closure":
                at = [e for e in events if e.type == "opinion.resolved" and e.sequence < event.sequence][
                    -1
                ].at
            values[f"lianxin_{metric}_seconds", tuple(sorted(labels.items()))].append(at - submitted)
    for (stage, district), count in stages.items():
        out.samples["lianxin_cases", (("district", district), ("stage", stage))] = count
    for type_, count in types.items():
        out.samples["lianxin_opinion_events_total", (("type", type_),)] = count
    for score, count in scores.items():
        out.samples["lianxin_ratings_total", (("score", score),)] = count
    for (metric, labels), found in values.items():
        out.values[metric, labels] = found
        out.samples[f"{metric}_count", labels] = len(found)
        out.samples[f"{metric}_sum", labels] = sum(found) / 1000
        for hours in HOURS:
            bounded = tuple(sorted((*labels, ("le", str(hours * 3600)))))
            out.samples[f"{metric}_bucket", bounded] = sum(ms <= hours * 3_600_000 for ms in found)
        out.samples[f"{metric}_bucket", tuple(sorted((*labels, ("le", "inf"))))] = len(found)
    return out


def _observed(events: list[Said]) -> Iterable[tuple[str, Said, dict[str, str]]]:
    accepted = [e for e in events if e.type == "opinion.accepted"]
    if accepted:
        yield "acknowledge", accepted[0], {}
    responses = [
        e
        for e in events
        if e.type in ("opinion.answered", "opinion.resolved")
        and e.data["actor"]["kind"] in ("deputy", "staff")
    ]
    if responses:
        yield "first_response", responses[0], {}
    resolved = [e for e in events if e.type == "opinion.resolved"]
    if resolved:
        yield "closure", resolved[0], {"outcome": resolved[0].data["outcome"]}
    closed = [e for e in events if e.type == "opinion.closed"]
    if closed:
        before = [e for e in resolved if e.sequence < closed[0].sequence]
        if before:
            yield "final_closure", closed[0], {"outcome": before[-1].data["outcome"]}


def _stage(events: list[Said]) -> str:
    stage = ""
    for event in events:
        if event.type == "opinion.reopened":
            stage = "in_progress" if event.data["assignee"] else "submitted"
        else:
            stage = STAGE_AFTER.get(event.type, stage)
    return stage


def _place(events: list[Said]) -> tuple[str, str]:
    placed = [e.data for e in events if e.type in ("opinion.assigned", "opinion.triaged")]
    if not placed:
        return "unknown", "unknown"
    last = placed[-1]
    return last.get("district") or "unknown", last.get("first_level") or last.get("topic") or "unknown"
