"""`POST /v1/events`: opinions as CloudEvents 1.0."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_contracts.registry import Snapshot
from lianxin_intake import cloudevents, opinion
from lianxin_intake.cloudevents import Submission
from lianxin_intake.context import Intake, RawRoute, json_response
from lianxin_intake.documentation import EVENTS
from lianxin_intake.door import Prepared
from lianxin_intake.reading import Headers, headers_of, read_body
from lianxin_intake.results import Outcome, judged, results_of
from lianxin_intake.rights import Caller


def event_routes(intake: Intake) -> APIRouter:
    """The route for CloudEvents."""
    routes = APIRouter(route_class=RawRoute, tags=["opinions"])

    @routes.post("/v1/events", status_code=202, openapi_extra=EVENTS)
    async def receive(request: Request) -> Response:
        """Hand in an opinion as a CloudEvent of type `opinion.submitted`, in binary, structured or
        batched mode.

        `source` and `id` name the event: the same two again count once, so no Idempotency-Key is needed
        and none is heeded. A single event is answered like POST /v1/opinions; a batch with 200 and
        `results`, one for each event, in order, judged on its own. Each event counts against the key's
        rate; of those beyond it each is refused with 429 and may be sent again.
        """
        headers = headers_of(request)
        caller, city = intake.submitter(headers, keyed=False)
        mode = cloudevents.mode_of(headers)
        intake.require_rate(caller)
        if mode == "batch":
            body = await read_body(request, headers, cloudevents.MAX_BATCH_BYTES)
            results = await _batch(intake, caller, city, headers, body)
            return json_response(200, {"results": results})
        body = await read_body(request, headers, opinion.MAX_BYTES)
        event = cloudevents.binary(headers, body) if mode == "binary" else cloudevents.structured(body)
        prepared = _prepare(intake, caller, city, headers, event)
        (refused,) = await intake.door.hand_in([prepared])
        if refused is not None:
            raise refused
        receipt = intake.receipt(prepared)
        return json_response(202, receipt, {"Location": receipt["status_url"]})

    return routes


def _prepare(intake: Intake, caller: Caller, city: Snapshot, headers: Headers, event: Submission) -> Prepared:
    return intake.door.prepare(
        event.raw, caller, city, event=event.key, traceparent=headers.get("traceparent")
    )


async def _batch(
    intake: Intake, caller: Caller, city: Snapshot, headers: Headers, body: bytes
) -> list[dict[str, Any]]:
    outcomes: list[Outcome] = []
    for number, event in enumerate(cloudevents.batched(body)):

        def prepare(event: dict[str, Any] = event, number: int = number) -> Prepared:
            if number:  # the first is the request, which was charged before it was read
                intake.require_rate(caller)
            return _prepare(intake, caller, city, headers, cloudevents.from_json(event))

        outcomes.append(judged(prepare))
    return await results_of(intake, outcomes)
