"""`/preferences`: where somebody says how they want to be reached. A plain form; works without scripts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.forms import read_form
from lianxin_chassis.pages import Language, day_and_time, look_of
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.context import Notifier
from lianxin_notifier.pages.rendering import PageRoute, known, page, text, visitor
from lianxin_notifier.preferences import Digest, Preferences, Quiet, channels_of
from lianxin_notifier.reached import Reached, moved, offered, reached
from lianxin_notifier.rights import city_of
from lianxin_notifier.routes_preferences import channels_known, keep

# What the form proposes to whoever switches something on.
PROPOSED_QUIET = Quiet("22:00", "07:00", days_off=True)
PROPOSED_DIGEST = Digest("08:30", 5)
MOST_CHANNELS = 20


def preferences_page_routes(notifier: Notifier) -> APIRouter:
    """The page and what its form sends."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/preferences")
    async def show(request: Request) -> Response:
        signed = await visitor(notifier, request)
        city, language = city_of(notifier.registry), look_of(request).language
        wished = await notifier.preferences.of(signed.person.id)
        known_now = await channels_known(notifier, signed.person.id)
        choices = offered(known_now)
        on = [c for c in channels_of(wished, known_now) if c in choices]
        order = [*on, *(channel for channel in choices if channel not in on)]
        now = reached(signed.person.id, wished, known_now, city, datetime.now(UTC))
        return page(
            "preferences.html",
            request,
            signed,
            rows=[(channel, label(channel, language), channel in on) for channel in order],
            wished=wished,
            quiet=wished.quiet or PROPOSED_QUIET,
            digest=wished.digest or PROPOSED_DIGEST,
            now=in_words(now, language, city),
            saved="saved" in request.query_params,
        )

    @routes.post("/preferences")
    async def save(request: Request) -> Response:
        """Keep all that the form says; a button that moves a channel saves the rest as well."""
        signed = await visitor(notifier, request)
        fields = await read_form(request)
        notifier.signins.require_form(request, signed, fields)
        wished = from_form(fields, await channels_known(notifier, signed.person.id))
        await keep(notifier, signed.person.id, wished, by=signed.person.id)
        place = "#channels" if fields.get("move") else ""
        address = look_of(request).address("/preferences", saved="1") + place
        return RedirectResponse(address, 303, {"Cache-Control": "no-store"})

    return routes


def from_form(fields: Mapping[str, str], known_channels: tuple[str, ...]) -> Preferences:
    """What the form says. Raises 422 for what no such form of ours sends, or a time that is none."""
    order = [fields[f"channel{n}"] for n in range(MOST_CHANNELS) if f"channel{n}" in fields]
    chosen = {fields[f"channel{n}"] for n in range(MOST_CHANNELS) if fields.get(f"on{n}")}
    direction, _, number = fields.get("move", "").partition(":")
    if direction in ("up", "down") and (one := fields.get(f"channel{number}")) is not None:
        order = moved(order, one, -1 if direction == "up" else 1)
    channels = tuple(channel for channel in order if channel in chosen)
    wished = {
        # Whoever leaves everything as it is goes on with the registry, whatever that says later.
        "channels": None if channels == tuple(dict.fromkeys(known_channels)) else channels,
        "quiet": {
            "start": fields.get("quiet_start", PROPOSED_QUIET.start),
            "end": fields.get("quiet_end", PROPOSED_QUIET.end),
            "days_off": "quiet_days_off" in fields,
        }
        if "quiet" in fields
        else None,
        "digest": {
            "at": fields.get("digest_at", PROPOSED_DIGEST.at),
            "or_when": _count(fields.get("digest_when", "0")),
        }
        if "digest" in fields
        else None,
        "language": fields.get("language"),
        "paused_until": fields.get("paused_until"),
    }
    try:
        return msgspec.convert(wished, Preferences)
    except msgspec.ValidationError as error:
        raise ProblemError(422, "preferences_invalid", "A field of the form is wrong", str(error)) from error


def _count(given: str) -> int | str:
    return int(given) if given.isascii() and given.isdigit() else given


def label(channel: str, language: Language) -> str:
    """A channel as its owner knows it: of a URL only the host, for the rest of it may be a secret."""
    kind, _, target = channel.partition(":")
    shown = (urlsplit(target).hostname or "") if kind == "webhook" else target
    name = known(f"channel.{kind}", language, kind)
    return f"{name} {shown}".strip()


def in_words(now: Reached, language: Language, city: Snapshot) -> str:
    """How somebody would be reached now, in a sentence or two."""
    if not now.channels:
        return text("reached.no_channel", language)
    names = [label(channel, language) for channel in now.channels]
    first = text("reached.first", language, name=names[0])
    if len(names) > 1:
        first += text("reached.then", language, names=text("reached.join", language).join(names[1:]))
    if now.why == "digest":
        return text("reached.digest", language)
    if now.until is not None:
        until = day_and_time(now.until, language, city)
        return text(f"reached.{now.why}", language, until=until) + first
    return text("reached.send", language) + first
