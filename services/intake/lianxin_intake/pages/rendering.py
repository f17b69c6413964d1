"""The residents' pages: their templates and texts, and how a problem is told on them."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis import problems
from lianxin_chassis.pages import (
    Language,
    Look,
    Pages,
    day,
    day_and_time,
    days_until,
    look_of,
    wants_json,
)
from lianxin_chassis.problems import ProblemError

__all__ = [
    "STATIC", "TEXTS", "Look", "PageRoute", "day", "day_and_time", "days_until", "fault_text", "home",
    "look_of", "message", "page", "problem_page", "text", "wants_json",
]  # fmt: skip

HERE = Path(__file__).parent
STATIC = HERE / "static"
# The residents' pages, and those of the desk.
_pages = Pages(HERE, ("texts.toml", "desk.toml"), kept=("id", "code", "r", "station"), permissions="(self)")
TEXTS = _pages.texts
text = _pages.text
page = _pages.page


def home(look: Look, station: str) -> str:
    """The page of `station` as whoever comes next should find it."""
    return Look(kiosk=look.kiosk).address(f"/s/{station}")


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
