"""Templates, texts in two languages, and the headers that every page carries."""

import tomllib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lianxin_chassis import problems
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot
from lianxin_intake.sentences import Language

HERE = Path(__file__).parent
STATIC = HERE / "static"
TEXTS: dict[str, dict[str, str]] = tomllib.loads((HERE / "texts.toml").read_text("utf-8"))

# Nothing from anywhere else, and no page of ours in another's frame.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "
    "data:; connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "geolocation=(self), camera=(self), microphone=(self)",
    "Cache-Control": "no-store",
}

_WEEKDAYS = {"zh": "一二三四五六日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is to look: Chinese first, English on switching; `large` type; `kiosk`: on a device that
    many people use. Carried in addresses."""

    language: Language = "zh"
    large: bool = False
    kiosk: bool = False

    def address(self, path: str, **more: str) -> str:
        """`path` with this look and the parameters `more`."""
        query = dict(more)
        if self.language != "zh":
            query["lang"] = self.language
        if self.large:
            query["size"] = "large"
        if self.kiosk:
            query["kiosk"] = "1"
        return f"{path}?{urlencode(query)}" if query else path

    def home(self, station: str) -> str:
        """The page of `station` as whoever comes next should find it."""
        return Look(kiosk=self.kiosk).address(f"/s/{station}")

    def other_language(self) -> "Look":
        """The same in the other language."""
        return replace(self, language="en" if self.language == "zh" else "zh")

    def other_size(self) -> "Look":
        """The same in the other size."""
        return replace(self, large=not self.large)


def look_of(request: Request) -> Look:
    """The look that the request's address asks for."""
    query = request.query_params
    return Look(
        "en" if query.get("lang") == "en" else "zh", query.get("size") == "large", query.get("kiosk") == "1"
    )


def text(key: str, language: Language, **values: Any) -> str:
    """The text `key` of texts.toml. Raises KeyError for one that is not there."""
    return TEXTS[key][language].format(**values)


def day(moment: datetime, language: Language, city: Snapshot | None) -> str:
    """The civil day of `moment` in the city, with its weekday: 11月25日（星期三）, Wed 25 Nov 2026."""
    local = _local(moment, city)
    if language == "en":
        return f"{_WEEKDAYS['en'][local.weekday()]} {local.day} {local:%b %Y}"
    return f"{local.year}年{local.month}月{local.day}日（星期{_WEEKDAYS['zh'][local.weekday()]}）"


def day_and_time(moment: datetime, language: Language, city: Snapshot | None) -> str:
    """As `day`, with hours and minutes."""
    return f"{day(moment, language, city)} {_local(moment, city):%H:%M}"


def days_until(moment: datetime, now: datetime, city: Snapshot | None) -> int:
    """Civil days of the city from `now` to `moment`; negative for the past."""
    return (_local(moment, city).date() - _local(now, city).date()).days


def _local(moment: datetime, city: Snapshot | None) -> datetime:
    return moment.astimezone(ZoneInfo(city.city.zone if city is not None else "Asia/Shanghai"))


_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    template: str,
    request: Request,
    *,
    status: int = 200,
    referrer: str = "no-referrer",
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response:
    """The page that `template` makes of `values`, in the look that was asked for. `referrer`: a form whose
    sender is checked needs `same-origin`, since browsers hide the origin otherwise."""
    look = look_of(request)
    html = _templates.get_template(template).render(
        look=look,
        t=lambda key, **given: text(key, look.language, **given),
        path=request.url.path,
        # What a change of the look keeps of the address.
        kept={
            name: value for name, value in request.query_params.items() if name in ("id", "code", "station")
        },
        **values,
    )
    return HTMLResponse(html, status, {**_HEADERS, "Referrer-Policy": referrer, **(headers or {})})


def wants_json(request: Request) -> bool:
    """Whether our own script asks, which shows the answer itself."""
    return request.headers.get("accept", "").startswith("application/json")


def problem_page(request: Request, error: ProblemError) -> Response:
    """`error` in a resident's words; as a problem document for our script."""
    language = look_of(request).language
    shown = message(error, language)
    if wants_json(request):
        found = [
            fault | {"shown": fault_text(fault["code"], language)} for fault in error.extra.get("errors", ())
        ]
        extra = {**error.extra, "errors": found, "shown": shown}
        return problems.problem(
            error.status, error.code, error.title, error.detail, headers=error.headers, **extra
        )
    return page(
        "problem.html", request, status=error.status, headers=dict(error.headers or {}), message=shown
    )


def message(error: ProblemError, language: Language) -> str:
    """What happened and what to do, in one sentence or two."""
    known = TEXTS.get(f"problem.{error.code}")
    return (
        known[language]
        if known
        else text("problem.mistakes" if error.status == 422 else "problem.any", language)
    )


def fault_text(code: str, language: Language) -> str:
    """What is wrong with a field, and how to mend it."""
    return TEXTS.get(f"fault.{code}", TEXTS["fault.any"])[language]


class PageRoute(APIRoute):
    """A route of a page: no parsing by FastAPI, and problems are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself, with its problems shown."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint

        async def handler(request: Request) -> Response:
            try:
                return await endpoint(request)
            except ProblemError as error:
                return problem_page(request, error)

        return handler
