"""A row of a table, whatever kind of file it lies in."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lianxin_intake.opinion import Fault


@dataclass(frozen=True, slots=True)
class Row:
    """One row, counted as a spreadsheet shows it: the heading is row 1 where nothing stands above it. `fault`
    says why it can't be read; else `cells` are its texts."""

    number: int
    cells: tuple[str, ...] = ()
    fault: Fault | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands in it."""
        return self.fault is None and not any(cell and not cell.isspace() for cell in self.cells)


class Table(Protocol):
    """A file with a heading."""

    async def heading(self) -> Row:
        """The first row that is not empty; read once, before `rows`. Raises `ProblemError`."""

    def rows(self) -> AsyncIterator[Sequence[Row]]:
        """The rows below the heading, as they come. Raises 400 where the client goes away."""
