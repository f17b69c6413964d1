"""Asking for many documents by their ids or another field, at a cost in proportion to how many there are."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from lianxin_chassis.database import Collection, Document

T = TypeVar("T", bound=Hashable)

# Values in one `$in`. MongoDB would take thousands; a server that compares every document that it finds with
# every value asked for takes the square of the time.
PIECE = 64


async def find_in(
    collection: Collection,
    field: str,
    values: Iterable[Hashable],
    fields: Mapping[str, Any] | None = None,
    *,
    where: Mapping[str, Any] | None = None,
    last: Iterable[Hashable] = (),
) -> list[Document]:
    """The documents of `collection` whose `field` is one of `values` or `last`, with those `fields` of them
    that are asked for (default: all), in no order. `where`: further conditions, as of `find`.

    Asked in several questions, one after the other: `last` are asked for in the last of them, so a mark that
    is found among them was still there when everything else had been read. Raises PyMongo's errors.
    """
    asked = list(pieces(values))
    if more := [*last]:
        asked = [*asked[:-1], [*(asked[-1] if asked else ()), *more]]
    found: list[Document] = []
    for piece in asked:
        condition = {field: {"$in": piece}, **(where or {})}
        found += await collection.find(condition, fields).to_list(None)
    return found


def pieces(values: Iterable[T]) -> Iterator[list[T]]:
    """`values` without repetition, in their order, in lists of at most `PIECE`."""
    wanted = [*dict.fromkeys(values)]
    return (wanted[start : start + PIECE] for start in range(0, len(wanted), PIECE))
