"""Checks a replay against its file, sharing no code with the router or with replay itself.

    python -m tests.end_to_end.replayed FILE --opened open_dt --resolved closed_dt --zone America/New_York \\
        --city CITY --ward ward
    python -m tests.end_to_end.replayed FILE --city registry/wuxi-sample --topic topic

Reads the file, the city's files, `opinions.lifecycle` and the closure report. `--ward`: every request that
lies in a ward was given to a deputy whose mandate lies there. `--topic`: the share of messages assigned, and
of these to a mandate that covers the file's topic. `--opened`, `--resolved`: the closure report is what the
file gives by nearest rank. It exits with 1 where something does not hold.
"""

import argparse
import asyncio
import csv
import gzip
import hashlib
import json
import sys
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiokafka import AIOKafkaConsumer, TopicPartition

from lianxin_contracts import ids, topics
from tests.end_to_end import recounted
from tests.end_to_end.drive import status_of
from tests.end_to_end.recounted import Assignment, City, Fate, Played, Problems

LABELS = Path(__file__).with_name("labels.toml")
SHOWN = 10
WITHIN_S = 600.0
# What the issue asks of the messages, in a hundred.
ASSIGNED, COVERED = 70, 80


async def fates_of(bootstrap: str, wanted: set[str]) -> dict[str, Fate]:
    """What the lifecycle, from its start to its end of now, says of the opinions `wanted`."""
    partitions = [
        TopicPartition(topics.LIFECYCLE, n) for n in range(topics.BY_NAME[topics.LIFECYCLE].partitions)
    ]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    found: dict[str, Fate] = {}
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        async with asyncio.timeout(WITHIN_S):
            while any([await consumer.position(p) < ends[p] for p in partitions]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        if (opinion := (record.key or b"").decode()) in wanted:
                            note(found, opinion, dict(record.headers), record.value)
    finally:
        await consumer.stop()
    return found


def note(found: dict[str, Fate], opinion: str, headers: dict[str, bytes], value: bytes) -> None:
    """Enter one event of the lifecycle."""
    at = datetime.fromisoformat(headers["ce_time"].decode())
    match headers["ce_type"]:
        case b"opinion.submitted":
            found.setdefault(opinion, Fate(at))
        case b"opinion.assigned":
            said = json.loads(value)
            found[opinion].assignments.append(
                Assignment(said["assignee"], said["grid"], said.get("first_level") or said["topic"], at)
            )
        case b"opinion.resolved":
            found[opinion].resolved = found[opinion].resolved or at


def rows_of(path: Path, limit: int | None) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a `.csv`, `.csv.gz` or `.ndjson`, numbered from 1."""
    with (
        gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8-sig", newline="") as file
    ):
        rows: Iterator[dict[str, Any]] = (
            iter(csv.DictReader(file))
            if ".csv" in path.suffixes
            else (json.loads(line) for line in file if line.strip())
        )
        for number, row in enumerate(rows, 1):
            if limit is not None and number > limit:
                return
            yield number, {name: str(value or "") for name, value in row.items()}


def id_of(options: argparse.Namespace, prefix: str, number: int, row: dict[str, str]) -> str:
    """The opinion's id, as docs/replay.md says: from the channel and the row's own id or its number."""
    own = row[options.id_column].strip() if options.id_column else ""
    return ids.opinion_id(options.channel, own or f"{prefix}-{number}")


def closure_report(metrics: str, played: Sequence[Played]) -> dict[str, Any]:
    """The report of all the time in which the replayed cases were resolved."""
    ends = [one.fate.resolved for one in played if one.fate is not None and one.fate.resolved is not None]
    window = {
        "from": min(ends, default=datetime.now(UTC)).isoformat(),
        "to": (max(ends, default=datetime.now(UTC)) + timedelta(seconds=1)).isoformat(),
    }
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{metrics}/v1/reports/closure?{urlencode(window)}", timeout=120) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


class Verdict:
    """Prints what was found and remembers whether all of it holds."""

    def __init__(self) -> None:
        self.holds = True

    def say(self, line: str) -> None:
        """A figure."""
        sys.stdout.write(f"       {line}\n")

    def judge(self, what: str, problems: Problems) -> None:
        """A check: it holds where there are no problems."""
        self.holds &= not problems
        sys.stdout.write(f"{'WRONG' if problems else 'holds':6} {what}\n")
        for problem in problems[:SHOWN]:
            self.say(problem)
        if len(problems) > SHOWN:
            self.say(f"and {len(problems) - SHOWN} more")


def check_topics(played: Sequence[Played], options: argparse.Namespace, city: City, verdict: Verdict) -> None:
    """Enough of the messages are assigned, and enough of those to somebody whose mandate covers them."""
    labels = tomllib.loads(options.labels.read_text("utf-8"))
    counts = recounted.topics(played, options.topic, labels, city)
    verdict.say(", ".join(f"{name} {count}" for name, count in counts.items()))
    for what, count, whole, least in (
        ("messages are assigned", counts["assigned"], counts["messages"], ASSIGNED),
        (
            "of them have a mandate that covers the file's topic",
            counts["covered"],
            counts["assigned"],
            COVERED,
        ),
    ):
        share = 100 * count / whole if whole else 0.0
        verdict.judge(f"{share:.1f}% {what} (at least {least}%)", [] if share >= least else ["too few"])


def check_closure(
    played: Sequence[Played], options: argparse.Namespace, metrics: str, verdict: Verdict
) -> None:
    """The report is what the file gives."""
    whole, own, problems = recounted.latencies(
        played, options.opened, options.resolved, ZoneInfo(options.zone)
    )
    verdict.say(f"the file as a whole: {whole.in_hours()}")
    verdict.say(f"resolved on the stack: {own.in_hours()}")
    verdict.judge("every case was opened and resolved at the file's own times", problems)
    verdict.judge(
        "the closure report is the file's, by nearest rank",
        recounted.report_agrees(closure_report(metrics, played), own),
    )


def run(options: argparse.Namespace) -> int:
    """0 where everything that was asked holds."""
    status = status_of(options.data)
    prefix = options.prefix or f"replay-{hashlib.sha256(options.file.read_bytes()).hexdigest()[:12]}"
    rows = list(rows_of(options.file, options.limit))
    named = {number: id_of(options, prefix, number, row) for number, row in rows}
    fates = asyncio.run(fates_of(status["broker"]["bootstrap"], set(named.values())))
    played = [Played(number, row, fates.get(named[number])) for number, row in rows]
    missing = [one.row for one in played if one.fate is None]
    verdict = Verdict()
    verdict.say(
        f"{len(rows)} rows, {len(rows) - len(missing)} opinions on the log; none of rows {missing[:SHOWN]}"
    )
    verdict.judge(
        f"all rows but {options.refused} are on the log",
        [] if len(missing) <= options.refused else [f"{len(missing)} are not"],
    )
    if options.ward:
        counts, problems = recounted.wards(played, options.ward, City.of(options.city))
        verdict.say(", ".join(f"{name} {count}" for name, count in counts.items()))
        verdict.judge("every request in a ward is assigned in that ward", problems)
    if options.topic:
        check_topics(played, options, City.of(options.city), verdict)
    if options.resolved:
        check_closure(played, options, status["services"]["metrics"]["url"], verdict)
    return 0 if verdict.holds else 1


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.end_to_end.replayed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, default=Path(".lianxin"), help="which stack (default .lianxin)")
    parser.add_argument("--city", type=Path, default=Path("registry/wuxi-sample"), help="the city's files")
    parser.add_argument("--channel", default="demo", help="whose key it was posted with (default demo)")
    parser.add_argument("--prefix", help="as given to replay")
    parser.add_argument("--id-column", help="as mapped to external_id")
    parser.add_argument("--limit", type=int, help="as given to replay")
    parser.add_argument("--refused", type=int, default=0, help="so many rows were refused (default 0)")
    parser.add_argument("--ward", metavar="COLUMN")
    parser.add_argument("--topic", metavar="COLUMN")
    parser.add_argument("--labels", type=Path, default=LABELS, help="labels to first-level topics, TOML")
    parser.add_argument("--opened", metavar="COLUMN")
    parser.add_argument("--resolved", metavar="COLUMN")
    parser.add_argument("--zone", default="Asia/Shanghai")
    options = parser.parse_args()
    if bool(options.opened) != bool(options.resolved):
        parser.error("--opened and --resolved go together")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
