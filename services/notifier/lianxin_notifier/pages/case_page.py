"""`/inbox/{case}`: one case with what was said, where, why it came here and what can be done about it."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.forms import key_of, read_form
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.pages import (
    Language,
    day_and_time,
    local_time,
    look_of,
    security_headers,
    wants_json,
)
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, to_record
from lianxin_contracts.words import OPINION_PART
from lianxin_notifier.casefile import CaseFile, file_of
from lianxin_notifier.contact import Contact
from lianxin_notifier.context import Notifier, json_response, uuid_of
from lianxin_notifier.inbox import CommandResult, Opinion
from lianxin_notifier.pages.alike import MOST_LOOKED_AT, alike
from lianxin_notifier.pages.case_actions import asked_of, forms_of
from lianxin_notifier.pages.gridmap import grid_map
from lianxin_notifier.pages.lines import deadline, deputy_name, place_name, topic_name
from lianxin_notifier.pages.offline import keepable
from lianxin_notifier.pages.rendering import PageRoute, known, page, text, visitor
from lianxin_notifier.pages.timeline import considered, steps, why
from lianxin_notifier.rights import Caller, city_of
from lianxin_notifier.routes_actions import give, require_seat, require_seat_if_known
from lianxin_notifier.routes_cases import revealed_contact
from lianxin_notifier.signins import Signed
from lianxin_notifier.store import ProjectionStore

log = get_logger(__name__)

# How long a sent form waits for what became of it before the page is shown without, and how often it looks.
ANSWER_WAIT_S = 2.0
LOOK_EVERY_S = 0.1
# While a seen case is not recorded as such nobody is kept waiting longer than this, seconds.
SEEN_DEADLINE_S = 1.0
_WITH_ASSIGNEE = ("assigned", "accepted", "in_progress", "resolved")


def case_page_routes(notifier: Notifier) -> APIRouter:
    """The page of a case, the door behind its forms, and what became of what was sent."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/inbox/commands/{command}")
    async def became(request: Request) -> Response:
        """For the script: what became of a command, in words."""
        await visitor(notifier, request)
        command = uuid_of(str(request.path_params["command"]), "command")
        result = await (await notifier.live.get()).command(command)
        return json_response(200, told(result, look_of(request).language))

    @routes.get("/inbox/permit")
    async def permit(request: Request) -> Response:
        """For the script: a permit to upload evidence to intake, good for a quarter of an hour."""
        signed = await visitor(notifier, request)
        given = notifier.photos.upload(signed.person.id, datetime.now(UTC))
        if given is None:
            raise ProblemError(404, "no_photos", "Photos can't be uploaded here", "Set LIANXIN_INTAKE_URL.")
        return json_response(200, given)

    @routes.get("/inbox/{case}")
    async def show(request: Request) -> Response:
        signed = await visitor(notifier, request)
        case = uuid_of(str(request.path_params["case"]), "case")
        store = await notifier.live.get()
        # Before the case: what is told as applied, the case that is read after it shows.
        sent = await _sent(store, request)
        opinion = (await store.opinions([case])).get(case)
        if opinion is None:
            raise ProblemError(404, "case_unknown", "There is no such case")
        require_seat(opinion, signed.person.actor, city_of(notifier.registry))
        history = await store.history(case)
        file = file_of(history)
        parts = [] if opinion.erased else await store.words(case)
        words = {part.part: part for part in parts}
        city, look, now = city_of(notifier.registry), look_of(request), datetime.now(UTC)
        said = words.get(OPINION_PART)
        await _note_seen(notifier, signed, opinion, file)
        answer, contact = await _outcome(notifier, sent, signed, case, look.language)
        today = local_time(now, city).date()
        # What was erased names photos still, that are gone.
        links = notifier.photos
        lines = steps(
            history, words, look.language, city, lambda data: () if opinion.erased else links.of(data, now)
        )
        same, near = await store.alike(opinion, MOST_LOOKED_AT)
        # A page with a contact on it is never kept on a device.
        kept = {} if contact is not None else keepable(signed.person)
        return page(
            "case.html",
            request,
            signed,
            headers=security_headers(pictures=links.origin, uploads=links.origin) | kept,
            opinion=opinion,
            file=file,
            said=said,
            topic=topic_name(opinion.topic, look.language, city),
            place=place_name(opinion.grid, look.language, city),
            submitted=day_and_time(file.submitted, look.language, city) if file.submitted else "",
            deadline=deadline(opinion.due, now, look.language, city),
            holder=deputy_name(opinion.holder, city),
            map=grid_map(opinion.grid, said.place if said else None, city),
            steps=lines,
            photos=next((line.photos for line in reversed(lines) if line.type == "opinion.submitted"), ()),
            why=why(file, look.language, city),
            considered=considered(file, opinion.holder, city),
            paused_until=day_and_time(file.paused.until, look.language, city) if file.paused else None,
            forms=forms_of(opinion, file, signed.person, look.language, city, today),
            answer=answer,
            contact=contact,
            uploads=bool(links.origin),
            alike=alike(same, near, signed.person, now, look.language, city),
            today=today.isoformat(),
            fresh=ids.fresh,
        )

    @routes.post("/inbox/{case}")
    async def act(request: Request) -> Response:
        """Send what a form asks for: 303 back to the page, or 202 for our script."""
        signed = await visitor(notifier, request)
        fields = await read_form(request)
        notifier.signins.require_form(request, signed, fields)
        case = uuid_of(str(request.path_params["case"]), "case")
        key = key_of(fields)
        if key is None:
            raise ProblemError(422, "not_a_page", "This form is not ours", "Send a UUID as key.")
        actor = signed.person.actor
        await require_seat_if_known(notifier, case, actor)
        asked = asked_of(fields, city_of(notifier.registry))
        caller = Caller("workbench", frozenset(), signed.person, signed.session.id)
        # With another body under the same key it is the page of before that was changed and sent again.
        body = urlencode(sorted((k, v) for k, v in fields.items() if k not in ("csrf", "key"))).encode()
        command = await give(notifier, caller, case, asked, actor, key, body)
        address = look_of(request).address(f"/inbox/{case}", command=command)
        if wants_json(request):
            return json_response(202, {"command_id": command, "page": address})
        await _wait_for(notifier, command)
        return RedirectResponse(address, 303, {"Cache-Control": "no-store"})

    return routes


def told(result: CommandResult | None, language: Language) -> dict[str, str]:
    """What became of a command: `status`, and in words what that means."""
    if result is None:
        return {"status": "pending", "text": text("command.pending", language)}
    if result.status == "applied":
        return {"status": "applied", "text": text("command.applied", language)}
    code = result.code or ""
    otherwise = text("refused.other", language, code=code)
    return {"status": "refused", "text": known(f"refused.{code}", language, otherwise), "code": code}


async def _sent(store: ProjectionStore, request: Request) -> tuple[str, CommandResult | None] | None:
    """The command that the address names, and what became of it."""
    named = request.query_params.get("command")
    if not named:
        return None
    command = uuid_of(named, "command")
    return command, await store.command(command)


async def _outcome(
    notifier: Notifier,
    sent: tuple[str, CommandResult | None] | None,
    signed: Signed,
    case: str,
    language: Language,
) -> tuple[dict[str, str] | None, Contact | None]:
    """What became of the command that was `sent`, in words, and the contact where it revealed one."""
    if sent is None:
        return None, None
    command, result = sent
    if result is not None and result.opinion != case:
        return None, None
    answer = told(result, language)
    if result is None or result.type != "contact.revealed":
        return answer, None
    try:
        contact, _ = await revealed_contact(notifier, case, signed.person.actor, command)
    except ProblemError as error:
        shown = known(f"problem.{error.code}", language, text("problem.any", language))
        return {"status": "refused", "text": shown}, None
    return answer, contact


async def _wait_for(notifier: Notifier, command: str) -> None:
    """Wait a little for what becomes of a command: without a script the page is then the right one."""
    store = await notifier.live.get()
    for _ in range(int(ANSWER_WAIT_S / LOOK_EVERY_S)):
        if await store.command(command) is not None:
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def _note_seen(notifier: Notifier, signed: Signed, opinion: Opinion, file: CaseFile) -> None:
    """Say that its holder has opened the case: once per placing, with the same id however often. The page
    does not depend on it: what is not confirmed is said at the next opening."""
    if signed.person.id != opinion.holder or file.seen or opinion.stage not in _WITH_ASSIGNEE:
        return
    actor, now = signed.person.actor, datetime.now(UTC)
    event = Event(
        id=ids.derived("seen", actor.id, opinion.id, str(file.attempt)),
        source=f"/notifier/{actor.id}",
        type="opinion.seen",
        subject=opinion.id,
        time=now,
        recordedtime=now,
        data=inbound.Seen(actor),
    )
    try:
        record = to_record(event, topics.INBOUND, opinion.id)
        await notifier.publisher.publish([record], SEEN_DEADLINE_S)
    except Outage as error:
        log.warning("a seen case was not recorded", opinion=opinion.id, error=type(error).__name__)
