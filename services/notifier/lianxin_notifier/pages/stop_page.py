"""`/stop/{token}`: where a resident stops the messages about one opinion.

Opening it changes nothing: mail scanners open every address. The button, or the one POST of a mail program
(RFC 8058, `List-Unsubscribe-Post`), stops them; whoever has the link may, so nothing else is asked.
"""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.context import Notifier
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.pages.rendering import PageRoute, page
from lianxin_notifier.stop_links import StopLinks, stop_record, stopped

log = get_logger(__name__)


def stop_page_routes(notifier: Notifier, links: StopLinks, deliveries: DeliveryStore) -> APIRouter:
    """The page and its button."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    def opinion_of(request: Request) -> str:
        opinion = links.opinion(str(request.path_params["token"]))
        if opinion is None:
            raise ProblemError(404, "stop_unknown", "This is no link to stop messages")
        return opinion

    @routes.get("/stop/{token}")
    async def ask(request: Request) -> Response:
        """What the button will do."""
        opinion_of(request)
        return page("stop.html", request, None, done=False)

    @routes.post("/stop/{token}")
    async def stop(request: Request) -> Response:
        """Stop them: on the log first, so that it outlives the database. 503 where it is not confirmed."""
        opinion, now = opinion_of(request), datetime.now(UTC)
        await notifier.publisher.publish([stop_record(opinion, now)], notifier.publish_deadline_s)
        await deliveries.restore([(stopped(opinion), now)], now)
        log.info("messages to a resident were stopped", opinion=opinion)
        return page("stop.html", request, None, done=True)

    return routes
