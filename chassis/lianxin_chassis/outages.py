"""Telling a fault of the surroundings from a bad record: the first is waited out, the second is put aside."""

import asyncio
import random
from collections.abc import Sequence

import aiokafka.errors
import pymongo.errors

from lianxin_contracts.envelope import OutRecord


class Outage(Exception):
    """A fault of the surroundings, not of a record. `what` names what is away, for the log and the metric."""

    def __init__(self, detail: str, what: str = "surroundings") -> None:
        super().__init__(detail)
        self.what = what


class NotConfirmed(Outage):
    """The broker had not acknowledged `unconfirmed` by the deadline. Each may or may not be written: publish
    the same records again (same ids) to be sure. Those among them that are `unsent` were never handed to the
    client: they are certainly not written."""

    def __init__(
        self, unconfirmed: Sequence[OutRecord], detail: str, unsent: Sequence[OutRecord] = ()
    ) -> None:
        super().__init__(detail, what="broker")
        self.unconfirmed = unconfirmed
        self.unsent = unsent


class Overloaded(Outage):
    """More records are in flight than fit before the deadline: nothing of this call was sent."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, what="broker")


# Not the subclasses that blame what was asked for: a duplicate key, a document too large, a bad query.
_DATABASE = (
    pymongo.errors.ConnectionFailure,  # AutoReconnect, ServerSelectionTimeoutError, NetworkTimeout …
    pymongo.errors.WaitQueueTimeoutError,
    pymongo.errors.ExecutionTimeout,
    pymongo.errors.CursorNotFound,
)
# MongoDB's codes for "not now": shutdown, step-down, interruption, write concern not met in time, a cursor
# ended under its reader because somebody dropped the collection or killed it.
_DATABASE_CODES = frozenset(
    {6, 7, 50, 64, 79, 89, 91, 175, 189, 237, 262, 9001, 10107, 11600, 11602, 13435, 13436}
)
_BROKEN_RECORD = (
    aiokafka.errors.MessageSizeTooLargeError,
    aiokafka.errors.RecordTooLargeError,
    aiokafka.errors.RecordListTooLargeError,
    aiokafka.errors.InvalidTopicError,
    aiokafka.errors.InvalidTimestampError,
    aiokafka.errors.IllegalArgumentError,
    aiokafka.errors.UnsupportedCodecError,
)


def outage(error: BaseException) -> str | None:
    """What is away ("database", "broker", "network") if `error` is a fault of the surroundings, else None."""
    if isinstance(error, Outage):
        return error.what
    if isinstance(error, _BROKEN_RECORD):
        return None
    if isinstance(error, aiokafka.errors.KafkaError):
        return "broker"
    if isinstance(error, _DATABASE):
        return "database"
    if isinstance(error, pymongo.errors.BulkWriteError):
        # A bulk that failed on its records is their fault; one that only missed its write concern isn't.
        only_concern = not error.details.get("writeErrors") and error.details.get("writeConcernErrors")
        return "database" if only_concern else None
    if isinstance(error, pymongo.errors.OperationFailure):
        transient = error.code in _DATABASE_CODES or error.has_error_label("RetryableWriteError")
        return "database" if transient else None
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "network"
    # Not every OSError: FileNotFoundError and PermissionError are mistakes of ours that no waiting mends.
    if isinstance(error, ConnectionError | InterruptedError | BlockingIOError):
        return "network"
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | PermissionError):
        return "network"
    return None


class Backoff:
    """Waiting times for one outage: doubling from `first_s` to `cap_s` seconds, each shortened by up to half
    at random, so that processes which lost the same broker don't all come back at once."""

    def __init__(self, first_s: float = 0.1, cap_s: float = 30.0) -> None:
        self._first = first_s
        self._cap = cap_s
        self._next = first_s

    def reset(self) -> None:
        """Call after a success."""
        self._next = self._first

    def next(self) -> float:
        """Seconds to wait now."""
        wait = self._next
        self._next = min(self._cap, self._next * 2)
        return wait * random.uniform(0.5, 1.0)
