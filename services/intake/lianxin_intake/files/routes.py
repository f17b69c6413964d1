"""`POST /v1/files`: a file of opinions in, a report of its rows out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lianxin_chassis.problems import ProblemError
from lianxin_intake.batch import Streamed
from lianxin_intake.context import Intake
from lianxin_intake.files.columns import asked_for, columns_of
from lianxin_intake.files.delimited import CHARSETS, DelimitedTable
from lianxin_intake.files.documentation import CSV, FILES, XLSX
from lianxin_intake.files.report import Form, Report
from lianxin_intake.files.rows import Table
from lianxin_intake.files.table import ObjectRows, Rows, TableRows
from lianxin_intake.files.workbook import MAX_XLSX_BYTES, Desks, WorkbookTable
from lianxin_intake.reading import (
    NDJSON,
    Headers,
    chunks_of,
    headers_of,
    read_body,
    require_plain,
)
from lianxin_intake.sentences import language_of

_Maps = Annotated[
    list[str] | None,
    Query(description="`field=column,column`: which columns are a field. May repeat.", max_length=50),
]
_Sheet = Annotated[str | None, Query(max_length=31, description="Of a workbook; without it, the first.")]
_MEDIA = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}


def file_routes(intake: Intake) -> APIRouter:
    """The route for files."""
    routes = APIRouter()
    desks = Desks()

    @routes.post(
        "/v1/files", status_code=200, openapi_extra=FILES, tags=["opinions"], response_class=Response
    )
    async def submit_file(
        request: Request,
        map: _Maps = None,  # noqa: A002 - the command's option is called so too
        sheet: _Sheet = None,
    ) -> Response:
        """Hand in a file of opinions: CSV (UTF-8 or GB18030), XLSX or NDJSON. Each row is judged on its own.
        The report says of each whether it was accepted, was a duplicate, or was refused, and how to mend it;
        `Accept: text/csv` asks for it as CSV.

        A row is named by its external id, else by everything that it says: mend the file and send it whole
        again, and what went through is not repeated.
        """
        headers = headers_of(request)
        caller, city = intake.submitter(headers, keyed=False)
        kind, charset = _kind(headers)
        asked = asked_for(map or [])
        form: Form = "csv" if "text/csv" in headers.get("accept", "").lower() else "ndjson"
        language = language_of(headers.get("accept-language"))
        trace = headers.get("traceparent")
        async with AsyncExitStack() as held:
            rows: Rows
            if kind == "ndjson":
                rows = ObjectRows(intake, caller, city, Report(form, None, language), trace)
            else:
                table: Table
                if kind == "xlsx":
                    await held.enter_async_context(desks.one())
                    data = await read_body(request, headers, MAX_XLSX_BYTES)
                    table = await held.enter_async_context(WorkbookTable(data, sheet))
                else:
                    table = DelimitedTable(chunks_of(request), charset)
                columns = columns_of((await table.heading()).cells, asked)
                rows = TableRows(intake, caller, city, Report(form, columns, language), trace, table, columns)
            return Reported(rows.results(request), _MEDIA[form], held.pop_all())

    return routes


class Reported(Streamed):
    """A report while its file is still being read; what the file `held` is let go at its end."""

    def __init__(self, lines: AsyncIterator[bytes], media_type: str, held: AsyncExitStack) -> None:
        self.media_type = media_type
        super().__init__(lines)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        async with self._held:
            await super().__call__(scope, receive, send)


def _kind(headers: Headers) -> tuple[str, str | None]:
    """What kind of file the body is, and the charset that the sender names. Raises 415."""
    given, _, parameters = headers.get("content-type", "").partition(";")
    media = given.strip().lower()
    if media == CSV:
        if headers.get("content-encoding", "identity").lower() != "identity":
            require_plain(headers)
        named = parameters.lower().partition("charset=")[2].split(";")[0].strip().strip('"')
        if named and named not in CHARSETS:
            raise _unsupported(f"A CSV file is in UTF-8 or GB18030; this says {named[:40]}.")
        return "csv", CHARSETS[named] if named else None
    if media == XLSX:
        require_plain(headers)
        return "xlsx", None
    if media in NDJSON:
        require_plain(headers)
        return "ndjson", None
    raise _unsupported(f"Send Content-Type: {CSV}, {XLSX} or {min(NDJSON)}; this was {media[:80] or 'none'}.")


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(415, "unsupported_media_type", "The body is no file that is read here", detail)
