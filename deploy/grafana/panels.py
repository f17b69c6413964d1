"""A dashboard as values, and as the JSON that Grafana reads. `draw.py` draws the same values.

Own code and not a library: what we use of Grafana's format is on this page, and a drawing program needs the
panels as values anyway (docs/decisions/0006-deployment.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["stat", "lines", "bars"]
Json = dict[str, Any]
Threshold = tuple[float, str]

WIDTH = 24
# What Grafana called its dashboard format in version 12; it migrates older ones itself.
SCHEMA = 41
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED, BLUE, PURPLE = "green", "yellow", "red", "blue", "purple"


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression. `legend` names its series, with labels as `{{label}}`. It may use `$district`
    (a regular expression) and `$__rate_interval` (a duration)."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `unit` is Grafana's name of it (`s`, `short`, `percentunit`, `ops`, `bytes`); `thresholds`
    are (from this value on, colour), ascending, over a `base` colour; `names` says how a series that is
    called so is shown, `colours` in which colour; `stacked` piles lines up; `logarithmic` takes base 10."""

    title: str
    kind: Kind
    queries: tuple[Query, ...]
    width: int
    height: int
    about: str
    unit: str = "short"
    base: str = GREEN
    thresholds: tuple[Threshold, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    stacked: bool = False
    logarithmic: bool = False
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it, which fill the 24 columns from left to right, line by line."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a row's heading (`panel` None) or a panel stands, in Grafana's grid units from the top left."""

    x: int
    y: int
    width: int
    height: int
    title: str
    panel: Panel | None


def layout(rows: Sequence[Row]) -> list[Placed]:
    """Where everything stands. Raises ValueError for a line of panels that is wider than the grid or leaves
    a gap."""
    placed: list[Placed] = []
    y = 0
    for row in rows:
        placed.append(Placed(0, y, WIDTH, 1, row.title, None))
        y += 1
        x, tallest = 0, 0
        for panel in row.panels:
            if x == WIDTH:
                x, y, tallest = 0, y + tallest, 0
            if x + panel.width > WIDTH:
                raise ValueError(f"{row.title}: {panel.title} does not fit into its line")
            placed.append(Placed(x, y, panel.width, panel.height, panel.title, panel))
            x, tallest = x + panel.width, max(tallest, panel.height)
        if x != WIDTH:
            raise ValueError(f"{row.title}: the last line is {x} of {WIDTH} columns wide")
        y += tallest
    return placed


def dashboard(uid: str, title: str, rows: Sequence[Row], links: Sequence[Json] = ()) -> Json:
    """The dashboard as Grafana imports it."""
    placed = layout(rows)
    return {
        "uid": uid,
        "title": title,
        "tags": ["lianxin"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "links": list(links),
        "templating": {"list": [_datasource_choice(), _district_choice()]},
        "panels": [_heading(n, at) if at.panel is None else _panel(n, at) for n, at in enumerate(placed, 1)],
    }


def _datasource_choice() -> Json:
    return {
        "name": "datasource",
        "label": "数据源 · Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _district_choice() -> Json:
    return {
        "name": "district",
        "label": "区县 · District",
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": "label_values(lianxin_cases, district)", "refId": "districts"},
        "definition": "label_values(lianxin_cases, district)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }


def _place(at: Placed) -> Json:
    return {"x": at.x, "y": at.y, "w": at.width, "h": at.height}


def _heading(number: int, at: Placed) -> Json:
    return {
        "id": number,
        "type": "row",
        "title": at.title,
        "collapsed": False,
        "gridPos": _place(at),
        "panels": [],
    }


def _panel(number: int, at: Placed) -> Json:
    panel = at.panel
    assert panel is not None
    return {
        "id": number,
        "type": {"stat": "stat", "lines": "timeseries", "bars": "bargauge"}[panel.kind],
        "title": panel.title,
        "description": panel.about,
        "gridPos": _place(at),
        "datasource": DATASOURCE,
        "targets": [_target(panel, place, query) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind],
    }


def _target(panel: Panel, place: int, query: Query) -> Json:
    instant = panel.kind != "lines"
    return {
        "refId": chr(ord("A") + place),
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "instant": instant,
        "range": not instant,
    }


def _defaults(panel: Panel) -> Json:
    steps = [{"color": panel.base, "value": None}, *({"color": c, "value": v} for v, c in panel.thresholds)]
    told: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        # A service that is away is no zero.
        "noValue": "–",
    }
    if panel.decimals is not None:
        told["decimals"] = panel.decimals
    if panel.kind == "lines":
        told["color"] = {"mode": "palette-classic"}
        told["custom"] = {
            "lineWidth": 2,
            "fillOpacity": 60 if panel.stacked else 8,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "scaleDistribution": {"type": "log", "log": 10} if panel.logarithmic else {"type": "linear"},
            "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        }
        if not panel.logarithmic:
            told["min"] = 0
    else:
        told["color"] = {"mode": "thresholds"}
    if panel.kind == "bars":
        told["min"] = 0
    return told


def _overrides(panel: Panel) -> list[Json]:
    return [
        {
            "matcher": {"id": "byName", "options": series},
            "properties": [{"id": "displayName", "value": shown}, *_colour(panel.colours.get(series))],
        }
        for series, shown in panel.names.items()
    ]


def _colour(colour: str | None) -> list[Json]:
    return [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}] if colour else []


_OPTIONS: Mapping[Kind, Json] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
    },
    "lines": {
        "legend": {
            "displayMode": "list",
            "placement": "bottom",
            "showLegend": True,
            "calcs": ["lastNotNull"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "bars": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
        "valueMode": "color",
    },
}
