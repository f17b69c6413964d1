"""`lianxin route explain`: where an opinion would go and why, from a city's files alone, without a stack."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from lianxin_contracts.inbound import Place
from lianxin_contracts.lifecycle import Reason
from lianxin_contracts.registry import Snapshot
from lianxin_local.problem import Problem
from lianxin_local.registry_command import sound_city
from lianxin_local.stack import sample_city
from lianxin_router.domain.ports import Clues, Routed, RouteRequest, ToDeputy
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.route import prepare
from lianxin_router.routing.route import route as decide_route


@click.group()
def route() -> None:
    """Routing: locate, classify, cluster, assign."""


@route.command()
@click.argument("text")
@click.option("--title")
@click.option("--topic", help="The resident's own choice: a topic's code.")
@click.option("--station", help="The station's id.")
@click.option("--grid", help="The grid's code.")
@click.option("--lat", type=click.FloatRange(-90, 90), help="Degrees.")
@click.option("--lon", type=click.FloatRange(-180, 180), help="Degrees.")
@click.option("--crs", type=click.Choice(["wgs84", "gcj02", "bd09"]), default="wgs84", show_default=True)
@click.option("--address")
@click.option("--at", help="The instant of the decision, RFC 3339 (default: now).")
@click.option(
    "--city", type=click.Path(exists=True, path_type=Path), help="The city's files (default: the sample)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(
    text: str,
    title: str | None,
    topic: str | None,
    station: str | None,
    grid: str | None,
    lat: float | None,
    lon: float | None,
    crs: str,
    address: str | None,
    at: str | None,
    city: Path | None,
    as_json: bool,
) -> None:
    """Say who would get an opinion with this TEXT, if nobody had any open case yet."""
    if (lat is None) != (lon is None):
        raise click.UsageError("--lat and --lon go together")
    place = Place(lat, lon, crs) if lat is not None and lon is not None else None  # type: ignore[arg-type]
    clues = Clues(text, title, topic, station, grid, place, address)
    moment = _instant(at)
    snapshot = sound_city(city or sample_city()).snapshot()
    index = CityIndex.of(snapshot)
    asked = RouteRequest("explained", "opinion", moment, moment, "submitted", clues=clues)
    routed = decide_route(asked, index, {}, prepared=prepare(asked, index))
    if as_json:
        kind = "deputy" if isinstance(routed, ToDeputy) else "triage"
        told = {"to": kind, **msgspec.to_builtins(routed)}
        click.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        click.echo("\n".join(in_words(routed, snapshot)))


def _instant(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--at {text!r} is no RFC 3339 time") from None
    if moment.tzinfo is None:
        raise Problem("--at needs a time zone, such as 2026-03-02T10:00:00+08:00", code=2)
    return moment.astimezone(UTC)


def in_words(routed: Routed, city: Snapshot) -> list[str]:
    """The explanation, line by line."""
    told = routed.explanation
    if isinstance(routed, ToDeputy):
        lines = [f"→ {routed.assignee} {_deputy(routed.assignee, city)} ({routed.rung})"]
    else:
        lines = [f"→ triage: {_reasons(routed.reasons)}"]
    located, classified = told.located, told.classified
    grid, topic = city.grids.get(located.grid or ""), city.topics.get(classified.topic or "")
    lines += [
        f"place   {located.grid or '-'} {grid.name if grid else 'nowhere'}, by {located.by}, "
        f"confidence {located.confidence:.2f}: {_reasons(located.evidence)}",
        f"topic   {classified.topic or '-'} {topic.name if topic else 'unknown'}, by {classified.by}, "
        f"confidence {classified.confidence:.2f}: {_reasons(classified.evidence)}",
    ]
    if located.tried:
        lines.insert(2, f"        tried in vain: {', '.join(located.tried)}")
    lines += [f"          {c.score:.2f} {c.topic} {city.topics[c.topic].name}" for c in classified.candidates]
    lines.append("deputies")
    lines += [
        f"          {c.score:5.2f} {c.deputy} {c.level}, {c.load} of {c.cap} cases: {', '.join(c.reasons)}"
        for c in told.candidates
    ]
    lines.append(f"registry {told.registry_version}, rules {told.rules_version}")
    return lines


def _deputy(id_: str, city: Snapshot) -> str:
    known = city.deputies.get(id_)
    if known is None:
        return ""
    station = city.stations.get(known.station or "")
    return known.name + (f", {station.name}" if station is not None else "")


def _reasons(reasons: tuple[Reason, ...]) -> str:
    return ", ".join(
        reason.code
        + (f" ({' '.join(f'{k}={v}' for k, v in reason.values.items())})" if reason.values else "")
        for reason in reasons
    )
