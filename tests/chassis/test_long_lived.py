"""What is in force is not walked by the collector, and goes all the same when something else is."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from lianxin_chassis.long_lived import keep_out_of_collection


class City:
    """Something that only a full collection can free: it refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def walked(thing: object) -> bool:
    return any(one is thing for one in gc.get_objects())


def test_what_is_alive_is_no_longer_walked_and_what_comes_later_is() -> None:
    before = City()
    assert walked(before)
    keep_out_of_collection()
    later = City()
    assert not walked(before)
    assert walked(later)


def test_what_was_kept_out_goes_once_it_is_replaced() -> None:
    old = City()
    gone = weakref.ref(old)
    keep_out_of_collection()
    del old
    gc.collect()
    assert gone() is not None
    keep_out_of_collection()
    assert gone() is None
