"""Which issue an opinion belongs to: near-duplicates by text, in the same grid, within some months.

The text becomes a MinHash signature over its runs of three characters (Broder 1997): the share of equal
numbers in two signatures estimates how many runs the texts have in common (Jaccard). Bands of the signature
are look-up keys (locality-sensitive hashing), so finding similar issues costs the same among any number of
them. A signature gives no words back, so nothing of it must be erased with them.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lianxin_contracts.ids import derived

RUN = 3  # characters
NUMBERS = 60  # of a signature; the estimate's standard error is at most 0.065
BANDS, ROWS = 6, 3  # a twin of similarity 0.6 is found with 77%, one of 0.7 with 92%, one of 0.8 with 99%
SAME_MATTER = 0.6
# Texts so different in length aren't the same however many runs they share.
SHORTEST_SHARE = 0.5
# An issue takes in new cases in its own quarter of a year or so and the next one.
PERIOD_DAYS = 90
LONGEST_TEXT = 1_000  # characters that count; what people write as one matter is told by then
_BITS = np.uint64(32)
_NEITHER = re.compile(r"[\W_]+")  # neither letter nor digit


def _constants(seed: int, count: int) -> NDArray[np.uint64]:
    """Fixed odd multipliers; the same for ever, since stored signatures depend on them."""
    made = [hashlib.blake2b(f"{seed}/{n}".encode(), digest_size=8).digest() for n in range(count)]
    return np.array([int.from_bytes(raw, "big") | 1 for raw in made], dtype=np.uint64)


_RUN_FACTORS = _constants(1, RUN)
_FACTORS = _constants(2, NUMBERS)[:, None]
_TERMS = _constants(3, NUMBERS)[:, None]

Signature = tuple[int, ...]


class Issue(Protocol):
    """An issue as it was filed: its first case's grid, signature and length of text in characters."""

    @property
    def id(self) -> str:
        """The issue's id."""

    @property
    def grid(self) -> str:
        """The grid that it lies in."""

    @property
    def signature(self) -> Signature:
        """The signature of its first case's text."""

    @property
    def length(self) -> int:
        """The normalised length of its first case's text."""


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue that begins with this opinion."""

    id: str
    grid: str
    signature: Signature
    length: int


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is left of a text for comparing: `exact` is equal for equal texts, whatever their punctuation."""

    exact: str
    signature: Signature
    length: int


@dataclass(frozen=True, slots=True)
class Match:
    """The issue that an opinion joins, `similarity` 0..1; `new` where it is the first of it."""

    issue: str
    similarity: float
    new: bool = False


def normalised(text: str) -> str:
    """Letters and digits only, in one width and case: what two people who mean the same may share."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).casefold()
    return _NEITHER.sub("", folded)


def fingerprints(text: str) -> Fingerprints | None:
    """The fingerprints of `text`; None where it has no letter or digit."""
    words = normalised(text)
    if not words:
        return None
    exact = hashlib.blake2b(words.encode(), digest_size=16).hexdigest()
    return Fingerprints(exact, _signature(words), len(words))


def fingerprints_of(title: str | None, text: str) -> Fingerprints | None:
    """The fingerprints of an opinion: its title and text together."""
    return fingerprints(f"{title or ''}\n{text}")


def keys(grid: str, found: Fingerprints, at: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(keys to file a new issue under, keys to look for issues under): six, and twice as many, for the
    period of `at` and the one before."""
    now = _period(at)
    bands = [found.signature[start : start + ROWS] for start in range(0, BANDS * ROWS, ROWS)]
    hashed = [
        hashlib.blake2b(f"{number}/{band}".encode(), digest_size=8).hexdigest()
        for number, band in enumerate(bands)
    ]
    filing = tuple(f"{grid}/{now}/{key}" for key in hashed)
    return filing, filing + tuple(f"{grid}/{now - 1}/{key}" for key in hashed)


def new_issue(grid: str, found: Fingerprints, at: datetime) -> NewIssue:
    """The issue that this text begins: the same id for equal texts in one grid and period, so that routers
    that see twins at once agree."""
    id_ = derived("issue", grid, found.exact, str(_period(at)))
    return NewIssue(id_, grid, found.signature, found.length)


def match(issues: Iterable[Issue], grid: str, found: Fingerprints, at: datetime) -> Match:
    """The most similar of `issues` that is the same matter in the same grid, else a new one."""
    own = new_issue(grid, found, at).id
    best: tuple[float, str] | None = None
    for issue in issues:
        if issue.id == own:
            return Match(own, 1.0)
        if issue.grid != grid or not _lengths_agree(issue.length, found.length):
            continue
        rank = (similarity(issue.signature, found.signature), issue.id)
        if rank[0] >= SAME_MATTER and (best is None or rank > best):
            best = rank
    if best is None:
        return Match(own, 1.0, new=True)
    return Match(best[1], round(best[0], 3))


def similarity(one: Signature, other: Signature) -> float:
    """The estimated share of runs of three characters that two texts have in common, 0..1."""
    if len(one) != len(other):
        return 0.0  # filed under other rules
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def _signature(words: str) -> Signature:
    padded = words if len(words) >= RUN else words.ljust(RUN)
    letters = np.frombuffer(padded.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    count = len(letters) - RUN + 1
    runs = np.zeros(count, dtype=np.uint64)
    for place, factor in enumerate(_RUN_FACTORS):
        runs += letters[place : place + count] * factor
    runs ^= runs >> _BITS
    hashed = (runs[None, :] * _FACTORS + _TERMS) >> _BITS
    return tuple(hashed.min(axis=1).tolist())


def _lengths_agree(one: int, other: int) -> bool:
    return min(one, other) >= SHORTEST_SHARE * max(one, other)


def _period(at: datetime) -> int:
    return (at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days // PERIOD_DAYS
