"""`lianxin submit FILE`: a CSV, XLSX or NDJSON file of opinions to `POST /v1/files`, and its report."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import click

from lianxin_local.home import Home
from lianxin_local.keys import demo_keys_of
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.stack import require_stack

TYPES = {
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
}
KEY = "LIANXIN_KEY"
_CHUNK = 256 * 1024
# Without a word from the other side, seconds: a report comes row by row.
_SILENCE_S = 120.0
_SHOWN = 20


@click.command()
@takes_data
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "maps", multiple=True, metavar="FIELD=COLUMN,…", help="Which column is which field.")
@click.option("--sheet", metavar="NAME", help="Of a workbook (default: the first).")
@click.option(
    "--charset", type=click.Choice(["utf-8", "gb18030"]), help="Of a CSV file (default: told by it)."
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Keep the report: .ndjson or .csv."
)
@click.option("--english", is_flag=True, help="How to mend, in English.")
@click.option("--intake", metavar="URL", help=f"Another intake than the stack's; its key in {KEY}.")
def submit(
    home: Home,
    file: Path,
    maps: tuple[str, ...],
    sheet: str | None,
    charset: str | None,
    report: Path | None,
    english: bool,
    intake: str | None,
) -> None:
    """Hand in the opinions of FILE (.csv, .xlsx, .ndjson) and tell what became of each row.

    Mend what was refused and send the same file again: what went through is not repeated. The exit code is 1
    where a row was refused.
    """
    type_ = TYPES.get(file.suffix.lower())
    if type_ is None:
        raise Problem(f"{file.name}: a file ends in {', '.join(TYPES)}", code=2)
    if report is not None and report.suffix not in (".ndjson", ".csv"):
        raise Problem(f"--report {report.name}: it ends in .ndjson or .csv", code=2)
    url, key = _where(home, intake)
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": type_ + (f"; charset={charset}" if charset and type_ == "text/csv" else ""),
        "Accept": "text/csv" if report is not None and report.suffix == ".csv" else "application/x-ndjson",
        "Accept-Language": "en" if english else "zh",
    }
    asked = [("map", one) for one in maps] + ([("sheet", sheet)] if sheet else [])
    try:
        with file.open("rb") as opened:
            refused = asyncio.run(_send(url, opened, headers, asked, report))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem("intake's answer broke off: send the same file again, nothing counts twice") from error
    if refused:
        raise Problem("some rows were refused: mend them and send the same file again")


def _where(home: Home, intake: str | None) -> tuple[str, str]:
    if intake is None:
        stack = require_stack(home)
        return f"{stack.url('intake')}/v1/files", os.environ.get(KEY) or demo_keys_of(home).submit
    key = os.environ.get(KEY)
    if not key:
        raise Problem(f"--intake: set {KEY} to a channel key that may submit", code=2)
    return f"{intake.rstrip('/')}/v1/files", key


async def _send(
    url: str, file: BinaryIO, headers: dict[str, str], asked: list[tuple[str, str]], report: Path | None
) -> bool:
    """Send `file` while its report is read; whether a row was refused."""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.post(url, data=_chunks(file), headers=headers, params=asked) as answer,
    ):
        if answer.status != 200:
            problem = json.loads(await answer.read())
            raise Problem(f"{problem['title']}: {problem.get('detail', '')} ({problem['code']})")
        if report is None:
            return await _shown(answer.content)
        with report.open("wb") as kept:
            refused = False
            async for line in answer.content:
                kept.write(line)
                refused = refused or b'"status":"refused"' in line or b",refused," in line
        say(f"the report is in {report}")
        return refused


async def _shown(lines: aiohttp.StreamReader) -> bool:
    """Show the first refused rows and the summary; whether there are any."""
    refused = 0
    summary: dict[str, Any] | None = None
    async for line in lines:
        told = json.loads(line)
        summary = told.get("summary")
        if told.get("status") == "refused":
            refused += 1
            if refused <= _SHOWN:
                where = " / ".join(one["column"] for one in told.get("errors", ()) if "column" in one)
                click.echo(
                    f"row {told['row']}{f' ({where})' if where else ''}: {told['code']}: {told['mend']}"
                )
    if refused > _SHOWN:
        click.echo(f"… and {refused - _SHOWN} more: --report keeps them all")
    if summary is None:
        raise Problem("the report broke off: send the same file again, nothing counts twice")
    if "columns" in summary:
        read = ", ".join(f"{field} from {column}" for field, column in summary["columns"].items())
        ignored = f"; not read: {', '.join(summary['ignored'])}" if summary["ignored"] else ""
        click.echo(f"read: {read}{ignored}")
    counts = ", ".join(f"{summary[status]} {status}" for status in ("accepted", "duplicate", "refused"))
    click.echo(f"{summary['rows']} rows: {counts}")
    return refused > 0


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk
