"""`POST /v1/events`: opinions and visits as CloudEvents 1.0, and the handshake that asks whether they may be
sent."""

import asyncio
import re
from collections import Counter
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot
from lianxin_intake import cloudevents, opinion, visits
from lianxin_intake.cloudevents import CloudEvent
from lianxin_intake.context import Intake, RawRoute, json_response
from lianxin_intake.door import Prepared
from lianxin_intake.event_attributes import bad_event
from lianxin_intake.event_documentation import EVENTS, HANDSHAKE
from lianxin_intake.reading import Headers, headers_of, read_body
from lianxin_intake.results import judged, result_of, results_of
from lianxin_intake.rights import Caller, require
from lianxin_intake.visits import Visit

SCOPES = tuple(cloudevents.SCOPES.values())

# A host's name, as the handshake of "HTTP 1.1 Web Hooks for Event Delivery" has it, and perhaps a port.
_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,252}(?::[0-9]{1,5})?")


def event_routes(intake: Intake) -> APIRouter:
    """The routes for CloudEvents."""
    routes = APIRouter(route_class=RawRoute, tags=["opinions"])

    @routes.post("/v1/events", status_code=202, openapi_extra=EVENTS)
    async def receive(request: Request) -> Response:
        """Hand in an opinion as a CloudEvent of type `opinion.submitted` or, with a key of the scope `field`,
        a visit to an opinion as one of type `visit.recorded`, in binary, structured or batched mode.

        `source` and `id` name the event: the same two again count once, so no Idempotency-Key is needed
        and none is heeded. A single event is answered like POST /v1/opinions; a batch with 200 and
        `results`, one for each event, in order, judged on its own. Each event counts against the key's
        rate; of those beyond it each is refused with 429 and may be sent again.
        """
        headers = headers_of(request)
        caller, city = intake.submitter(headers, *SCOPES, keyed=False)
        mode = cloudevents.mode_of(headers)
        _require_once(request)
        intake.require_rate(caller)
        if mode == "batch":
            body = await read_body(request, headers, cloudevents.MAX_BATCH_BYTES)
            results = await _batch(intake, caller, city, headers, body)
            return json_response(200, {"results": results})
        body = await read_body(request, headers, opinion.MAX_BYTES)
        event = cloudevents.binary(headers, body) if mode == "binary" else cloudevents.structured(body)
        prepared = _prepare(intake, caller, city, headers, event)
        if isinstance(prepared, Visit):
            recorded = await visits.record(intake, prepared)
            return json_response(202, recorded, {"Location": recorded["status_url"]})
        (refused,) = await intake.door.hand_in([prepared])
        if refused is not None:
            raise refused
        receipt = intake.receipt(prepared)
        return json_response(202, receipt, {"Location": receipt["status_url"]})

    @routes.options("/v1/events", status_code=204, openapi_extra=HANDSHAKE)
    async def shake_hands(request: Request) -> Response:
        """Ask whether events may be sent here, as senders of webhooks do before the first one. The origin in
        `WebHook-Request-Origin` is granted to who holds a key that may submit, with that key's rate.
        """
        headers = headers_of(request)
        allow = {"Allow": "OPTIONS, POST"}
        origin = headers.get("webhook-request-origin")
        if origin is None:
            return Response(status_code=204, headers=allow)
        intake.submitter(headers, *SCOPES, keyed=False)
        if _ORIGIN.fullmatch(origin) is None:
            raise ProblemError(
                400,
                "bad_origin",
                "The origin can't be granted",
                "Send a host's name in WebHook-Request-Origin, such as events.example.org.",
                field="WebHook-Request-Origin",
            )
        granted = {
            "WebHook-Allowed-Origin": origin,
            "WebHook-Allowed-Rate": str(intake.rates.per_minute),
        }
        return Response(status_code=204, headers=allow | granted)

    return routes


def _require_once(request: Request) -> None:
    """Raises 400 for a header of the event that is there twice: which of the two would name the opinion?"""
    times = Counter(name for name, _ in request.scope["headers"])
    for name, count in times.items():
        if count > 1 and (name.startswith(b"ce-") or name == b"content-type"):
            raise bad_event(f"{name[:40].decode('latin-1')} is there {count} times.")


def _prepare(
    intake: Intake, caller: Caller, city: Snapshot, headers: Headers, event: CloudEvent
) -> Prepared | Visit:
    taken = cloudevents.submission(event)
    traceparent = taken.traceparent or headers.get("traceparent")
    if taken.type == visits.TYPE:
        return visits.prepare(intake, taken.raw, caller, city, key=taken.key, traceparent=traceparent)
    require(caller, cloudevents.SCOPES[taken.type])
    return intake.door.prepare(taken.raw, caller, city, event=taken.key, traceparent=traceparent)


async def _batch(
    intake: Intake, caller: Caller, city: Snapshot, headers: Headers, body: bytes
) -> list[dict[str, Any]]:
    outcomes: list[Prepared | Visit | ProblemError] = []
    for number, event in enumerate(cloudevents.batched(body)):

        def prepare(event: bytes = event, number: int = number) -> Prepared | Visit:
            if number:  # the first is the request, which was charged before it was read
                intake.require_rate(caller)
            return _prepare(intake, caller, city, headers, cloudevents.structured(event))

        outcomes.append(judged(prepare))
    # Visits come after the opinions, as they may be to one that the same batch brings.
    handed_in = iter(await results_of(intake, [one for one in outcomes if not isinstance(one, Visit)]))
    recorded = iter(
        await asyncio.gather(
            *(result_of(visits.record(intake, one)) for one in outcomes if isinstance(one, Visit))
        )
    )
    return [next(recorded if isinstance(one, Visit) else handed_in) for one in outcomes]
