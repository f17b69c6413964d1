"""`POST /v1/opinions`: one opinion in, 202 when the broker has it."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_intake import opinion
from lianxin_intake.context import Intake, RawRoute, json_response
from lianxin_intake.documentation import SUBMIT
from lianxin_intake.reading import JSON, headers_of, idempotency_key, read_body, require_type


def submission_routes(intake: Intake) -> APIRouter:
    """The route for single opinions. It is the hot one: bytes are decoded once, and nothing is looked up in a
    database unless an Idempotency-Key or an external_id could have been used before."""
    routes = APIRouter(route_class=RawRoute)

    @routes.post("/v1/opinions", status_code=202, openapi_extra=SUBMIT, tags=["opinions"])
    async def submit(request: Request) -> Response:
        """Hand in one opinion. 202 means that it is durably stored and will be dealt with.

        The same request sent again, with the same Idempotency-Key or the same `external_id`, is counted
        once and answered alike; with both, the Idempotency-Key counts. Another body under the same key is
        refused (409).
        """
        headers = headers_of(request)
        caller, city = intake.submitter(headers)
        require_type(headers, JSON)
        key = idempotency_key(headers)
        intake.require_rate(caller)
        raw = await read_body(request, headers, opinion.MAX_BYTES)
        prepared = intake.door.prepare(raw, caller, city, key=key, traceparent=headers.get("traceparent"))
        (refused,) = await intake.door.hand_in([prepared])
        if refused is not None:
            raise refused
        receipt: dict[str, Any] = intake.receipt(prepared)
        return json_response(202, receipt, {"Location": receipt["status_url"]})

    return routes
