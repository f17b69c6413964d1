"""What comes of a request that holds many opinions: one result for each, whatever ails the others."""

import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, TypeVar

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_intake.context import Intake
from lianxin_intake.door import Prepared

log = get_logger(__name__)

Outcome = Prepared | ProblemError
T = TypeVar("T")


def judged(prepare: Callable[[], T]) -> T | ProblemError:
    """What `prepare` returns, or why it refused. What nobody expected is logged and becomes a 500: one
    opinion never takes its neighbours with it."""
    try:
        return prepare()
    except ProblemError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this opinion's alone
        return _unexpected(error)


async def results_of(intake: Intake, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Hand in those of `outcomes` that may be accepted; for each outcome its `status`, and the receipt or the
    `problem`."""
    answers = await _answers(intake, [one for one in outcomes if isinstance(one, Prepared)])
    results: list[dict[str, Any]] = []
    for outcome in outcomes:
        refused = next(answers) if isinstance(outcome, Prepared) else outcome
        if refused is not None:
            results.append(_refused(refused))
        else:
            assert isinstance(outcome, Prepared)
            results.append({"status": 202, **intake.receipt(outcome)})
    return results


async def result_of(doing: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """`status` 202 and the receipt that `doing` gives, or its `problem`."""
    try:
        return {"status": 202, **await doing}
    except ProblemError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001 - logged; whatever it is, it is this one's alone
        return _refused(_unexpected(error))


def _refused(error: ProblemError) -> dict[str, Any]:
    return {"status": error.status, "problem": _problem_body(error)}


async def _answers(intake: Intake, prepared: Sequence[Prepared]) -> Iterator[ProblemError | None]:
    if not prepared:
        return iter(())
    try:
        return iter(await intake.door.hand_in(prepared))
    except Exception as error:  # noqa: BLE001 - logged; the opinions that were handed in before are answered
        return repeat(_unexpected(error))


def _unexpected(error: Exception) -> ProblemError:
    """500, logged under the id that it names, as for a single request."""
    reference = str(uuid.uuid4())
    log.error("unexpected error", reference=reference, exc_info=error)
    return ProblemError(500, "internal", "Something went wrong on our side", reference=reference)


def _problem_body(error: ProblemError) -> dict[str, Any]:
    """What a problem document says, without `status`, which the result has, and with `retry_after` in seconds
    in place of the header."""
    body: dict[str, Any] = {
        "type": f"urn:lianxin:problem:{error.code}",
        "code": error.code,
        "title": error.title,
    }
    if error.detail:
        body["detail"] = error.detail
    if error.headers and "Retry-After" in error.headers:
        body["retry_after"] = int(error.headers["Retry-After"])
    return body | error.extra
