"""CSV as it comes: cut into records while it is read, so that only one record and the chunk in hand are held.

Records are cut as bytes and decoded one by one: in UTF-8 as in GB18030 no byte of a longer character looks
like a quotation mark, a comma or a line end. Which of the two it is, is told by the first 64 KiB that say so.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence

from lianxin_chassis.problems import ProblemError
from lianxin_intake.files.rows import Row
from lianxin_intake.opinion import MAX_BYTES, Fault

DELIMITERS = (",", "\t", ";")
_HEAD_BYTES = 64 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030"
}  # fmt: skip


class Records:
    """Cuts chunks into records of a CSV file, of `limit` bytes at most. A line end inside quotation marks
    belongs to the record; what grows beyond the limit ends at the next line end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun = bytearray()
        self._open = False
        self._skipping = False
        self._number = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | None]]:
        """The records that end in `chunk`, each with its number; None where it was too long."""
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._add(piece)
            if self._open and not self._skipping:
                self._add(b"\n")
            else:
                yield self._cut()
        self._add(rest)

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        """The last record, where it had no line end of its own."""
        if self._begun or self._skipping:
            yield self._cut()

    def _add(self, piece: bytes) -> None:
        if self._skipping or len(self._begun) + len(piece) > self._limit:
            self._skipping = True
            self._begun.clear()
        else:
            self._begun += piece
            self._open ^= piece.count(b'"') % 2 == 1

    def _cut(self) -> tuple[int, bytes | None]:
        self._number += 1
        record = None if self._skipping else bytes(self._begun).rstrip(b"\r")
        self._begun.clear()
        self._open = self._skipping = False
        return self._number, record


class Encoding:
    """UTF-8 or GB18030: as told, else as the first characters beyond ASCII tell."""

    def __init__(self, told: str | None) -> None:
        self.name = told

    def learn(self, head: bytes, *, whole: bool) -> None:
        """Look at the beginning of the file; `whole`: it is all of it."""
        if self.name is None and not head.isascii():
            try:
                head.decode("utf-8")
            except UnicodeDecodeError as error:
                cut_off = not whole and error.start > len(head) - 4
                self.name = "utf-8" if cut_off else "gb18030"
            else:
                self.name = "utf-8"

    def text(self, raw: bytes) -> str:
        """Raises UnicodeDecodeError."""
        if raw.isascii():
            return raw.decode("ascii")
        if self.name is None:
            self.learn(raw, whole=True)
        return raw.decode(self.name or "utf-8")


class DelimitedTable:
    """A CSV file whose bytes come in `chunks`; `charset` where the sender says it, as in `CHARSETS`."""

    def __init__(self, chunks: AsyncIterator[bytes], charset: str | None = None) -> None:
        self._chunks = chunks
        self._records = Records(MAX_BYTES)
        self._encoding = Encoding(charset)
        self._waiting: list[tuple[int, bytes | None]] = []
        self._delimiter = ","

    async def heading(self) -> Row:
        """As `Table` says. Raises 415 for UTF-16 and 422 for a file without a heading."""
        head = await self._head()
        if head.startswith(_UTF16_MARKS):
            raise ProblemError(
                415, "unsupported_media_type", "The file is in UTF-16", "Save it as CSV UTF-8, or as .xlsx."
            )
        if head.startswith(_UTF8_MARK):
            head, self._encoding.name = head[len(_UTF8_MARK) :], "utf-8"
        self._encoding.learn(head, whole=len(head) < _HEAD_BYTES)
        self._waiting += self._records.feed(head)
        while True:
            while self._waiting:
                number, raw = self._waiting.pop(0)
                if raw is not None and raw.strip(b" \t,;"):
                    return self._heading(number, raw)
                if raw is None:
                    raise no_heading("Its first line is too long.")
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._waiting += self._records.end()
                if not self._waiting:
                    raise no_heading("It is empty.")
            else:
                self._waiting += self._records.feed(chunk)

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """As `Table` says."""
        yield [self._row(number, raw) for number, raw in self._waiting]
        self._waiting.clear()
        async for chunk in self._chunks:
            yield [self._row(number, raw) for number, raw in self._records.feed(chunk)]
        yield [self._row(number, raw) for number, raw in self._records.end()]

    async def _head(self) -> bytes:
        head = bytearray()
        while len(head) < _HEAD_BYTES and (chunk := await anext(self._chunks, None)) is not None:
            head += chunk
        return bytes(head)

    def _heading(self, number: int, raw: bytes) -> Row:
        try:
            text = self._encoding.text(raw)
        except UnicodeDecodeError:
            raise no_heading("It is neither UTF-8 nor GB18030.") from None
        self._delimiter = max(DELIMITERS, key=text.count)
        row = self._parsed(number, text)
        if row.fault is not None:
            raise no_heading(row.fault.message)
        return row

    def _row(self, number: int, raw: bytes | None) -> Row:
        if raw is None:
            message = f"More than {MAX_BYTES} bytes; is a quotation mark missing?"
            return Row(number, fault=Fault("row", "too_large", message))
        try:
            return self._parsed(number, self._encoding.text(raw))
        except UnicodeDecodeError:
            message = f"The row is not {(self._encoding.name or 'utf-8').upper()}, as the file began."
            return Row(number, fault=Fault("row", "bad_encoding", message))

    def _parsed(self, number: int, text: str) -> Row:
        try:
            # A record is one row, so that where its quotation marks allow two, the file is broken.
            found = list(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            return Row(number, fault=Fault("row", "bad_quoting", f"{error}."))
        if len(found) > 1:
            return Row(number, fault=Fault("row", "bad_quoting", "A quotation mark is missing or too many."))
        return Row(number, tuple(found[0]) if found else ())


def no_heading(why: str) -> ProblemError:
    """422: the file has no row of column names."""
    return ProblemError(
        422, "no_heading", "The file has no heading", f"{why} The first row holds the names of the columns."
    )
