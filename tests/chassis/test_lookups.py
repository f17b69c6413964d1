"""Many documents are asked for in pieces, and a mark last."""

from typing import Any

import pytest

from lianxin_chassis.counting import FRESH_S, STALE_S, pause
from lianxin_chassis.database import Database
from lianxin_chassis.lookups import PIECE, find_in, pieces


class Overheard:
    """A collection that notes what it was asked for."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.asked: list[list[Any]] = []

    def find(self, condition: dict[str, Any], fields: Any = None) -> Any:
        self.asked.append(condition["_id"]["$in"])
        return self.wrapped.find(condition, fields)


@pytest.mark.parametrize("many", [0, 1, PIECE, PIECE + 1, 5 * PIECE - 1])
async def test_everything_is_found_once_and_the_mark_after_all_of_it(db: Database, many: int) -> None:
    ids = [f"{n:04d}" for n in range(many)]
    await db["things"].insert_many([{"_id": id_, "even": int(id_) % 2 == 0} for id_ in [*ids, "9999"]])
    overheard: Any = Overheard(db["things"])
    found = await find_in(overheard, "_id", [*ids, *ids], {"_id": 1}, last=["9999"])
    assert sorted(document["_id"] for document in found) == [*ids, "9999"]
    assert all(document.keys() == {"_id"} for document in found)
    assert "9999" in overheard.asked[-1]
    assert max(map(len, overheard.asked)) <= PIECE + 1
    even = await find_in(db["things"], "_id", ids, where={"even": True})
    assert sorted(document["_id"] for document in even) == ids[::2]


def test_pieces_keep_the_order_and_drop_repetitions() -> None:
    assert list(pieces([3, 1, 3, 2])) == [[3, 1, 2]]
    assert list(pieces(range(PIECE + 1)))[-1] == [PIECE]
    assert list(pieces([])) == []


def test_the_longer_a_count_takes_the_less_often_it_is_told() -> None:
    assert pause(0.001) == FRESH_S
    assert FRESH_S < pause(0.1) < pause(1.0) < STALE_S
    assert pause(60.0) == STALE_S
