"""`GET /v1/opinions/{id}`: where an opinion stands, for its channel or for whoever holds its tracking
code."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_intake.context import Intake, json_response
from lianxin_intake.documentation import VIEW_EXAMPLE, problems
from lianxin_intake.projection import Tracked
from lianxin_intake.residents import opinion_of
from lianxin_intake.rights import caller_of, city_of
from lianxin_intake.sentences import language_of
from lianxin_intake.store import unreadable
from lianxin_intake.views import not_yet_projected, view

log = get_logger(__name__)

# A code may stand in the address of the page that leads away from here.
_PRIVATE = {"Referrer-Policy": "no-referrer", "Vary": "Accept-Language, Authorization"}
_RETRY_AFTER_S = 5


def following_routes(intake: Intake) -> APIRouter:
    """The route by which an opinion is followed."""
    routes = APIRouter(tags=["opinions"])

    @routes.get(
        "/v1/opinions/{opinion_id}",
        responses={
            200: {"content": {"application/json": {"example": VIEW_EXAMPLE}}},
            **{int(status): extra for status, extra in problems(401, 403, 404, 429, 503).items()},
        },
    )
    async def follow(
        request: Request,
        opinion_id: str,  # noqa: ARG001 - for /docs; the id is read by opinion_of
        code: Annotated[str | None, Query(max_length=64, description="The tracking code.")] = None,
    ) -> Response:
        """Where the opinion stands, with its timeline. Needs the key of the channel that sent it, or
        `?code=`.

        An opinion that was accepted a moment ago is in stage `submitted`. Texts are Chinese, or English
        with `Accept-Language: en`; times are UTC; `due` is when the answer is due.
        """
        id_ = opinion_of(request)
        channel = None
        if code is not None:
            intake.opening.require(request, id_, code, "read")
        else:
            channel = caller_of(
                request.headers.get("authorization"), intake.registry, city_of(intake.registry)
            ).channel.id
        with told_when_unreadable():
            tracked, words = await read_tracked(intake, id_)
        return json_response(200, _view(intake, request, id_, channel, tracked, words), _PRIVATE)

    return routes


@contextmanager
def told_when_unreadable() -> Iterator[None]:
    """Turns a projection that can't be read now into a 503 that says so."""
    try:
        yield
    except Exception as error:
        if not unreadable(error):
            raise
        log.warning("the projection can't be read", error=repr(error))
        raise ProblemError(
            503,
            "projection_unavailable",
            "The state of opinions can't be read at the moment",
            f"Opinions are accepted all the same. Ask again in {_RETRY_AFTER_S} seconds.",
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        ) from None


async def read_tracked(intake: Intake, id_: str) -> tuple[Tracked | None, dict[str, str]]:
    """What the projection holds of opinion `id_`, and the words of its steps by part; None where it was not
    submitted yet. Raises what `TrackingStore` raises."""
    store = await intake.tracking.store()
    tracked = await store.find(id_)
    if tracked is None or not tracked.opened:
        return None, {}
    parts = [step.words for step in tracked.timeline if step.words is not None]
    words = await store.words(id_, parts) if parts and not tracked.erased else {}
    return tracked, words


def _view(
    intake: Intake,
    request: Request,
    id_: str,
    channel: str | None,
    tracked: Tracked | None,
    words: dict[str, str],
) -> dict[str, Any]:
    """What to answer. `channel` None: the code was right. Raises 403 for another channel's opinion."""
    remembered = intake.recent.get(id_)
    owner = tracked.channel if tracked is not None else remembered.channel if remembered is not None else None
    if channel is not None and owner is not None and owner != channel:
        raise ProblemError(
            403,
            "another_channel",
            "Another channel sent this opinion",
            "Use the key of the channel that sent it, or ?code= with its tracking code.",
        )
    if tracked is None:
        return not_yet_projected(id_, remembered.submitted_at if remembered is not None else minted_at(id_))
    language = language_of(request.headers.get("accept-language"), tracked.language)
    return view(tracked, words, language, intake.registry.current)


def minted_at(id_: str) -> datetime | None:
    """When a UUIDv7 was made: its first 48 bits are milliseconds (RFC 9562). None for another version."""
    parsed = uuid.UUID(id_)
    if parsed.version != 7:
        return None
    try:
        return datetime.fromtimestamp((parsed.int >> 80) / 1000, UTC)
    except (OverflowError, ValueError):  # a made-up id
        return None
