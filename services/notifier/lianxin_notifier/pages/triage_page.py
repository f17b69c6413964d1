"""`/triage`: several cases at once out of triage: to one deputy, or each to its own first candidate."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.forms import key_of, read_form
from lianxin_chassis.pages import Language, local_time, look_of
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.actions import ActionRequest
from lianxin_notifier.casefile import CaseFile, file_of
from lianxin_notifier.context import Notifier, uuid_of
from lianxin_notifier.inbox import CommandResult
from lianxin_notifier.pages.case_actions import MOST_OFFERED, covers
from lianxin_notifier.pages.case_page import LOOK_EVERY_S, told
from lianxin_notifier.pages.lines import Line, deputy_name, line_of, place_name, topic_name
from lianxin_notifier.pages.rendering import PageRoute, message, page, text, visitor
from lianxin_notifier.people import Person
from lianxin_notifier.rights import Caller, city_of
from lianxin_notifier.routes_actions import give
from lianxin_notifier.signins import Signed
from lianxin_notifier.store import Item

# A form has at most 40 fields, and nobody decides on more at once.
MOST_AT_ONCE = 30
FIRST = "first"
# The page waits so long for what becomes of all that was sent; the script tells of the rest.
ALL_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A case in triage, with those who could take it, best first."""

    line: Line
    candidates: tuple[str, ...]
    first: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one of those that were sent, in words. `to`: the deputy's name; `command` None where
    nothing was sent."""

    id: str
    topic: str
    place: str
    to: str
    status: Literal["applied", "refused", "pending"]
    words: str
    command: str | None = None


def triage_page_routes(notifier: Notifier) -> APIRouter:
    """The list, and the door behind its form."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/triage")
    async def show(request: Request) -> Response:
        return await _page(notifier, request, _staff(await visitor(notifier, request)), ())

    @routes.post("/triage")
    async def assign(request: Request) -> Response:
        """Give each chosen case its own command. The same form again changes nothing: each command's id
        follows from the form's key and the case."""
        signed = _staff(await visitor(notifier, request))
        fields = await read_form(request)
        notifier.signins.require_form(request, signed, fields)
        key = key_of(fields)
        if key is None:
            raise ProblemError(422, "not_a_page", "This form is not ours", "Send a UUID as key.")
        chosen = [uuid_of(name.removeprefix("case."), "case") for name in fields if name.startswith("case.")]
        to = fields.get("to")
        if not chosen or to is None:
            raise ProblemError(422, "field_missing", "A field is missing", "Choose cases, and to whom.")
        sent = await _send(notifier, signed, chosen, to, key, look_of(request).language)
        return await _page(notifier, request, signed, sent)

    return routes


def first_candidate(file: CaseFile) -> str | None:
    """Whom routing would have chosen, had it been sure: the best of those who could take it."""
    explained = file.explained
    return explained.candidates[0].deputy if explained is not None and explained.candidates else None


def candidates(item: Item, file: CaseFile, city: Snapshot, today: date) -> tuple[str, ...]:
    """Those whom routing considered, best first; else those whose mandate covers place and topic."""
    found = [one.deputy for one in file.explained.candidates] if file.explained is not None else []
    if not found and item.grid is not None:
        found = sorted(m.deputy for m in city.mandates.values() if covers(m, item.grid, item.topic, today))
    return tuple(dict.fromkeys(one for one in found if one in city.deputies))


def _staff(signed: Signed) -> Signed:
    if not signed.person.may("staff"):
        raise ProblemError(403, "role_missing", "This is for staff who assign")
    return signed


async def _page(
    notifier: Notifier, request: Request, signed: Signed, sent: tuple[Sent, ...] | list[Sent]
) -> Response:
    store = await notifier.live.get()
    items = await store.work(signed.person.id, "triage", MOST_AT_ONCE + len(sent) + 1)
    gone = {one.id for one in sent if one.status != "refused"}
    items = [item for item in items if item.id not in gone]
    shown = items[:MOST_AT_ONCE]
    histories = await asyncio.gather(*(store.history(item.id) for item in shown))
    city, language, now = city_of(notifier.registry), look_of(request).language, datetime.now(UTC)
    today = local_time(now, city).date()
    lines = []
    for item, history in zip(shown, histories, strict=True):
        file = file_of(history)
        first = first_candidate(file)
        name = deputy_name(first, city) if first is not None else None
        lines.append(Waiting(line_of(item, now, language, city), candidates(item, file, city, today), name))
    deputies = dict.fromkeys(one for line in lines for one in line.candidates)
    names = [(one, f"{deputy_name(one, city)}（{one}）") for one in list(deputies)[:MOST_OFFERED]]
    return page(
        "triage.html",
        request,
        signed,
        lines=lines,
        names=names,
        sent=sent,
        more=len(items) > MOST_AT_ONCE,
        most=MOST_AT_ONCE,
        key=ids.fresh(),
    )


async def _send(
    notifier: Notifier, signed: Signed, cases: list[str], to: str, key: str, language: Language
) -> list[Sent]:
    store = await notifier.live.get()
    opinions = await store.opinions(cases)
    city = city_of(notifier.registry)
    caller = Caller("workbench", frozenset(), signed.person, signed.session.id)
    sent: list[Sent] = []
    for case in cases:
        opinion = opinions.get(case)
        who = first_candidate(file_of(await store.history(case))) if to == FIRST else to
        place = place_name(opinion.grid if opinion else None, language, city)
        topic = topic_name(opinion.topic if opinion else None, language, city)
        name = deputy_name(who, city)
        if who is None:
            sent.append(Sent(case, topic, place, name, "refused", text("triage_no_candidate", language)))
            continue
        try:
            command = await _assign(notifier, caller, signed.person, case, who, f"{key}/{case}")
        except ProblemError as error:
            sent.append(Sent(case, topic, place, name, "refused", message(error, language)))
            continue
        pending = text("command.pending", language)
        sent.append(Sent(case, topic, place, name, "pending", pending, command))
    became = await _became(notifier, [one.command for one in sent if one.command is not None])
    return [_known(one, became, language) for one in sent]


async def _assign(notifier: Notifier, caller: Caller, person: Person, case: str, to: str, key: str) -> str:
    body = f"assign {case} {to}".encode()
    return await give(notifier, caller, case, ActionRequest("assign", to=to), person.actor, key, body)


async def _became(notifier: Notifier, commands: list[str]) -> Mapping[str, CommandResult]:
    """What became of `commands`, of as many as are decided within `ALL_WAIT_S`."""
    store = await notifier.live.get()
    known: dict[str, CommandResult] = {}
    for _ in range(int(ALL_WAIT_S / LOOK_EVERY_S)):
        for command in commands:
            if command not in known and (result := await store.command(command)) is not None:
                known[command] = result
        if len(known) == len(commands):
            break
        await asyncio.sleep(LOOK_EVERY_S)
    return known


def _known(sent: Sent, became: Mapping[str, CommandResult], language: Language) -> Sent:
    result = became.get(sent.command or "")
    if result is None:
        return sent
    words = told(result, language)["text"]
    return Sent(sent.id, sent.topic, sent.place, sent.to, result.status, words, sent.command)
