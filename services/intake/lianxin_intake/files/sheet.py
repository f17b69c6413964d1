"""One sheet of a workbook as lines of JSON, by a process of its own: `python -m lianxin_intake.files.sheet`.

The workbook comes by stdin and never lies on a disk. What it may cost is bounded by the system: memory and
processor time of this process, whatever the archive claims about itself. Nothing else of intake is imported.

An argument names the sheet. Out: `[row, [text, …]]` for each row that is not empty (`[row, null]`: too
long), then `{"rows": n}`; or, at any place, `{"code": …, "detail": …}` and the end.
"""

import io
import json
import resource
import sys
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import python_calamine

MEMORY_BYTES = 768 * 1024 * 1024
PROCESSOR_S = 60
MOST_MEMBERS = 1_000
MOST_UNPACKED_BYTES = 128 * 1024 * 1024
# A table of real opinions packs to a tenth; a member of repeated zeros to a thousandth. Looked at only where
# a member is large enough to matter.
MOST_RATIO = 200
SMALL_BYTES = 1024 * 1024
MOST_ROWS = 100_000
MOST_CELLS = 5_000_000
MOST_ROW_CHARACTERS = 512 * 1024
_CHUNK = 256 * 1024


class Refused(Exception):
    """The workbook can't be read: a code, and what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def main() -> None:
    """Read stdin, write stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        data = sys.stdin.buffer.read()
        inspect(data)
        write(data, sys.argv[1] if len(sys.argv) > 1 else None)
    except Refused as refused:
        say({"code": refused.code, "detail": refused.detail})
    except MemoryError:
        say({"code": "workbook_too_large", "detail": "Too large to be read; send it as CSV."})
    except (python_calamine.CalamineError, zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        # Only the kind: a message may hold what stands in the file.
        say(
            {
                "code": "unreadable_workbook",
                "detail": f"No workbook that can be read ({type(error).__name__}).",
            }
        )
    sys.stdout.flush()


def inspect(data: bytes) -> None:
    """Raises `Refused` for an archive that is none, too much of one, or whose XML has a DTD."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Refused("unreadable_workbook", "Save it as .xlsx and without a password.")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise Refused("workbook_too_large", f"{len(members)} parts; at most {MOST_MEMBERS}.")
        unpacked = 0
        for member in members:
            if member.flag_bits & 1:
                raise Refused("unreadable_workbook", "Save it without a password.")
            unpacked += _inspected(archive, member, MOST_UNPACKED_BYTES - unpacked)


def _inspected(archive: zipfile.ZipFile, member: zipfile.ZipInfo, room: int) -> int:
    """The bytes that `member` unpacks to, counted and not believed. Raises `Refused`."""
    size, tail = 0, b""
    is_xml = member.filename.lower().endswith((".xml", ".rels", ".vml"))
    with archive.open(member) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > room:
                raise Refused("workbook_too_large", f"More than {MOST_UNPACKED_BYTES} bytes unpacked.")
            if size > SMALL_BYTES and size > MOST_RATIO * max(1, member.compress_size):
                raise Refused("workbook_too_large", "Packed more tightly than any table of texts.")
            seen = tail + chunk
            if is_xml and any(mark in seen for mark in (b"<!DOCTYPE", b"<!ENTITY")):
                raise Refused("unreadable_workbook", "Its XML has a document type; spreadsheets write none.")
            tail = chunk[-16:]
    return size


def write(data: bytes, name: str | None) -> None:
    """Say the rows of the sheet `name` (the first without). Formulas are read by the value that was saved."""
    with python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
        if not workbook.sheet_names:
            raise Refused("unreadable_workbook", "It has no sheet.")
        if name is not None and name not in workbook.sheet_names:
            raise Refused(
                "no_sheet", f"There is no sheet of this name; there is {workbook.sheet_names[:20]}."
            )
        sheet = workbook.get_sheet_by_name(name or workbook.sheet_names[0])
        if sheet.height * sheet.width > MOST_CELLS:
            raise Refused("workbook_too_large", f"More than {MOST_CELLS} cells; delete what is unused.")
        first = sheet.start[0] if sheet.start is not None else 0
        said = 0
        for number, cells in enumerate(sheet.iter_rows(), first + 1):
            if all(cell == "" for cell in cells):
                continue
            if said > MOST_ROWS:
                raise Refused("workbook_too_large", f"More than {MOST_ROWS} rows; send the rest in another.")
            said += 1
            texts = [text_of(cell) for cell in cells]
            say([number, texts if sum(map(len, texts)) <= MOST_ROW_CHARACTERS else None])
        say({"rows": said})


def text_of(cell: Any) -> str:
    """What a cell shows, near enough: whole numbers without a point, times as ISO 8601 with a space."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        # Integers beyond 2**53 have lost digits before they came here: Excel keeps 15.
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ", timespec="seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)


def say(what: Any) -> None:
    """One line."""
    sys.stdout.write(json.dumps(what, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
