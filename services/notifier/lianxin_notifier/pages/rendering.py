"""The workbench's pages: their templates and texts, who looks at them, and how a problem is told on them."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute
from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis import problems
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage, outage
from lianxin_chassis.pages import Language, Pages, look_of, wants_json
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.context import Notifier
from lianxin_notifier.signins import Signed

log = get_logger(__name__)

HERE = Path(__file__).parent
STATIC = HERE / "static"
_pages = Pages(HERE, kept=("command", "stage", "to", "fault", "out"))
TEXTS = _pages.texts
text = _pages.text


class SignInNeeded(Exception):
    """Nobody is signed in, and the page is somebody's."""


def page(
    template: str,
    request: Request,
    signed: Signed | None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response:
    """The page that `template` makes of `values` for whoever is signed in. Forms' senders are checked, so the
    referrer stays within our own pages."""
    return _pages.page(
        template, request, status=status, referrer="same-origin", headers=headers, signed=signed, **values
    )


def known(key: str, language: Language, otherwise: str) -> str:
    """The text `key`, or `otherwise` for a code that has none (yet)."""
    found = TEXTS.get(key)
    return otherwise if found is None else found[language]


async def visitor(notifier: Notifier, request: Request) -> Signed:
    """Who looks at a page. Raises `SignInNeeded`."""
    signed = await notifier.signins.signed(request)
    if signed is None:
        raise SignInNeeded
    return signed


def message(error: ProblemError, language: Language) -> str:
    """What happened and what to do, in one sentence or two."""
    return known(f"problem.{error.code}", language, text("problem.any", language))


def problem_response(request: Request, error: ProblemError) -> Response:
    """`error` as a page; as a problem document for our script."""
    shown = message(error, look_of(request).language)
    if wants_json(request):
        extra = {**error.extra, "shown": shown}
        return problems.problem(
            error.status, error.code, error.title, error.detail, headers=error.headers, **extra
        )
    headers = dict(error.headers or {})
    return page(
        "problem.html", request, None, status=error.status, headers=headers, message=shown, code=error.code
    )


class PageRoute(APIRoute):
    """A route of a page: no parsing by FastAPI; problems are pages too, and strangers are sent to sign in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself, with its problems shown."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint

        async def handler(request: Request) -> Response:
            try:
                return await endpoint(request)
            except ProblemError as error:
                return problem_response(request, error)
            except SignInNeeded:
                return _to_sign_in(request)
            except (PyMongoError, Outage) as error:
                if outage(error) is None:
                    raise
                log.warning("a page is answered with 503", error=type(error).__name__)
                away = ProblemError(
                    503, "unavailable", "This can't be read now", headers={"Retry-After": "3"}
                )
                return problem_response(request, away)

        return handler


def _to_sign_in(request: Request) -> Response:
    if wants_json(request):
        return problem_response(request, ProblemError(401, "signed_out", "Nobody is signed in"))
    address = look_of(request).address("/signin", to=request.url.path)
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
