"""How somebody wants to be reached, for programs: `GET` and `PUT /v1/preferences`."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.context import Notifier, json_response
from lianxin_notifier.documentation import A_DEPUTY, PREFERENCES, PREFERENCES_BODY
from lianxin_notifier.preferences import Preferences, foreign
from lianxin_notifier.reached import offered, reached, registered
from lianxin_notifier.rights import city_of, receiver_for

log = get_logger(__name__)

MOST_BYTES = 16_384
_WHOSE = "an id; whoever is signed in may leave it out"
Whose = Annotated[str | None, Query(max_length=128, description=_WHOSE)]
Asked = Annotated[str | None, Query(max_length=128, description=_WHOSE, openapi_examples=A_DEPUTY)]


def preference_routes(notifier: Notifier) -> APIRouter:
    """Keys of scope act or read, or whoever is signed in, for themselves."""
    router = APIRouter(tags=["preferences"])

    @router.get("/v1/preferences", summary="How somebody wants to be reached", responses=PREFERENCES)
    async def look(request: Request, deputy: Asked = None) -> Response:
        """`offered` are the channels that may be chosen; `now` is what would become of an alert that is not
        urgent."""
        caller = await notifier.caller(request, "act", "read")
        person = receiver_for(caller, deputy, city_of(notifier.registry))
        return await _answer(notifier, person, await notifier.preferences.of(person))

    @router.put(
        "/v1/preferences",
        summary="Say how one wants to be reached",
        responses=PREFERENCES,
        openapi_extra=PREFERENCES_BODY,
    )
    async def put(request: Request, deputy: Whose = None) -> Response:
        """Replaces everything; what is left out is as the registry says. 422 for an address that is not the
        registry's for this person."""
        caller = await notifier.caller(request, "act", writing=True)
        person = receiver_for(caller, deputy, city_of(notifier.registry))
        wished = _parsed(await request.body())
        await keep(notifier, person, wished, by=caller.name)
        return await _answer(notifier, person, wished)

    return router


async def keep(notifier: Notifier, person: str, wished: Preferences, *, by: str) -> None:
    """Keep what `person` wishes, and have a look at what was held back for them by what they wished before.
    Raises 422 for a channel that is not theirs."""
    if foreign(wished, registered(person, city_of(notifier.registry))):
        raise ProblemError(
            422,
            "channel_foreign",
            "A channel is not this person's",
            "Choose from `offered`. Other addresses are the registry's to name.",
        )
    await notifier.preferences.save(person, wished)
    await notifier.reaching.look_at_held(person, datetime.now(UTC))
    log.info("preferences set", person=person, by=by)


async def channels_known(notifier: Notifier, person: str) -> tuple[str, ...]:
    """The channels of `person` without any wishes, with the browsers in which they take alerts."""
    browser = notifier.push_key is not None and bool(await notifier.devices.first_of({person}))
    return registered(person, city_of(notifier.registry), browser=browser)


async def _answer(notifier: Notifier, person: str, wished: Preferences) -> Response:
    city = city_of(notifier.registry)
    known = await channels_known(notifier, person)
    now = reached(person, wished, known, city, datetime.now(UTC))
    body = {"person": person, "preferences": wished, "offered": offered(known), "now": now}
    return json_response(200, body)


def _parsed(body: bytes) -> Preferences:
    if len(body) > MOST_BYTES:
        raise ProblemError(413, "too_large", "The body is too large", f"At most {MOST_BYTES} bytes.")
    try:
        return msgspec.json.decode(body, type=Preferences)
    except msgspec.ValidationError as error:
        raise ProblemError(422, "invalid", "A field is missing or wrong", str(error)) from error
    except msgspec.DecodeError as error:
        raise ProblemError(400, "malformed", "The body is no JSON", "Send a JSON object.") from error
