"""Finding places by what was heard: names of districts, streets, communities, grids and stations.

Pure: a city and some words in, places out, the best first, always in the same order. A name counts as found
by itself, by its beginning, by a part of it, by characters that sound the same, by pinyin or its initials;
and where nothing else is found, with one character wrong, missing or too many.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lianxin_contracts.registry import Snapshot
from lianxin_intake.desk.pinyin import Readings, readings, sounds_like, spelled

Kind = Literal["district", "street", "community", "station", "grid"]
MAX_QUERY = 64  # characters
# How well a word names a place; the lower the better.
SAME, BEGINS, SOUNDS_SAME, CONTAINS, SPELLS_ALL, SOUNDS, SPELLS, NAMES_MORE, ONE_OFF = range(9)
EXACT = SAME
# What a word costs that names only what the place lies in.
_AROUND = 1
_ORDER: dict[Kind, int] = {"community": 0, "station": 1, "grid": 2, "street": 3, "district": 4}
# What an office or a kind of area adds to the name that people say.
_OFFICES = ("居民委员会", "村民委员会", "居委会", "村委会")
_KINDS = ("社区", "街道", "村", "镇", "区")
_SHORTEST_CORE = 2
_SHORTEST_ONE_OFF = 3
_SEPARATORS = re.compile(r"[\s,，、。.;；:：/·\-—()（）]+")
# What follows a name when somebody says where: 金匮桥旁边.
_BESIDE = re.compile(r"(?:附近|旁边|边上|对面|门口|这边|那边|这里|那里|里面)+$")


@dataclass(frozen=True, slots=True)
class Place:
    """A place with the names of what it lies in, the widest first. `grid` is the grid that it means: itself,
    a station's, the only one of a region; None where a region has several."""

    kind: Kind
    id: str
    name: str
    within: tuple[str, ...]
    grid: str | None

    @property
    def full(self) -> str:
        """The name with everything around it, as an address begins."""
        return "".join((*self.within, self.name))


@dataclass(frozen=True, slots=True)
class Match:
    """A place and how well the words name it: 0 is its whole name, the higher the less certain."""

    place: Place
    rank: int


@dataclass(frozen=True, slots=True)
class _Name:
    text: str
    sound: Readings


@dataclass(frozen=True, slots=True)
class _Entry:
    place: Place
    names: tuple[_Name, ...]
    around: tuple[_Name, ...]


class PlaceFinder:
    """The places of one city, ready to be searched: some milliseconds for a city of thousands."""

    def __init__(self, city: Snapshot) -> None:
        self._entries = list(_entries(city))
        wide = {name.text for entry in self._entries if entry.place.kind in ("district", "street")
                for name in entry.names}  # fmt: skip
        self._wide = sorted(wide, key=lambda name: (-len(name), name))
        self._by_id: dict[tuple[str, str], Place] = {
            (entry.place.kind, entry.place.id): entry.place for entry in self._entries
        }

    def get(self, kind: str, id_: str) -> Place | None:
        """The place with this kind and id."""
        return self._by_id.get((kind, id_))

    def find(self, said: str, limit: int = 8) -> list[Match]:
        """At most `limit` places that `said` may mean (its first `MAX_QUERY` characters), the best first."""
        readings_of = [_query(words) for words in self._ways_to_read(said[:MAX_QUERY])]
        if not readings_of:
            return []
        found = self._ranked(readings_of, one_off=False) or self._ranked(readings_of, one_off=True)
        return found[:limit]

    def _ways_to_read(self, said: str) -> list[list[str]]:
        """The words of `said`, and, where they run together, once more with a district or street cut off in
        front: 金匮街道永定桥."""
        words = [word for part in _SEPARATORS.split(_plain(said)) if (word := _BESIDE.sub("", part) or part)]
        if not words:
            return []
        ways = [words]
        head = words[0]
        for name in self._wide:
            if head.startswith(name) and len(head) - len(name) >= _SHORTEST_CORE:
                ways.append([name, head[len(name) :], *words[1:]])
                break
        return ways

    def _ranked(self, ways: Sequence[Sequence[_Name]], *, one_off: bool) -> list[Match]:
        matches = []
        judged = _Judged(one_off)
        for entry in self._entries:
            ranks = [rank for words in ways if (rank := _rank(words, entry, judged)) is not None]
            if ranks:
                matches.append(Match(entry.place, min(ranks)))
        return sorted(matches, key=_order)


def _order(match: Match) -> tuple[int, int, int, str, str]:
    place = match.place
    return match.rank, _ORDER[place.kind], len(place.name), place.full, place.id


def _query(words: Sequence[str]) -> list[_Name]:
    return [_Name(word, () if word.isascii() else readings(word)) for word in words]


class _Judged:
    """How well each word of a query names each name: most names stand around many places."""

    def __init__(self, one_off: bool) -> None:
        self._one_off = one_off
        self._known: dict[tuple[str, str], int | None] = {}

    def best(self, word: _Name, names: Sequence[_Name]) -> int | None:
        """The best that `word` does by one of `names`; None where it names none of them."""
        best: int | None = None
        for name in names:
            pair = (word.text, name.text)
            if pair in self._known:
                rank = self._known[pair]
            else:
                rank = self._known[pair] = _named(word, name, one_off=self._one_off)
            if rank is not None and (best is None or rank < best):
                best = rank
        return best


def _rank(words: Sequence[_Name], entry: _Entry, judged: _Judged) -> int | None:
    """The sum over `words`: each names the place or what it lies in, and one at least the place itself."""
    total, itself = 0, False
    for word in words:
        own = judged.best(word, entry.names)
        if own is not None:
            total += own
            itself = True
            continue
        around = judged.best(word, entry.around)
        if around is None:
            return None
        total += around + _AROUND
    return total if itself else None


def _named(word: _Name, name: _Name, *, one_off: bool) -> int | None:
    """How `word` names the place called `name`; None where it does not."""
    said, called = word.text, name.text
    if said == called:
        return SAME
    if called.startswith(said):
        return BEGINS
    if said in called:
        return CONTAINS
    if said.isascii():
        count = spelled(said, name.sound)
        if count is None:
            return None
        return SPELLS_ALL if count == len(name.sound) else SPELLS
    if sounds_like(word.sound, name.sound):
        return SOUNDS_SAME if len(word.sound) == len(name.sound) else SOUNDS
    if len(called) > _SHORTEST_CORE and called in said:
        return NAMES_MORE
    if one_off and len(said) >= _SHORTEST_ONE_OFF and _differ_by_one(said, called):
        return ONE_OFF
    return None


def _differ_by_one(one: str, other: str) -> bool:
    """Whether a character is wrong, missing or too many, and no more."""
    if abs(len(one) - len(other)) > 1:
        return False
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    rests = {
        (one[same + 1 :], other[same + 1 :]),
        (one[same:], other[same + 1 :]),
        (one[same + 1 :], other[same:]),
    }
    return any(a == b for a, b in rests)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _names(name: str) -> tuple[_Name, ...]:
    """`name` and what people call it: without the office, without the kind of area."""
    found = [_plain(name)]
    for endings in (_OFFICES, _KINDS):
        for ending in endings:
            core = found[-1].removesuffix(ending)
            if core != found[-1] and len(core) >= _SHORTEST_CORE:
                found.append(core)
                break
    return tuple(_Name(text, readings(text)) for text in dict.fromkeys(found))


def _entries(city: Snapshot) -> Iterator[_Entry]:
    regions = city.regions
    names = {code: _names(region.name) for code, region in regions.items()}
    grids_in: dict[str, list[str]] = {}
    for grid in city.grids.values():
        for code in (grid.district, grid.street, grid.community):
            grids_in.setdefault(code, []).append(grid.id)

    def entry(kind: Kind, id_: str, name: str, grid: str | None, codes: Sequence[str]) -> _Entry:
        around = [code for code in codes if code in regions]
        place = Place(kind, id_, name, tuple(regions[code].name for code in around), grid)
        return _Entry(place, _names(name), tuple(one for code in around for one in names[code]))

    for code, region in regions.items():
        inside = grids_in.get(code, [])
        parents = [code[:digits] for digits in (6, 9) if digits < len(code)]
        yield entry(region.kind, code, region.name, inside[0] if len(inside) == 1 else None, parents)
    for grid in city.grids.values():
        yield entry("grid", grid.id, grid.name, grid.id, (grid.district, grid.street, grid.community))
    for station in city.stations.values():
        at = station.grid
        yield entry("station", station.id, station.name, at, (at[:6], at[:9]))
