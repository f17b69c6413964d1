"""One case as its holder sees it, and the resident's contact after an audited reveal."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.inbound import Actor
from lianxin_contracts.words import OPINION_PART, Words
from lianxin_notifier.contact import Contact, Unopenable
from lianxin_notifier.context import Notifier, json_response, uuid_of
from lianxin_notifier.documentation import A_DEPUTY, CASE, CONTACT
from lianxin_notifier.inbox import CommandResult, Opinion
from lianxin_notifier.rights import acting, city_of
from lianxin_notifier.routes_actions import require_seat

log = get_logger(__name__)

As = Annotated[
    str | None,
    Query(
        alias="as",
        max_length=128,
        description="the deputy or member of staff who looks",
        openapi_examples=A_DEPUTY,
    ),
]


def case_routes(notifier: Notifier) -> APIRouter:
    """`GET /v1/cases/{id}` and `GET /v1/cases/{id}/contact`. Keys of scope act."""
    router = APIRouter(tags=["cases"])

    @router.get(
        "/v1/cases/{case}",
        summary="A case with its words, for those who have it in their inbox",
        responses=CASE,
    )
    async def one(case: str, request: Request, as_: As = None) -> Response:
        caller = await notifier.caller(request, "act")
        actor = acting(caller, as_, city_of(notifier.registry))
        id_ = uuid_of(case, "case")
        store = await notifier.live.get()
        opinion = (await store.opinions([id_])).get(id_)
        if opinion is None:
            raise ProblemError(404, "case_unknown", "There is no such case")
        require_seat(opinion, actor, city_of(notifier.registry))
        words = [] if opinion.erased else await store.words(id_)
        return json_response(200, _case(opinion, words))

    @router.get(
        "/v1/cases/{case}/contact",
        summary="The resident's contact, once its reveal is on record",
        responses=CONTACT,
    )
    async def contact(
        case: str, request: Request, command: Annotated[str, Query(max_length=64)], as_: As = None
    ) -> Response:
        """`command` is the id of a `reveal_contact` of the same person on the same case. The contact is shown
        only when the resulting `contact.revealed` is on the log, and only for a few minutes after it."""
        caller = await notifier.caller(request, "act")
        actor = acting(caller, as_, city_of(notifier.registry))
        id_ = uuid_of(case, "case")
        opened, revealed = await revealed_contact(notifier, id_, actor, uuid_of(command, "command"))
        return json_response(200, {"contact": opened, "revealed_at": revealed.recorded})

    return router


async def revealed_contact(
    notifier: Notifier, case: str, actor: Actor, command: str
) -> tuple[Contact, CommandResult]:
    """The contact that `command` revealed to `actor`, and the record of that. Raises 409 while there is no
    record, 403 where it is somebody else's or a refusal, 410 too long after it, 404 where none was left."""
    store = await notifier.live.get()
    revealed = _require_reveal(notifier, await store.command(command), case, actor)
    sealed = await store.sealed_contact(case, OPINION_PART)
    if sealed is None:
        raise ProblemError(404, "no_contact", "The resident left no contact, or it was erased")
    if notifier.opener is None:
        raise ProblemError(503, "no_private_key", "This instance can't open contacts")
    try:
        opened = notifier.opener.open(sealed)
    except Unopenable as error:
        log.error("a contact can't be opened", opinion=case, error=str(error))
        raise ProblemError(500, "unopenable", "The contact can't be opened with this key") from None
    log.info("contact shown", opinion=case, actor=actor.id, command=command)
    return opened, revealed


def _require_reveal(
    notifier: Notifier, revealed: CommandResult | None, case: str, actor: Actor
) -> CommandResult:
    if revealed is None:
        raise ProblemError(
            409,
            "reveal_pending",
            "The reveal is not on record yet",
            "Ask again in a moment; the contact is shown after the record of it.",
            headers={"Retry-After": "1"},
        )
    if revealed.status == "refused":
        raise ProblemError(403, revealed.code or "refused", "The reveal was refused")
    if (revealed.type, revealed.opinion, revealed.actor) != ("contact.revealed", case, actor.id):
        raise ProblemError(403, "not_revealed", "This command did not reveal this contact to this person")
    if datetime.now(UTC) - revealed.recorded > notifier.reveal_for:
        raise ProblemError(410, "reveal_expired", "This reveal is too old", "Reveal the contact again.")
    return revealed


def _case(opinion: Opinion, words: list[Words]) -> dict[str, Any]:
    return {
        "id": opinion.id,
        "stage": opinion.stage,
        "topic": opinion.topic,
        "grid": opinion.grid,
        "street": opinion.street,
        "holder": opinion.holder,
        "assigned_at": opinion.assigned_at,
        "due": opinion.due,
        "dues": {
            "acknowledge": opinion.due_acknowledge,
            "first_response": opinion.due_first_response,
            "resolve": opinion.due_resolve,
        },
        "replayed": opinion.replayed,
        "erased": opinion.erased,
        "sequence": opinion.sequence,
        "words": [
            {
                "part": part.part,
                "kind": part.kind,
                "text": part.text,
                "title": part.title,
                "address": part.address,
                "place": part.place,
                "language": part.language,
                "by": part.by,
            }
            for part in words
        ],
    }
