"""The process that deputies' inboxes talk to: `python -m lianxin_notifier.api`.

Acting needs Kafka alone. Lists are read from the projection; open streams are fed from the log and filled in
from the database.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pymongo.errors import PyMongoError
from starlette.staticfiles import StaticFiles

from lianxin_chassis import problems
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.exits import essential
from lianxin_chassis.follower import Follower
from lianxin_chassis.health import health_routes
from lianxin_chassis.key_uses import KeyUses, NotedKeys
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage, outage
from lianxin_chassis.patience import patiently
from lianxin_chassis.process import run_api
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.registry import RegistryFollower
from lianxin_contracts import topics
from lianxin_notifier.channels import vapid_of
from lianxin_notifier.contact import ContactOpener
from lianxin_notifier.context import Notifier
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.device_store import DeviceStore
from lianxin_notifier.documentation import complete
from lianxin_notifier.idempotency import IdempotencyKeys
from lianxin_notifier.ledger import NumberLedger
from lianxin_notifier.live_store import LiveStore
from lianxin_notifier.oidc.assembly import open_provider
from lianxin_notifier.pages.photos import PhotoLinks
from lianxin_notifier.pages.rendering import STATIC
from lianxin_notifier.pages.routes import page_routes
from lianxin_notifier.pages.stop_page import stop_page_routes
from lianxin_notifier.preference_store import PreferenceStore
from lianxin_notifier.reaching_store import ReachingStore
from lianxin_notifier.routes_actions import action_routes
from lianxin_notifier.routes_cases import case_routes
from lianxin_notifier.routes_inbox import inbox_routes
from lianxin_notifier.routes_preferences import preference_routes
from lianxin_notifier.routes_push import push_routes
from lianxin_notifier.routes_signins import signin_routes
from lianxin_notifier.sessions import Sessions
from lianxin_notifier.settings import NotifierSettings
from lianxin_notifier.signin_links import SignInLinks
from lianxin_notifier.signins import SignIns
from lianxin_notifier.stop_links import StopLinks
from lianxin_notifier.streams import AlertHub

log = get_logger(__name__)

DESCRIPTION = (
    "What deputies see and do. Keys of scope `act` act for the person named in `as`; keys of scope `read` "
    "only look. Errors are `application/problem+json`; 503 means: not confirmed, send it again."
)


def create_app(settings: NotifierSettings) -> FastAPI:
    """The application; broker and database are reached when it starts, and neither has to be there."""
    private_key = settings.contact_private_key.get_secret_value()
    opener = ContactOpener(private_key) if private_key else None
    vapid = vapid_of(settings)
    registry = RegistryFollower(settings)
    publisher = Publisher(settings)
    followers: list[Follower] = []
    url = settings.public_url or f"http://{settings.http_host}:{settings.http_port}"
    # Without a secret nobody signs in: a made-up one makes every link and every form a forgery.
    secret = settings.signin_secret.get_secret_value().encode() or secrets.token_bytes(32)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        db = open_database(settings)
        live = LiveStore(db)
        ledger = NumberLedger(db)
        keys = IdempotencyKeys(db)
        hub = AlertHub(ledger.after, ledger.stands)
        deliveries = Follower(settings, [topics.DELIVERIES], hub.apply, from_end=True)
        followers.append(deliveries)
        sessions = Sessions(db)
        devices = DeviceStore(db)
        uses = KeyUses(db)
        oidc, oidc_http = open_provider(settings, secret, url, sessions, registry)
        notifier = Notifier(
            registry=NotedKeys(registry, uses),
            publisher=publisher,
            live=live,
            ledger=ledger,
            keys=keys,
            hub=hub,
            opener=opener,
            publish_deadline_s=settings.publish_deadline_s,
            heartbeat_s=settings.heartbeat_s,
            reveal_for=timedelta(minutes=settings.contact_reveal_minutes),
            links=SignInLinks(secret, url),
            signins=SignIns(secret, url, sessions, registry, timedelta(days=settings.signin_days)),
            link_valid_s=settings.asked_link_minutes * 60,
            photos=PhotoLinks(settings.link_secret.get_secret_value().encode(), settings.intake_url),
            devices=devices,
            push_key=vapid.public if vapid else None,
            preferences=PreferenceStore(db),
            reaching=ReachingStore(db),
            oidc=oidc,
        )
        programs = (
            inbox_routes, action_routes, case_routes, signin_routes, push_routes, preference_routes,
        )  # fmt: skip
        groups = [routes(notifier) for routes in programs]
        groups += page_routes(notifier, settings)
        groups.append(stop_page_routes(notifier, StopLinks(secret, url), DeliveryStore(db)))
        for group in groups:
            app.include_router(group)
        app.mount("/static", StaticFiles(directory=STATIC), name="static")
        await publisher.start()
        background = [
            essential(registry.run(), "registry"),
            essential(deliveries.run(), "deliveries"),
            essential(hub.watch(), "streams"),
            essential(live.follow(), "generation"),
            essential(patiently(keys.prepare), "indexes"),
            essential(patiently(sessions.prepare), "sign-in indexes"),
            essential(patiently(devices.prepare), "device indexes"),
            essential(uses.run(), "uses of keys"),
        ]
        try:
            yield
        finally:
            registry.stop()
            deliveries.stop()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await publisher.stop()
            await oidc_http.aclose()
            await close_database(db)

    app = FastAPI(
        title="Lianxin notifier 连心·交办",
        description=DESCRIPTION,
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,  # such a redirect names whatever host the caller said
    )
    problems.install(app)
    _answer_outages(app)
    app.include_router(
        health_routes(
            {
                "registry": registry.check,
                "broker": lambda: publisher.connected or "the broker is away or does not confirm",
                "alerts": lambda: all(f.reading for f in followers) or "not following the alerts",
            }
        )
    )
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _answer_outages(app: FastAPI) -> None:
    """Answer 503 where the database is away; an error of ours stays one (500)."""

    async def on_outage(_: Request, error: Exception) -> Response:
        if outage(error) is None:
            raise error
        log.warning("answered 503", error=type(error).__name__)
        return problems.problem(
            503,
            "unavailable",
            "This can't be read at the moment",
            "Ask again in a few seconds.",
            headers={"Retry-After": "3"},
        )

    app.add_exception_handler(PyMongoError, on_outage)
    app.add_exception_handler(Outage, on_outage)


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with what FastAPI does not see."""
    if app.openapi_schema is None:
        app.openapi_schema = complete(
            get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        )
    return app.openapi_schema


def main() -> None:
    """Serve until stopped."""
    settings = NotifierSettings()
    run_api(lambda: create_app(settings), settings)


if __name__ == "__main__":
    main()
