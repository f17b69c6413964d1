"""`/sw.js`: the worker that opens a station's page without a line. Its text changes with whatever the pages
are made of, and that is how a browser notices that there is something new."""

import hashlib

from fastapi import APIRouter
from starlette.responses import Response

from lianxin_intake.pages.rendering import HERE, STATIC

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
}


def version() -> str:
    """A digest over templates, texts, scripts and styles."""
    files = sorted(
        path for path in HERE.rglob("*") if path.suffix in {".html", ".toml", ".js", ".css", ".svg"}
    )
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def offline_routes() -> APIRouter:
    """The worker's script. It stands at the root, since its scope lies below where it stands."""
    routes = APIRouter(include_in_schema=False)
    kept = sorted(f"/static/{path.name}" for path in STATIC.iterdir() if path.name != "tracking.js")
    script = (
        (HERE / "templates" / "sw.js")
        .read_text("utf-8")
        .replace("'VERSION'", f"'{version()}'")
        .replace("['KEPT']", str(kept))
    )

    @routes.get("/sw.js")
    async def worker() -> Response:
        """The worker, to be asked for anew each time."""
        return Response(script, media_type="text/javascript", headers=_HEADERS)

    return routes
