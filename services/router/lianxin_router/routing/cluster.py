"""Which issue an opinion belongs to: near-duplicates by text, in the same grid, within some months.

The text becomes a MinHash signature over its runs of three characters (Broder 1997): the share of equal
numbers in two signatures estimates how many runs the texts have in common (Jaccard). Bands of the signature
are look-up keys (locality-sensitive hashing), so finding similar issues costs the same among any number of
them.

What is stored or told is hashed with a secret that all routers share: without it nobody can try out which
words make a signature or an issue's id. With another secret old and new texts are like nothing to each other.

Near-duplicates can still begin two issues: two routers see them at once, or their keys miss each other. An
opinion that is near both joins the two, but only where they are the same matter to each other: a text in the
middle makes no chain of what is not alike. Of two issues the one with the lower id goes on, whoever notices.
"""

import hashlib
import re
import struct
import unicodedata
from collections.abc import Iterable, Mapping
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
SHORTEST_SECRET = 16  # bytes
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
    """An issue as it was filed: its first case's grid, signature and length of text in characters. Signature
    and length are empty once that text is erased."""

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

    @property
    def into(self) -> str | None:
        """The issue that it was joined to."""


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue that begins with this opinion."""

    id: str
    grid: str
    signature: Signature
    length: int
    into: None = None


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is left of a text for comparing: `exact` is equal for equal texts, whatever their punctuation."""

    exact: str
    signature: Signature
    length: int


@dataclass(frozen=True, slots=True)
class Match:
    """The issue that an opinion joins, `similarity` 0..1; `new` where it is the first of it. `same`: pairs of
    issues that turned out to be one, (the one that ends, the one that goes on)."""

    issue: str
    similarity: float
    new: bool = False
    same: tuple[tuple[str, str], ...] = ()


def normalised(text: str) -> str:
    """Letters and digits only, in one width and case: what two people who mean the same may share."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).casefold()
    return _NEITHER.sub("", folded)


class Fingerprinter:
    """Makes fingerprints under one secret. Raises ValueError where that is shorter than 16 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"a secret of {len(secret)} bytes is too short")
        self._exact = hashlib.blake2b(secret, digest_size=32, person=b"exact").digest()
        key = hashlib.blake2b(secret, digest_size=32, person=b"signature").digest()
        self._seals = [key + number.to_bytes(1, "big") for number in range(NUMBERS)]

    def of(self, title: str | None, text: str) -> Fingerprints | None:
        """The fingerprints of an opinion, its title and text together; None without letter or digit."""
        words = normalised(f"{title or ''}\n{text}")
        if not words:
            return None
        exact = hashlib.blake2b(words.encode(), key=self._exact, digest_size=16).hexdigest()
        return Fingerprints(exact, self._signature(words), len(words))

    def _signature(self, words: str) -> Signature:
        """Only equality of numbers counts, so each is sealed by itself: one short hash for a number costs
        less than a keyed hash for every run of the text would."""
        plain = _minima(words).astype("<u4").tobytes()
        digests = [
            hashlib.blake2b(seal + plain[4 * at : 4 * at + 4], digest_size=4).digest()
            for at, seal in enumerate(self._seals)
        ]
        return struct.unpack(f">{NUMBERS}I", b"".join(digests))


def filing_keys(grid: str, signature: Signature, period: int) -> tuple[str, ...]:
    """The six keys under which an issue that began in `period` is filed."""
    bands = [signature[start : start + ROWS] for start in range(0, BANDS * ROWS, ROWS)]
    return tuple(
        f"{grid}/{period}/{hashlib.blake2b(f'{number}/{band}'.encode(), digest_size=8).hexdigest()}"
        for number, band in enumerate(bands)
    )


def keys(grid: str, found: Fingerprints, at: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(keys to file a new issue under, keys to look for issues under): six, and twice as many, for the
    period of `at` and the one before."""
    now = period(at)
    filing = filing_keys(grid, found.signature, now)
    here = f"{grid}/{now}/"
    return filing, filing + tuple(f"{grid}/{now - 1}/{key[len(here) :]}" for key in filing)


def new_issue(grid: str, found: Fingerprints, at: datetime) -> NewIssue:
    """The issue that this text begins: the same id for equal texts in one grid and period, so that routers
    that see twins at once agree."""
    id_ = derived("issue", grid, found.exact, str(period(at)))
    return NewIssue(id_, grid, found.signature, found.length)


def match(issues: Iterable[Issue], grid: str, found: Fingerprints, at: datetime) -> Match:
    """The most similar of `issues` that is the same matter in the same grid, or what that was joined to; else
    a new one. The order of `issues` doesn't matter."""
    known = {issue.id: issue for issue in issues}
    own = new_issue(grid, found, at).id
    near = [
        (1.0 if issue.id == own else similarity(issue.signature, found.signature), issue.id)
        for issue in known.values()
        if issue.id == own or (issue.grid == grid and _lengths_agree(issue.length, found.length))
    ]
    near = [one for one in near if one[0] >= SAME_MATTER]
    if not near:
        return Match(own, 1.0, new=True)
    best = max(near)
    pointers = {issue.id: issue.into for issue in known.values() if issue.into is not None}
    same = _the_same({root(id_, pointers) for _, id_ in near}, known)
    # The text of an own issue may be erased: then this one is its text from now on.
    new = own in known and not known[own].signature
    return Match(root(best[1], pointers | dict(same)), round(best[0], 3), new, same)


def root(issue: str, pointers: Mapping[str, str]) -> str:
    """What `issue` was joined to in the end; pointers go from higher ids to lower ones, so there is one."""
    while (further := pointers.get(issue)) is not None and further < issue:
        issue = further
    return issue


def same_matter(one: Issue, other: Issue) -> bool:
    """Whether the second would have joined the first, had one router seen one after the other."""
    return (
        one.grid == other.grid
        and _lengths_agree(one.length, other.length)
        and similarity(one.signature, other.signature) >= SAME_MATTER
    )


def _the_same(roots: Iterable[str], known: Mapping[str, Issue]) -> tuple[tuple[str, str], ...]:
    """Which of `roots` are one matter: each goes to the lowest that it is the same as."""
    ranked = [known[id_] for id_ in sorted(roots) if id_ in known]
    found = []
    for at, issue in enumerate(ranked):
        lowest = next((lower.id for lower in ranked[:at] if same_matter(lower, issue)), None)
        if lowest is not None:
            found.append((issue.id, lowest))
    return tuple(found)


def similarity(one: Signature, other: Signature) -> float:
    """The estimated share of runs of three characters that two texts have in common, 0..1."""
    if len(one) != len(other):
        return 0.0  # filed under other rules
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def _minima(words: str) -> NDArray[np.uint64]:
    """The least of 60 hashes over all runs of three characters; below 2**32."""
    padded = words if len(words) >= RUN else words.ljust(RUN)
    letters = np.frombuffer(padded.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    count = len(letters) - RUN + 1
    runs = np.zeros(count, dtype=np.uint64)
    for place, factor in enumerate(_RUN_FACTORS):
        runs += letters[place : place + count] * factor
    runs ^= runs >> _BITS
    hashed = (runs[None, :] * _FACTORS + _TERMS) >> _BITS
    least: NDArray[np.uint64] = hashed.min(axis=1)
    return least


def _lengths_agree(one: int, other: int) -> bool:
    return min(one, other) >= SHORTEST_SHARE * max(one, other)


def period(at: datetime) -> int:
    """The number of the period that `at` lies in."""
    return (at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days // PERIOD_DAYS
