"""A fact as it was at an earlier moment."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from msgspec.structs import replace

from lianxin_metrics.facts import Fact, Holding, Pause


class _At(Protocol):
    @property
    def at(self) -> int: ...


_Step = TypeVar("_Step", bound=_At)
_Span = TypeVar("_Span", bound=Holding | Pause)


def as_of(fact: Fact, moment: int) -> Fact | None:
    """`fact` as if its case's events had ended with those of time <= `moment` (ms); None where the opinion
    had not been submitted by then. `sequence`, `newest`, `events` and `observed` stay as they are: no report
    reads them."""
    if fact.submitted is None or fact.submitted > moment:
        return None
    if fact.newest <= moment:
        return fact
    return replace(
        fact,
        stages=_until(fact.stages, moment),
        placements=_until(fact.placements, moment),
        holdings=_spans(fact.holdings, moment),
        accepted=_known(fact.accepted, moment),
        responded=_known(fact.responded, moment),
        resolutions=_until(fact.resolutions, moment),
        ratings=_until(fact.ratings, moment),
        reopens=tuple(at for at in fact.reopens if at <= moment),
        closings=_until(fact.closings, moment),
        returns=_until(fact.returns, moment),
        pauses=_spans(fact.pauses, moment),
        dues=_until(fact.dues, moment),
        breaches=_until(fact.breaches, moment),
    )


def _until(steps: Iterable[_Step], moment: int) -> tuple[_Step, ...]:
    return tuple(step for step in steps if step.at <= moment)


def _spans(spans: Iterable[_Span], moment: int) -> tuple[_Span, ...]:
    return tuple(
        replace(span, until=None) if span.until is not None and span.until > moment else span
        for span in spans
        if span.since <= moment
    )


def _known(at: int | None, moment: int) -> int | None:
    return at if at is not None and at <= moment else None
