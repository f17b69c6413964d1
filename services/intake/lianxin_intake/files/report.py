"""What the sender of a file is told of each row: as NDJSON with a summary at its end, or as CSV."""

import csv
import io
from collections import Counter
from typing import Any, Literal

import msgspec

from lianxin_intake.files.columns import Columns
from lianxin_intake.files.mending import mending
from lianxin_intake.sentences import Language

Form = Literal["ndjson", "csv"]
HEADING = ("row", "status", "id", "tracking_code", "code", "column", "mend")
_FORMULA = ("=", "+", "-", "@", "\t")


class Report:
    """The lines of one report. `columns` where the file had a heading; how to mend is said in `language`."""

    def __init__(self, form: Form, columns: Columns | None, language: Language) -> None:
        self._form = form
        self._columns = columns
        self._language = language
        self._counts: Counter[str] = Counter()

    def head(self) -> bytes:
        """What stands before the first row: a CSV's heading, with the mark by which Excel knows UTF-8."""
        return b"\xef\xbb\xbf" + _record(HEADING) if self._form == "csv" else b""

    def row(self, number: int, result: dict[str, Any]) -> bytes:
        """The line for row `number`; `result` as of `results_of`, with `repeated` where it is known."""
        told = self._told(number, result)
        self._counts[told["status"]] += 1
        if self._form == "ndjson":
            return msgspec.json.encode(told) + b"\n"
        errors = told.get("errors") or [told]
        columns = " / ".join(error["column"] for error in errors if error.get("column"))
        return _record(
            (
                str(number), told["status"], told.get("id", ""), told.get("tracking_code", ""),
                told.get("code", ""), columns, told.get("mend", ""),
            )
        )  # fmt: skip

    def end(self) -> bytes:
        """What follows on the last row: in NDJSON the summary, by which a whole report is told."""
        if self._form == "csv":
            return b""
        counts = {status: self._counts[status] for status in ("accepted", "duplicate", "refused")}
        summary: dict[str, Any] = {"rows": sum(counts.values()), **counts}
        if self._columns is not None:
            summary |= {"columns": self._columns.told(), "ignored": self._columns.ignored()}
        return msgspec.json.encode({"summary": summary}) + b"\n"

    def _told(self, number: int, result: dict[str, Any]) -> dict[str, Any]:
        if result["status"] == 202:
            status = "duplicate" if result.get("repeated") else "accepted"
            return {
                "row": number, "status": status, "id": result["id"], "tracking_code": result["tracking_code"]
            }  # fmt: skip
        problem = result["problem"]
        errors = [self._error(one) for one in problem.get("errors", ())]
        if errors:
            mend = " ".join(error["mend"] for error in errors)
            return {
                "row": number,
                "status": "refused",
                "code": errors[0]["code"],
                "mend": mend,
                "errors": errors,
            }
        mend = mending(problem["code"], problem.get("detail") or problem["title"], self._language)
        return {"row": number, "status": "refused", "code": problem["code"], "mend": mend}

    def _error(self, error: dict[str, str]) -> dict[str, Any]:
        field = error["field"]
        column = self._columns.named(field) if self._columns is not None else None
        told = {"field": field, "code": error["code"]} | ({"column": column} if column else {})
        return told | {"mend": mending(error["code"], error["message"], self._language)}


def _record(cells: tuple[str, ...]) -> bytes:
    """A line of CSV. Names of columns are the sender's: none may become a formula."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return text.getvalue().encode()
