"""`/sw.js`: the worker that shows the list and opened cases without a line, the page for what was not kept,
and the mark by which the worker knows what it may keep."""

import hashlib

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_notifier.pages.rendering import HERE, STATIC, PageRoute, page
from lianxin_notifier.people import Person

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
}
# Of the wall screen, which the worker does not serve; and the worker itself.
_NOT_KEPT = ("duty.css", "duty.js", "sw.js")


def keepable(person: Person) -> dict[str, str]:
    """The header that lets the worker keep a page of `person`'s; one with a contact on it never gets it."""
    return {"Lianxin-Keep": hashlib.sha256(person.id.encode()).hexdigest()[:16]}


def version() -> str:
    """A digest over templates, texts, scripts and styles: with any of them the worker's text changes, and
    that is how a browser notices."""
    kinds = {".html", ".toml", ".js", ".css", ".svg"}
    whole = hashlib.sha256()
    for path in sorted(path for path in HERE.rglob("*") if path.suffix in kinds):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def offline_routes() -> APIRouter:
    """The worker's script, at the root, since its scope lies below where it stands; and the page for a case
    that was never opened here."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    kept = sorted(f"/static/{path.name}" for path in STATIC.iterdir() if path.name not in _NOT_KEPT)
    script = (STATIC / "sw.js").read_text("utf-8")
    script = script.replace("shell-VERSION", f"shell-{version()}").replace("['KEPT']", str(kept))

    @routes.get("/sw.js")
    async def worker(_: Request) -> Response:
        """The worker, to be asked for anew each time."""
        return Response(script, media_type="text/javascript", headers=_HEADERS)

    @routes.get("/inbox/away")
    async def away(request: Request) -> Response:
        """What is shown without a line where nothing was kept. Nothing in it is anybody's."""
        return page("away.html", request, None)

    return routes
