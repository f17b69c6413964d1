"""Errors as `application/problem+json` (RFC 9457), the same on every HTTP surface."""

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lianxin_chassis.logs import get_logger

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

_CODES = {
    401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 409: "conflict",
    413: "too_large", 415: "unsupported_media_type", 429: "too_many_requests", 503: "unavailable",
}  # fmt: skip


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "status", "code", "title"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "for programs; `title` and `detail` are for people"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
    },
}


def documented(meaning: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses` say of the problems that it may answer with, status by status."""
    return {
        status: {"description": said, "content": {MEDIA_TYPE: {"schema": SCHEMA}}}
        for status, said in meaning.items()
    }


def problem(
    status: int,
    code: str,
    title: str,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    """A problem document. `code` is for programs, `title` and `detail` are for people; `extra` members are
    added as they are."""
    body: dict[str, Any] = {"type": f"urn:lianxin:problem:{code}", "status": status, "code": code}
    body["title"] = title
    if detail:
        body["detail"] = detail
    return JSONResponse(
        body | extra, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers) if headers else None
    )


class ProblemError(Exception):
    """Raised anywhere below a route to answer with a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{status} {code}: {title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = headers
        self.extra = extra


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem: those raised here, failed validation (400 where the body is
    no JSON, 422 where a field is wrong), unknown routes and methods, and what nobody expected (500, logged
    under an id that the answer names; nothing else of it is shown)."""

    @app.exception_handler(ProblemError)
    async def on_problem(_: Request, error: ProblemError) -> JSONResponse:
        return problem(
            error.status, error.code, error.title, error.detail, headers=error.headers, **error.extra
        )

    @app.exception_handler(RequestValidationError)
    async def on_validation(_: Request, error: RequestValidationError) -> JSONResponse:
        # Only place and message: the input itself may be a resident's words or contact.
        found = [{"at": list(e["loc"]), "message": e["msg"], "kind": e["type"]} for e in error.errors()]
        if any(e["kind"] == "json_invalid" for e in found):
            return problem(400, "malformed", "The body is no JSON", errors=found)
        return problem(422, "invalid", "A field is missing or wrong", errors=found)

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> JSONResponse:
        title = HTTPStatus(error.status_code).phrase
        detail = error.detail if error.detail != title else ""
        return problem(
            error.status_code, _CODES.get(error.status_code, "error"), title, detail, headers=error.headers
        )

    @app.exception_handler(Exception)
    async def on_unexpected(request: Request, error: Exception) -> JSONResponse:
        reference = str(uuid.uuid4())
        # The route's template, not its path: a path may hold a tracking code.
        route = getattr(request.scope.get("route"), "path", "unknown")
        log.error("unexpected error", reference=reference, method=request.method, route=route, exc_info=error)
        return problem(500, "internal", "Something went wrong on our side", reference=reference)
