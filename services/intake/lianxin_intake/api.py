"""The process that residents and channels talk to: `python -m lianxin_intake.api`.

It needs Kafka alone to accept: the registry is followed in memory, and the database is read only to show
where an opinion stands and, where that is quick, to tell a conflict at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles

from lianxin_chassis import problems, topics
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.exits import essential
from lianxin_chassis.health import health_routes
from lianxin_chassis.key_uses import KeyUses, NotedKeys
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.process import run_api
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.registry import RegistryFollower
from lianxin_intake.application import IntakeApp
from lianxin_intake.attachments import AttachmentIds
from lianxin_intake.batch import batch_routes
from lianxin_intake.contact import ContactSealer
from lianxin_intake.context import Intake
from lianxin_intake.desk.finding import Places, place_routes
from lianxin_intake.desk.routes import desk_routes
from lianxin_intake.documentation import COMPONENTS
from lianxin_intake.door import Door
from lianxin_intake.events import event_routes
from lianxin_intake.exchange import Exchange
from lianxin_intake.files.routes import file_routes
from lianxin_intake.following import following_routes
from lianxin_intake.generation import LiveTracking
from lianxin_intake.keeping import DeskPhotos
from lianxin_intake.key_limits import KeyLimits
from lianxin_intake.lists import list_routes
from lianxin_intake.lookups import DigestLookups
from lianxin_intake.open311.routes import open311_routes
from lianxin_intake.opening import Opening
from lianxin_intake.pages.beside import beside_routes
from lianxin_intake.pages.offline import offline_routes
from lianxin_intake.pages.rendering import STATIC
from lianxin_intake.pages.reserve import reserve_routes
from lianxin_intake.pages.slip import slip_routes
from lianxin_intake.pages.station import station_page_routes
from lianxin_intake.pages.tracking_page import tracking_page_routes
from lianxin_intake.photos.desk import PhotoDesk
from lianxin_intake.photos.routes import photo_routes
from lianxin_intake.photos.store import PhotoStore
from lianxin_intake.printing import printing_routes
from lianxin_intake.rates import Buckets
from lianxin_intake.recent import RecentCommands, RecentOpinions
from lianxin_intake.residents import resident_routes
from lianxin_intake.settings import IntakeSettings
from lianxin_intake.submitting import submission_routes
from lianxin_intake.wechat.routes import talking_of, wechat_routes
from lianxin_intake.wechat.talking import Talking

log = get_logger(__name__)

# How long an outside provider may take over one step of an answer, seconds.
OUTSIDE_S = 3.0

DESCRIPTION = (
    "Where every opinion enters. Channels post with `Authorization: Bearer <channel key>`. Errors are "
    "`application/problem+json` and say how to mend them; 503 means: not confirmed, send it again."
)


def create_app(settings: IntakeSettings) -> FastAPI:
    """The application; broker and database are reached when it starts, and neither has to be there."""
    secret = settings.tracking_secret.get_secret_value().encode()
    sealer = ContactSealer(settings.contact_public_key)
    registry = RegistryFollower(settings)
    publisher = Publisher(settings)
    topics_checked = TopicsChecked(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        db = open_database(settings)
        tracking = LiveTracking(db)
        recent = RecentOpinions(settings.remembered_opinions)
        photos = PhotoDesk(
            AttachmentIds(secret),
            PhotoStore(db),
            secret,
            links=settings.link_secret.get_secret_value().encode(),
            unnamed_for=timedelta(hours=settings.unnamed_photos_hours),
        )
        door = Door(
            secret,
            sealer,
            photos,
            publisher,
            recent,
            DigestLookups(tracking.digests),
            deadline_s=settings.publish_deadline_s,
        )
        uses = KeyUses(db)
        rates = KeyLimits(settings.rate_per_second, settings.rate_burst, settings.rate_instances)
        intake = Intake(
            registry=NotedKeys(registry, uses),
            publisher=publisher,
            door=door,
            recent=recent,
            commands=RecentCommands(settings.remembered_opinions),
            tracking=tracking,
            rates=rates,
            opening=Opening(
                door.codes,
                wrong=Buckets(settings.wrong_codes_per_minute / 60, settings.wrong_codes_burst),
                reads=Buckets(settings.code_reads_per_minute / 60, settings.code_reads_burst),
                commands=Buckets(settings.code_commands_per_minute / 60, settings.code_commands_burst),
            ),
            page_posts=Buckets(settings.page_posts_per_minute / 60, settings.page_posts_burst),
            photos=photos,
            photo_rates=Buckets(settings.photos_per_minute / 60, settings.photos_burst),
            public_url=settings.public_url or f"http://{settings.http_host}:{settings.http_port}",
            deadline_s=settings.publish_deadline_s,
            workbench_url=settings.notifier_url,
        )
        outside = httpx.AsyncClient(timeout=OUTSIDE_S, trust_env=False)
        talking = talking_of(settings, intake, db, DeskPhotos(photos), outside, secret)
        _add_routes(app, intake, secret, talking)
        await publisher.start()
        background = [
            essential(registry.run(), "registry"),
            essential(tracking.follow(), "tracking generation"),
            essential(topics_checked.run(), "topics check"),
            essential(uses.run(), "uses of keys"),
            essential(Exchange(db, rates, settings.instance).run(), "limits of keys"),
        ]
        if settings.wechat:
            background.append(essential(talking.run(), "wechat"))
        try:
            yield
        finally:
            registry.stop()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await photos.close()
            await publisher.stop()
            await outside.aclose()
            await close_database(db)

    app = IntakeApp(
        title="Lianxin intake 连心·提出",
        description=DESCRIPTION,
        version="1",
        lifespan=lifespan,
        # Traces travel in the events themselves; FastAPI's own telemetry costs each request 5 us to find off.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    problems.install(app)
    app.include_router(
        health_routes(
            {
                "registry": registry.check,
                "broker": lambda: publisher.connected or "the broker is away or does not confirm",
                "topics": topics_checked.check,
            }
        )
    )
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _add_routes(app: IntakeApp, intake: Intake, secret: bytes, talking: Talking) -> None:
    """Put the routes in front: they are tried in order, and an included router costs each request that passes
    it 15 us."""
    submitting = submission_routes(intake)
    app.hot |= {
        ("POST", route.path): route.endpoint for route in submitting.routes if isinstance(route, APIRoute)
    }
    places = Places()
    groups = (
        submitting,
        batch_routes(intake),
        file_routes(intake),
        event_routes(intake),
        following_routes(intake),
        list_routes(intake),
        printing_routes(intake),
        resident_routes(intake, secret),
        station_page_routes(intake, secret),
        tracking_page_routes(intake),
        beside_routes(intake, secret),
        reserve_routes(intake, secret),
        slip_routes(intake),
        offline_routes(),
        open311_routes(intake),
        wechat_routes(talking),
        photo_routes(intake, secret),
        place_routes(intake, places),
        desk_routes(intake, secret, places),
    )
    app.router.routes[:0] = [route for group in groups for route in group.routes]
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


class TopicsChecked:
    """The start-up check of the topics, for as long as the broker is away."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._settings = settings
        self._state: bool | str = "the topics are not checked yet"

    def check(self) -> bool | str:
        """For readiness."""
        return self._state

    async def run(self) -> None:
        """Return when the topics are as they should be. A wrong setting stays, and keeps the process
        unready."""
        while self._state is not True:
            try:
                await topics.ensure(self._settings)
            except Outage as error:
                self._state = str(error)
            except topics.WrongTopicSettings as error:
                self._state = str(error)
                log.critical("a topic has wrong settings", error=str(error))
                return
            else:
                self._state = True


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the models and the key that FastAPI does not see."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(COMPONENTS)
        components["securitySchemes"] = {"channel key": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = document
    return app.openapi_schema


def main() -> None:
    """Serve until stopped."""
    settings = IntakeSettings()  # type: ignore[call-arg]  # from the environment
    run_api(lambda: create_app(settings), settings)


if __name__ == "__main__":
    main()
