"""Reports and definitions over HTTP: `python -m lianxin_metrics.api`. Writes nothing and needs only the
database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import REGISTRY

from lianxin_chassis import problems
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.exits import essential
from lianxin_chassis.health import health_routes
from lianxin_chassis.outages import outage
from lianxin_chassis.problems import ProblemError
from lianxin_chassis.process import run_api
from lianxin_metrics.answering import DEFINITIONS, REPORT, example
from lianxin_metrics.definitions import BASES, FIGURES, VERSION, Definition
from lianxin_metrics.exported import METRICS, metric_name
from lianxin_metrics.exporter import Exporter, Refresher
from lianxin_metrics.figures import Question
from lianxin_metrics.reports import ROW_COLUMNS, By, Row, closure_report, period_report, to_csv
from lianxin_metrics.settings import MetricsSettings
from lianxin_metrics.store import FactStore
from lianxin_metrics.windows import WrongWindow, between, instant, period, period_name

NO_EVENTS = 0
"""`as_of` where nothing has happened yet."""
_HEADING = ("report", "name", "as_of", "complete", "definitions")
_DEFINITION_COLUMNS = (
    "id", "metric", "version", "kind", "basis", "unit", "scale", "zh", "en", "formula_zh", "formula_en",
    "source",
)  # fmt: skip


Day = Annotated[str | None, Query(openapi_examples=example("2026-11-23"))]
AsOf = Annotated[str | None, Query(openapi_examples=example("2026-11-24"))]
Format = Annotated[str | None, Query(description="`json` or `csv`; wins over the Accept header")]


class Reports:
    """Answers the questions of the routes below."""

    def __init__(self, zone: ZoneInfo, refresher: Refresher, at_once: int) -> None:
        self.zone = zone
        self._refresher = refresher
        self._turns = asyncio.Semaphore(at_once)

    async def of_period(self, kind: str, name: str | None, date: str | None, as_of: str | None) -> Row:
        """The report of a day, month, quarter or year; by default the one in which `as_of` lies."""
        store, newest, known = self._known(as_of)
        if name is not None and date is not None and kind != "day":
            raise WrongWindow(f"give either `date` or `{kind}`")
        if name is None:
            name = period_name(kind, known if date is None else instant(date, self.zone), self.zone)
        question = Question(period(kind, name, self.zone), known, newest)
        async with self._turns:
            return await period_report(
                store.touching(question.begin, question.end),
                store.alerts_begun(question.window.start, question.window.end),
                {"report": kind, "name": name},
                question,
                self.zone,
            )

    async def of_closure(self, start: str, end: str, by: By | None, as_of: str | None) -> Row:
        """How long cases took."""
        store, newest, known = self._known(as_of)
        question = Question(between(start, end, self.zone), known, newest)
        async with self._turns:
            cases = store.touching(question.begin, question.end)
            return await closure_report(
                cases, by, {"report": "closure", "name": by or "all"}, question, self.zone
            )

    def _known(self, as_of: str | None) -> tuple[FactStore, int, int]:
        """The store to read, the time of its newest event, and `as_of` in ms: as given, or that time."""
        store, newest = self._refresher.store, self._refresher.newest
        if store is None or newest is None:
            raise ProblemError(503, "not_ready", "The figures are not read yet", headers={"Retry-After": "2"})
        return store, newest, newest if as_of is None else instant(as_of, self.zone)


def create_app(settings: MetricsSettings) -> FastAPI:
    """The application; it opens the database when it starts and waits for one that is away."""
    exporter = Exporter()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = open_database(settings)
        refresher = Refresher(database, exporter)
        app.state.reports = Reports(ZoneInfo(settings.zone), refresher, settings.reports_at_once)
        REGISTRY.register(exporter)
        reading = essential(refresher.run(), "refresher")
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            REGISTRY.unregister(exporter)
            await close_database(database)

    app = FastAPI(title="Lianxin metrics", version=VERSION, lifespan=lifespan)
    problems.install(app)
    app.include_router(health_routes({"figures": exporter.check}))
    _answer_faults(app)
    _add_routes(app)
    return app


def _answer_faults(app: FastAPI) -> None:
    @app.exception_handler(WrongWindow)
    async def on_wrong_window(_: Request, error: WrongWindow) -> JSONResponse:
        return problems.problem(422, "wrong_window", "There is no such window", str(error))

    @app.middleware("http")
    async def on_outage(request: Request, call_next: Any) -> Response:
        try:
            answer: Response = await call_next(request)
        except Exception as error:
            if outage(error) is None:
                raise
            return problems.problem(
                503, "unavailable", "The database can't be reached", headers={"Retry-After": "5"}
            )
        return answer


def _add_routes(app: FastAPI) -> None:
    def reports(request: Request) -> Reports:
        found: Reports = request.app.state.reports
        return found

    @app.get("/v1/reports/day", responses=REPORT)
    async def day(
        request: Request,
        date: Day = None,
        as_of: AsOf = None,
        format: Format = None,  # noqa: A002
    ) -> Response:
        """The report of one day, `date=2026-11-23`; by default the day of the newest event."""
        return _answer(request, format, await reports(request).of_period("day", date, None, as_of))

    @app.get("/v1/reports/month", responses=REPORT)
    async def month(
        request: Request,
        month: Annotated[str | None, Query(openapi_examples=example("2026-11"))] = None,
        date: Day = None,
        as_of: AsOf = None,
        format: Format = None,  # noqa: A002
    ) -> Response:
        """The report of one month, `month=2026-11`, or the one of a `date`."""
        return _answer(request, format, await reports(request).of_period("month", month, date, as_of))

    @app.get("/v1/reports/quarter", responses=REPORT)
    async def quarter(
        request: Request,
        quarter: Annotated[str | None, Query(openapi_examples=example("2026-Q4"))] = None,
        date: Day = None,
        as_of: AsOf = None,
        format: Format = None,  # noqa: A002
    ) -> Response:
        """The report of one quarter, `quarter=2026-Q4`, or the one of a `date`."""
        return _answer(request, format, await reports(request).of_period("quarter", quarter, date, as_of))

    @app.get("/v1/reports/year", responses=REPORT)
    async def year(
        request: Request,
        year: Annotated[str | None, Query(openapi_examples=example("2026"))] = None,
        date: Day = None,
        as_of: AsOf = None,
        format: Format = None,  # noqa: A002
    ) -> Response:
        """The report of one year, `year=2026`, or the one of a `date`."""
        return _answer(request, format, await reports(request).of_period("year", year, date, as_of))

    @app.get("/v1/reports/closure", responses=REPORT)
    async def closure(
        request: Request,
        start: Annotated[str, Query(alias="from", openapi_examples=example("2026-11-01"))],
        end: Annotated[str, Query(alias="to", openapi_examples=example("2026-12-01T00:00:00+08:00"))],
        by: By | None = None,
        as_of: AsOf = None,
        format: Format = None,  # noqa: A002
    ) -> Response:
        """How long cases took that were resolved or closed from `from` (inclusive) to `to` (exclusive):
        dates or RFC 3339 times."""
        return _answer(request, format, await reports(request).of_closure(start, end, by, as_of))

    @app.get("/v1/definitions", responses=DEFINITIONS)
    async def definitions(request: Request, format: Format = None) -> Response:  # noqa: A002
        """What every figure means, with its version."""
        figures = [_defined(definition) for definition in FIGURES]
        metrics = [_defined(definition) | {"metric": metric_name(definition)} for definition in METRICS]
        if _wants_csv(request, format):
            return _csv(to_csv(figures + metrics, _DEFINITION_COLUMNS, {}))
        bases = {basis: {"zh": zh, "en": en} for basis, (zh, en) in BASES.items()}
        return JSONResponse({"version": VERSION, "bases": bases, "figures": figures, "metrics": metrics})


def _defined(definition: Definition) -> Row:
    return asdict(definition)


def _answer(request: Request, wanted: str | None, report: Row) -> Response:
    if _wants_csv(request, wanted):
        rows: Sequence[Row] = report["figures"]
        return _csv(to_csv(rows, ROW_COLUMNS, {key: report[key] for key in _HEADING}))
    return JSONResponse(report)


def _csv(text: str) -> Response:
    return Response(text, media_type="text/csv; charset=utf-8")


def _wants_csv(request: Request, wanted: str | None) -> bool:
    """`?format=` wins over the Accept header."""
    if wanted is not None:
        if wanted not in ("json", "csv"):
            raise ProblemError(422, "invalid", "A field is missing or wrong", "format is `json` or `csv`")
        return wanted == "csv"
    accepted = [part.split(";")[0].strip() for part in request.headers.get("accept", "").split(",")]
    return "text/csv" in accepted and "application/json" not in accepted


def main() -> None:
    """Serve until stopped."""
    settings = MetricsSettings()
    run_api(lambda: create_app(settings), settings)


if __name__ == "__main__":
    main()
