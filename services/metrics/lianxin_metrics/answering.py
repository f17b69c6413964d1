"""What `/docs` says of the answers: their forms, problems and examples."""

from typing import Any

from lianxin_chassis.problems import documented
from lianxin_metrics.definitions import VERSION

Responses = dict[int | str, dict[str, Any]]

_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_MAYBE = {"type": ["number", "null"]}
_TIME = {"type": "string", "format": "date-time"}
_WRONG = {422: "A parameter is missing or wrong: no such day, window, grouping or format."}
_AWAY = {503: "The figures are not read yet, or the database is away: ask again after `Retry-After` seconds."}


def _either(schema: Any, example: Any, csv: str) -> dict[str, Any]:
    return {
        "description": "JSON, or CSV where `format=csv` or the Accept header asks for it.",
        "content": {
            "application/json": {"schema": schema, "example": example},
            "text/csv": {"schema": _TEXT, "example": csv},
        },
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_FIGURE = _object(by=_TEXT, group=_TEXT, figure=_TEXT, version=_COUNT, kind=_TEXT, unit=_TEXT)
_FIGURE["properties"] |= dict.fromkeys(("value", "low", "high", "median_ms", "p90_ms"), _MAYBE)
_FIGURE["properties"] |= dict.fromkeys(("n", "numerator", "scale", "sum_ms"), _COUNT)
_EXAMPLE = {
    "report": "day",
    "name": "2026-11-23",
    "zone": "Asia/Shanghai",
    "from": "2026-11-23T00:00:00.000+08:00",
    "to": "2026-11-24T00:00:00.000+08:00",
    "as_of": "2026-11-24T09:30:00.000+08:00",
    "complete": True,
    "definitions": VERSION,
    "figures": [
        {
            "by": "all",
            "group": "all",
            "figure": "submitted",
            "version": 1,
            "kind": "count",
            "basis": "cohort",
            "unit": "opinions",
            "from": "2026-11-23T00:00:00.000+08:00",
            "to": "2026-11-24T00:00:00.000+08:00",
            "value": 17,
        }
    ],
}

REPORT: Responses = {
    200: _either(
        _object(
            **{"report": _TEXT, "name": _TEXT, "zone": _TEXT, "from": _TIME, "to": _TIME},
            as_of={"type": ["string", "null"], "format": "date-time"},
            complete={"type": "boolean"},
            definitions=_TEXT,
            figures={"type": "array", "items": _FIGURE},
        ),
        _EXAMPLE,
        "report,name,as_of,complete,definitions,by,group,figure,…\r\nday,2026-11-23,…\r\n",
    ),
    **documented(_WRONG | _AWAY),
}

_DEFINITION = _object(id=_TEXT, version=_COUNT, kind=_TEXT, unit=_TEXT, zh=_TEXT, en=_TEXT, formula_en=_TEXT)
DEFINITIONS: Responses = {
    200: _either(
        _object(
            version=_TEXT,
            bases={"type": "object", "additionalProperties": _object(zh=_TEXT, en=_TEXT)},
            figures={"type": "array", "items": _DEFINITION},
            metrics={"type": "array", "items": _DEFINITION},
        ),
        {"version": VERSION, "bases": {}, "figures": [], "metrics": []},
        "id,metric,version,kind,basis,unit,scale,zh,en,…\r\n",
    ),
    **documented(_WRONG),
}


def example(value: str) -> dict[str, Any]:
    """One example of a parameter."""
    return {"for example": {"value": value}}
