"""`/desk`: where an operator writes down what a resident says on the phone or at the counter."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.registry import Snapshot, hash_of_key
from lianxin_intake import qr
from lianxin_intake.context import Intake
from lianxin_intake.desk.finding import Places
from lianxin_intake.desk.places import Match
from lianxin_intake.desk.sessions import COOKIE, PATH, Sealed, Session, Sessions
from lianxin_intake.desk.writing_down import AS_SAID, WhichPlace, body_of, in_words, moment_of, settle
from lianxin_intake.door import Prepared, invalid
from lianxin_intake.opening import address_of
from lianxin_intake.opinion import LATEST_ENTRY, Fault
from lianxin_intake.pages.forms import key_of, read_form, require_own_page
from lianxin_intake.pages.rendering import PageRoute, day_and_time, look_of, message, page
from lianxin_intake.pages.station import mistakes, topic_groups
from lianxin_intake.rates import Buckets, retry_after
from lianxin_intake.rights import Caller, caller_with, city_of, require

log = get_logger(__name__)

# Keys have 192 bits and can't be guessed: this keeps trying cheap for us.
SIGN_INS_PER_S, SIGN_INS_BURST = 1 / 6, 20.0
# What the form shows again; the key that was pasted is never among it.
TYPED = ("text", "place", "address", "occurred", "topic", "name", "phone", "email", "key")
# The form is shown again for these, with everything that was typed.
_SHOWN_AGAIN = {
    "idempotency_conflict",
    "not_confirmed",
    "too_many_requests",
    "registry_not_loaded",
    "not_ours",
}


class Receipt(Struct, frozen=True):
    """What the receipt's page shows; sealed in its address, so that no log holds a code. `at` in seconds
    since the epoch."""

    code: str
    at: float
    where: str


def desk_routes(intake: Intake, secret: bytes, places: Places) -> APIRouter:
    """The desk's pages."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    sessions = Sessions(secret)
    receipts = Sealed(secret, "desk receipt")
    tries = Buckets(SIGN_INS_PER_S, SIGN_INS_BURST)

    def seated(request: Request, city: Snapshot) -> tuple[Session, Caller] | None:
        """Who sits at the desk; None where nobody does, or the key is not good any more."""
        session = sessions.read(request.cookies.get(COOKIE))
        if session is None:
            return None
        try:
            return session, desk_caller(session.key, intake, city)
        except ProblemError:
            return None

    @routes.get(PATH)
    async def show(request: Request) -> Response:
        """The form, empty; or where to sign in."""
        city = city_of(intake.registry)
        who = seated(request, city)
        if who is None:
            return _sign_in(request)
        return _form(request, sessions, who, city, {"key": ids.fresh()})

    @routes.post(PATH + "/sign-in")
    async def sign_in(request: Request) -> Response:
        """Take the channel key once; what was typed before the session ended is kept."""
        require_own_page(request, intake.public_url)
        city = city_of(intake.registry)
        fields = await read_form(request)
        given = {name: fields[name] for name in TYPED if name in fields}
        try:
            if wait := tries.take(address_of(request)):
                raise ProblemError(429, "too_many_requests", "Too many tries", headers=retry_after(wait))
            hash_ = hash_of_key(fields.get("channel_key", ""))
            caller = desk_caller(hash_, intake, city)
        except ProblemError as error:
            return _sign_in(request, given, error)
        session = sessions.begin(hash_)
        log.info("signed in at the desk", channel=caller.channel.id)
        if "text" in given:
            response = _form(request, sessions, (session, caller), city, given)
        else:
            response = RedirectResponse(look_of(request).address(PATH), 303, {"Cache-Control": "no-store"})
        sessions.keep(response, session)
        return response

    @routes.post(PATH + "/sign-out")
    async def sign_out(request: Request) -> Response:
        """End the session on this browser."""
        require_own_page(request, intake.public_url)
        response = RedirectResponse(look_of(request).address(PATH), 303, {"Cache-Control": "no-store"})
        sessions.forget(response)
        return response

    @routes.post(PATH)
    async def take_down(request: Request) -> Response:
        """Hand in what was written down: 303 to its receipt."""
        require_own_page(request, intake.public_url)
        city = city_of(intake.registry)
        fields = await read_form(request)
        who = seated(request, city)
        if who is None:
            return _sign_in(request, {name: fields[name] for name in TYPED if name in fields})
        try:
            if not sessions.accepts(fields.get("token", ""), who[0]):
                raise ProblemError(403, "not_ours", "This form is of another session", "Send it once more.")
            prepared, where = await _hand_in(intake, places, city, who[1], fields, request)
        except WhichPlace as asked:
            return _form(request, sessions, who, city, fields, candidates=asked.candidates)
        except ProblemError as error:
            if error.status != 422 and error.code not in _SHOWN_AGAIN:
                raise
            return _form(request, sessions, who, city, fields, error)
        receipt = receipts.seal(Receipt(prepared.code, prepared.at.timestamp(), where))
        address = look_of(request).address(PATH + "/receipt", r=receipt)
        return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    @routes.get(PATH + "/receipt")
    async def receipt(request: Request) -> Response:
        """The code to read out, and the slip to print."""
        city = city_of(intake.registry)
        who = seated(request, city)
        if who is None:
            return _sign_in(request)
        shown = receipts.open(request.query_params.get("r", ""), Receipt)
        if shown is None:
            raise ProblemError(404, "no_receipt", "There is no such receipt")
        look = look_of(request)
        address = f"{intake.public_url.rstrip('/')}/t/{shown.code}"
        response = page(
            "desk_receipt.html",
            request,
            groups=shown.code.split("-"),
            at=day_and_time(datetime.fromtimestamp(shown.at, UTC), look.language, city),
            where=shown.where,
            channel=who[1].channel.name,
            city=city.city.name,
            follow=f"{intake.public_url.rstrip('/')}/t",
            drawing=qr.data_uri(address),
        )
        sessions.keep(response, who[0])
        return response

    return routes


def desk_caller(hash_: str, intake: Intake, city: Snapshot) -> Caller:
    """Whose key has the hash `hash_`. Raises 401 for one that is unknown or revoked, 403 for one without the
    scope submit or of a channel that is no desk (`entry` desk)."""
    caller = caller_with(hash_, intake.registry, city)
    require(caller, "submit")
    if caller.channel.entry != "desk":
        raise ProblemError(
            403,
            "no_desk_key",
            "This key is not a desk's",
            "Ask the operator for a key of a channel whose entry is desk.",
        )
    return caller


async def _hand_in(
    intake: Intake,
    places: Places,
    city: Snapshot,
    caller: Caller,
    fields: dict[str, str],
    request: Request,
) -> tuple[Prepared, str]:
    """What was accepted, and its place in words. Raises `WhichPlace`, and what the door raises."""
    key = key_of(fields)
    if key is None:
        raise ProblemError(422, "not_a_page", "This form is not ours", "Send a UUID as key.")
    at = moment_of(fields.get("occurred"), city)
    if isinstance(at, Fault):
        raise invalid([at])
    where = settle(fields, await places.of(city))
    intake.require_rate(caller)
    body = body_of(fields, where, at)
    prepared = intake.door.prepare(
        msgspec.json.encode(body), caller, city, key=key, traceparent=request.headers.get("traceparent")
    )
    (refused,) = await intake.door.hand_in([prepared])
    if refused is not None:
        raise refused
    return prepared, in_words(fields, where)


def _sign_in(
    request: Request, carried: dict[str, str] | None = None, error: ProblemError | None = None
) -> Response:
    """Where a key is asked for. `carried`: what was typed when the session was over."""
    over = error is None and bool(carried)
    return page(
        "desk_sign_in.html",
        request,
        status=error.status if error is not None else 401 if over else 200,
        headers=dict(error.headers or {}) if error is not None else None,
        referrer="same-origin",
        carried=carried or {},
        over=over,
        message=message(error, look_of(request).language) if error is not None else None,
    )


def _form(
    request: Request,
    sessions: Sessions,
    who: tuple[Session, Caller],
    city: Snapshot,
    given: dict[str, str],
    error: ProblemError | None = None,
    candidates: list[Match] | None = None,
) -> Response:
    """The form with what is `given`; with what is wrong, or the places to choose from."""
    look = look_of(request)
    session, caller = who
    # What was refused under a key was not taken in; what was not confirmed keeps its key, to count once.
    conflict = error is not None and error.code == "idempotency_conflict"
    now = datetime.now(UTC).astimezone(ZoneInfo(city.city.zone))
    response = page(
        "desk.html",
        request,
        status=error.status if error is not None else 422 if candidates else 200,
        headers=dict(error.headers or {}) if error is not None else None,
        referrer="same-origin",
        city=city.city.name,
        channel=caller.channel,
        backdates=caller.may("backdate"),
        earliest=f"{now - LATEST_ENTRY + timedelta(minutes=5):%Y-%m-%dT%H:%M}",
        latest=f"{now:%Y-%m-%dT%H:%M}",
        token=sessions.token(session),
        key=ids.fresh() if conflict else key_of(given) or ids.fresh(),
        given=given,
        topics=topic_groups(city, look),
        candidates=candidates or [],
        as_said=AS_SAID,
        mistakes=mistakes(error, look) if error is not None else {},
        message=message(error, look.language) if error is not None else None,
    )
    sessions.keep(response, session)
    return response
