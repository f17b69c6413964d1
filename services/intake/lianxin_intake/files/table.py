"""The rows of a file on their way in: the way of every batch, with a report in place of result lines."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request

from lianxin_contracts.registry import Snapshot
from lianxin_intake import opinion
from lianxin_intake.batch import Piece, Upload, plain
from lianxin_intake.context import Intake
from lianxin_intake.door import Prepared, invalid
from lianxin_intake.files.columns import Columns, Unusable
from lianxin_intake.files.report import Report
from lianxin_intake.files.rows import Row, Table
from lianxin_intake.reading import Line, LineSplitter, chunks_of
from lianxin_intake.results import Outcome, results_of
from lianxin_intake.rights import Caller


class Rows(Upload):
    """What every file has in common: rows are named by their external id or by their content, and the report
    tells which were here before."""

    def __init__(
        self, intake: Intake, caller: Caller, city: Snapshot, report: Report, traceparent: str | None
    ) -> None:
        super().__init__(intake, caller)
        self._city = city
        self._report = report
        self._traceparent = traceparent

    def told(self, number: int, result: dict[str, Any]) -> bytes:
        """A line of the report."""
        return self._report.row(number, result)

    def end(self) -> bytes:
        """The end of the report."""
        return self._report.end()

    async def results(self, request: Request) -> AsyncIterator[bytes]:
        """The report, as it comes about."""
        if head := self._report.head():
            yield head
        async for chunk in super().results(request):
            yield chunk

    async def judged_and_taken(self, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
        """As for a batch, with `repeated` where an opinion was handed in before."""
        prepared = [one for one in outcomes if isinstance(one, Prepared)]
        before = await self._intake.door.known(prepared)
        results = await results_of(self._intake, outcomes)
        for result in results:
            if result["status"] == 202:
                result["repeated"] = result["id"] in before
                before.add(result["id"])
        return results

    def prepared(self, raw: bytes) -> Prepared:
        """The opinion in the JSON object `raw`, judged. Raises `ProblemError`."""
        return self._intake.door.prepare(
            raw, self._caller, self._city, by_content=True, traceparent=self._traceparent
        )


class TableRows(Rows):
    """The rows of a CSV file or a workbook."""

    def __init__(
        self,
        intake: Intake,
        caller: Caller,
        city: Snapshot,
        report: Report,
        traceparent: str | None,
        table: Table,
        columns: Columns,
    ) -> None:
        super().__init__(intake, caller, city, report, traceparent)
        self._table = table
        self._columns = columns
        self._zone = ZoneInfo(city.city.zone)

    async def pieces(self, request: Request) -> AsyncIterator[Sequence[Piece]]:
        """The rows that are not empty."""
        del request  # the table reads it
        async for rows in self._table.rows():
            yield [self._piece(row) for row in rows if not row.is_empty]

    def _piece(self, row: Row) -> Piece:
        def judge() -> Prepared:
            if row.fault is not None:
                raise invalid([row.fault])
            try:
                body = self._columns.opinion(row.cells, self._zone)
            except Unusable as wrong:
                raise invalid(wrong.faults) from None
            return self.prepared(msgspec.json.encode(body))

        return Piece(row.number, judge)


class ObjectRows(Rows):
    """The lines of an NDJSON file, each an object as for `POST /v1/opinions`."""

    async def pieces(self, request: Request) -> AsyncIterator[Sequence[Piece]]:
        """The lines."""
        splitter = LineSplitter(opinion.MAX_BYTES)
        async for chunk in chunks_of(request):
            yield [self._piece(line) for line in splitter.feed(chunk)]
        yield [self._piece(line) for line in splitter.end()]

    def _piece(self, line: Line) -> Piece:
        return Piece(line.number, lambda: self.prepared(plain(line)))
