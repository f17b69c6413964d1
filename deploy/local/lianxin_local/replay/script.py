"""Everything that a file tells, in order of time across its rows.

The entries wait in a temporary file; memory holds 13 bytes for each step and 8 for each row.
"""

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import BinaryIO, cast

import msgspec
import numpy as np

from lianxin_contracts.envelope import milliseconds
from lianxin_local.replay.entries import Entry


class Kind(IntEnum):
    """What is done in a step, in the order in which it is done where several fall on one instant."""

    SUBMIT = 0
    ASSIGN = 1
    ACCEPT = 2
    ANSWER = 3
    RESOLVE = 4
    RATE = 5


@dataclass(frozen=True, slots=True)
class Step:
    """The `number`-th thing that is done (from 0), on `entry`; `at` None: now. `is_last`: nothing more is
    done on this entry."""

    number: int
    kind: Kind
    entry: Entry
    at: datetime | None
    is_last: bool


def moments(entry: Entry, *, assigns: bool, assign_after_ms: int) -> list[tuple[int, Kind]]:
    """What is done on `entry` and when, ms since the epoch (the row's number where it has no time)."""
    if entry.at is None:
        return [(entry.row, Kind.SUBMIT)] + ([(entry.row, Kind.ASSIGN)] if assigns else [])
    opened = milliseconds(entry.at)
    steps = [(opened, Kind.SUBMIT)]
    told = entry.answers
    if assigns:
        steps.append((milliseconds(told.accepted) if told else opened + assign_after_ms, Kind.ASSIGN))
    if told is None:
        return steps
    steps.append((milliseconds(told.accepted), Kind.ACCEPT))
    if told.answered is not None:
        steps.append((milliseconds(told.answered), Kind.ANSWER))
    steps.append((milliseconds(told.resolved), Kind.RESOLVE))
    if told.rated is not None:
        steps.append((milliseconds(told.rated), Kind.RATE))
    return steps


class Script:
    """The steps of all entries, in order of time; where times are equal, of row and kind."""

    def __init__(
        self, entries: Iterable[Entry], *, assigns: bool = False, assign_after_ms: int = 3_600_000
    ) -> None:
        # Lives as long as the script does, and is gone with it.
        self._spool = cast(BinaryIO, tempfile.TemporaryFile(prefix="lianxin-replay-"))  # noqa: SIM115
        self._offsets = array("q", [0])
        times, rows, kinds = array("q"), array("i"), array("b")
        for entry in entries:
            self._spool.write(_encode(entry))
            self._offsets.append(self._spool.tell())
            for at, kind in moments(entry, assigns=assigns, assign_after_ms=assign_after_ms):
                times.append(at)
                rows.append(len(self._offsets) - 2)
                kinds.append(kind)
        self._times = np.array(times, dtype=np.int64)
        self._rows = np.array(rows, dtype=np.int32)
        self._kinds = np.array(kinds, dtype=np.int8)
        order = np.lexsort((self._kinds, self._rows, self._times))
        self._times, self._rows, self._kinds = self._times[order], self._rows[order], self._kinds[order]
        last = np.zeros(len(order), dtype=bool)
        # Of each row's steps the last: the first one seen from the end.
        last[len(order) - 1 - np.unique(self._rows[::-1], return_index=True)[1]] = True
        self._last = last

    def __len__(self) -> int:
        return len(self._times)

    @property
    def opinions(self) -> int:
        """How many entries there are."""
        return len(self._offsets) - 1

    def steps(self, since: int = 0) -> Iterator[Step]:
        """The steps from number `since` on."""
        for number in range(since, len(self)):
            entry = self._entry(int(self._rows[number]))
            at = None
            if entry.at is not None:
                at = datetime.fromtimestamp(int(self._times[number]) / 1000, UTC)
            yield Step(number, Kind(int(self._kinds[number])), entry, at, bool(self._last[number]))

    def at(self, number: int) -> datetime:
        """The instant of step `number` (UTC); of the last one for any beyond it."""
        return datetime.fromtimestamp(int(self._times[min(number, len(self) - 1)]) / 1000, UTC)

    def _entry(self, index: int) -> Entry:
        start, end = self._offsets[index], self._offsets[index + 1]
        self._spool.seek(start)
        return _decode(self._spool.read(end - start))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
