"""Drives a running stack through its public surface: residents say things, deputies act, residents rate.

    python -m tests.end_to_end.drive --csv messages.csv.gz --count 2000 --seed 7 --twice --ledger ledger.json

Used by the main job, by the fault tests and by the long run. What was answered with 202 is in the ledger, so
that `checks.py` can tell whether anything of it was lost; as a command it tells that at its end.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.end_to_end.drafts import Draft, from_csv, from_templates
from tests.end_to_end.journey import EVERYTHING_CLOSES, Journey, Shares
from tests.end_to_end.ledger import Accepted, Ledger
from tests.end_to_end.log import read_log
from tests.end_to_end.repeating import RepeatingSurface
from tests.end_to_end.surface import Addresses, Failed, Surface
from tests.end_to_end.verdicts import counts, everything_but_the_city, verdicts

T = TypeVar("T")
Say = Callable[[str], object]
PROGRESS_EVERY_S = 2.0


@dataclass(slots=True)
class Drive:
    """One run against one stack. `surface` is open. Every failure of a single case is kept in `failures`,
    by what went wrong, and the others go on."""

    surface: Surface
    seed: int = 1
    concurrency: int = 32
    patience_s: float = 120.0
    say: Say = sys.stderr.write
    ledger: Ledger = field(default_factory=Ledger)
    failures: list[str] = field(default_factory=list)
    stations: list[dict[str, Any]] = field(default_factory=list)
    topics: list[dict[str, Any]] = field(default_factory=list)
    progress: int = 0

    async def learn(self) -> None:
        """Read the public lists that the drafts are made from."""
        self.stations = await self.surface.stations()
        self.topics = await self.surface.topics()

    def drafts(self, count: int, run: str = "t") -> list[Draft]:
        """`count` opinions from our own templates."""
        return list(from_templates(count, self.seed, self.stations, self.topics, run))

    def drafts_from(self, path: Path, limit: int | None = None, run: str = "c") -> list[Draft]:
        """The opinions of a CSV file."""
        return list(from_csv(path, self.seed, self.stations, limit, run))

    async def submit(self, drafts: Iterable[Draft], *, twice: bool = False) -> list[Accepted]:
        """Hand in every draft until it is accepted; `twice`: each request two times under its key, every
        other pair at once. Returns those that were accepted, in no order."""
        done: Counter[str] = Counter()

        async def one(draft: Draft) -> Accepted:
            accepted = await self._submit_once(draft)
            done["accepted"] += 1
            return accepted

        async def pair(draft: Draft) -> Accepted:
            if zlib.crc32(draft.key.encode()) % 2:
                return (await asyncio.gather(one(draft), self._submit_once(draft)))[0]
            accepted = await one(draft)
            await self._submit_once(draft)
            return accepted

        wanted = list(drafts)
        return await self._each(
            wanted, pair if twice else one, lambda: f"{done['accepted']}/{len(wanted)} in"
        )

    async def finish(self, opinions: Iterable[Accepted], shares: Shares = EVERYTHING_CLOSES) -> None:
        """Take every opinion as far as `shares` says."""
        followed = list(opinions)

        async def one(opinion: Accepted) -> None:
            await self._follow(opinion, shares)

        await self._each(followed, one, lambda: _stages(followed))

    async def see_through(
        self,
        drafts: Iterable[Draft],
        shares: Shares = EVERYTHING_CLOSES,
        supporters: Callable[[Draft], Sequence[str]] = lambda _: (),
    ) -> None:
        """Hand in every draft and take it, before the next, as far as `shares` says, supported by whom
        `supporters` names. `progress` counts the halves: accepted, and followed to the end."""

        async def one(draft: Draft) -> None:
            opinion = await self._submit_once(draft)
            self.progress += 1
            for supporter in supporters(draft):
                await self.surface.support(opinion.id, supporter, f"{draft.key}/{supporter}")
                self.ledger.supports.setdefault(opinion.id, []).append(supporter)
            await self._follow(opinion, shares)
            self.progress += 1

        await self._each(list(drafts), one, lambda: _stages(self.ledger.opinions.values()))

    def summary(self) -> dict[str, Any]:
        """The run in figures."""
        return {
            "accepted": len(self.ledger.opinions),
            "commands": len(self.ledger.commands),
            "ratings": Counter(self.ledger.ratings.values()),
            "stages": Counter(opinion.stage for opinion in self.ledger.opinions.values()),
            "requests_sent_again": self.surface.retried,
            "failures": len(self.failures),
            "surprises": self.ledger.surprises,
        }

    async def _follow(self, opinion: Accepted, shares: Shares) -> None:
        await Journey(
            self.surface,
            self.ledger,
            opinion,
            shares=shares,
            seed=self.seed,
            correction=self._correction(opinion),
            patience_s=self.patience_s,
        ).run()

    async def _submit_once(self, draft: Draft) -> Accepted:
        answer = await self.surface.submit(draft.body, draft.key)
        return self.ledger.accepted(draft, answer.body, answer.tries)

    def _correction(self, opinion: Accepted) -> dict[str, str]:
        """What a person in triage would say of it: the station's grid, and its topic or some topic."""
        station = next(s for s in self.stations if s["id"] == opinion.body["station"])
        topic = opinion.body.get("topic") or next(t["id"] for t in self.topics if t.get("parent"))
        return {"grid": station["grid"], "topic": topic}

    async def _each(
        self, items: list[Any], do: Callable[[Any], Awaitable[T]], progress: Callable[[], str]
    ) -> list[T]:
        """`do` for all, `concurrency` at a time, telling how far it is. Failures are kept, not raised."""
        queue = iter(items)
        results: list[T] = []

        async def work() -> None:
            for item in queue:
                try:
                    results.append(await do(item))
                except Failed as error:
                    self.failures.append(str(error))

        workers = [asyncio.create_task(work()) for _ in range(self.concurrency)]
        teller = asyncio.create_task(self._tell(progress))
        try:
            await asyncio.gather(*workers)
        finally:
            for task in (teller, *workers):
                task.cancel()
        self.say(f"{progress()}, {len(self.failures)} failures\n")
        return results

    async def _tell(self, progress: Callable[[], str]) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            again, failed = self.surface.retried, len(self.failures)
            self.say(
                f"{time.monotonic() - began:5.0f} s  {progress()}; sent again {again}, failures {failed}\n"
            )


def _stages(opinions: Iterable[Accepted]) -> str:
    stages = Counter(opinion.stage for opinion in opinions)
    return ", ".join(f"{stage} {count}" for stage, count in stages.most_common())


def status_of(data: Path) -> dict[str, Any]:
    """`lianxin status --json` of the stack in `data`."""
    lianxin = Path(sys.executable).with_name("lianxin")
    done = subprocess.run(
        [str(lianxin), "--data", str(data), "status", "--json"], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


async def run(options: argparse.Namespace) -> int:
    """The command line: 0 where everything that was begun came to its end, and every check holds."""
    addresses = Addresses.of_status(status_of(options.data))
    kind = RepeatingSurface if options.twice else Surface
    async with kind(addresses, connections=4 * options.concurrency, patience_s=options.patience) as surface:
        drive = Drive(surface, options.seed, options.concurrency, options.patience)
        await drive.learn()
        drafts = (
            drive.drafts_from(options.csv, options.count, options.run)
            if options.csv
            else drive.drafts(options.count, options.run)
        )
        began = time.monotonic()
        opinions = await drive.submit(drafts)
        seconds = time.monotonic() - began
        drive.say(f"{len(opinions)} accepted in {seconds:.1f} s, {len(opinions) / seconds:.0f} a second\n")
        if not options.submit_only:
            await drive.finish(opinions, EVERYTHING_CLOSES if options.close_all else Shares())
        if options.ledger:
            drive.ledger.save(options.ledger)
        for failure in drive.failures[:20]:
            drive.say(f"failed: {failure}\n")
        if isinstance(surface, RepeatingSurface):
            drive.failures += surface.unlike
            drive.say(
                f"{surface.repeated} requests were sent two times, {len(surface.unlike)} answered unlike\n"
            )
    wrong = await told(options, drive)
    return 1 if drive.failures or drive.ledger.surprises or wrong else 0


async def told(options: argparse.Namespace, drive: Drive) -> bool:
    """Wait until the figures stand where the log does, then print them, the verdict of each check and one
    opinion to look at; whether any check does not hold."""
    deadline = time.monotonic() + options.patience
    while True:
        status = status_of(options.data)
        log = await read_log(status["broker"]["bootstrap"], everything_but_the_city())
        found = verdicts(log, drive.ledger, status)
        if not any(found.values()) or time.monotonic() > deadline:
            break
        await asyncio.sleep(1.0)
    write = sys.stdout.write
    write(json.dumps(drive.summary(), ensure_ascii=False) + "\n")
    write(f"of this drive, by the log: {json.dumps(counts(log, drive.ledger))}\n")
    write(f"of the whole stack, by lianxin status: {json.dumps(status['counts'])}\n")
    for check, problems in found.items():
        write(f"{'holds' if not problems else 'WRONG':6} {check}\n")
        for problem in problems[:5]:
            write(f"       {problem}\n")
    closed = next((o for o in drive.ledger.opinions.values() if o.stage == "closed"), None)
    if closed is not None:
        write(f"one that was closed: {closed.id}, tracking code {closed.tracking_code}\n")
    return any(found.values())


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.end_to_end.drive",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=Path(".lianxin"), help="which stack (default .lianxin)")
    parser.add_argument("--count", type=int, default=200, help="how many opinions (default 200)")
    parser.add_argument("--csv", type=Path, help="take title and text from this .csv or .csv.gz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="d", help="part of every key: another run, other opinions")
    parser.add_argument(
        "--twice", action="store_true", help="make every request that says something two times"
    )
    parser.add_argument("--submit-only", action="store_true", help="nobody acts on what was submitted")
    parser.add_argument("--close-all", action="store_true", help="every case is answered, rated and closed")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument(
        "--patience", type=float, default=120.0, metavar="S", help="longest wait for one step"
    )
    parser.add_argument("--ledger", type=Path, help="write what was accepted to this file")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
