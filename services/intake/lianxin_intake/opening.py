"""Opening an opinion by its tracking code: whether the code is right, and how often it may be used.

Wrong codes are limited by address, so that guessing stays cheap for us. Right ones are limited by opinion:
who holds a code may read and speak, but every command stays on the log, a refused one for ever.
"""

from typing import Literal

from starlette.requests import Request

from lianxin_chassis.problems import ProblemError
from lianxin_chassis.rates import Buckets, address_of, retry_after
from lianxin_intake.tracking import TrackingCodes

Use = Literal["read", "command"]

__all__ = ["Opening", "Use", "address_of"]


class Opening:
    """Checks tracking codes, within limits on this instance."""

    def __init__(self, codes: TrackingCodes, wrong: Buckets, reads: Buckets, commands: Buckets) -> None:
        """`wrong` by address; `reads` and `commands` by opinion."""
        self._codes = codes
        self._wrong = wrong
        self._uses = {"read": reads, "command": commands}

    def require(self, request: Request, opinion: str, code: str, use: Use) -> None:
        """Raises 403 where `code` does not open `opinion`, 429 for an address that sent too many wrong ones
        and for an opinion that is read or spoken of too often."""
        self.require_guesses(request)
        if not self._codes.opens(code, opinion):
            self.guessed_wrong(request)
            raise ProblemError(
                403,
                "tracking_code_missing" if not code else "tracking_code_wrong",
                "The tracking code does not belong to this opinion"
                if code
                else "The tracking code is missing",
                "Send the code from the receipt as tracking_code; a channel's key is not enough. "
                "Case, spaces and hyphens don't matter.",
                field="tracking_code",
            )
        self.require_use(opinion, use)

    def require_guesses(self, request: Request) -> None:
        """Raises 429 for an address that sent too many wrong codes, whatever it sends now."""
        if wait := self._wrong.empty_for(address_of(request)):
            raise ProblemError(
                429,
                "too_many_wrong_codes",
                "Too many wrong tracking codes came from this address",
                "Wait as long as Retry-After says, then copy the code from the receipt.",
                headers=retry_after(wait),
            )

    def guessed_wrong(self, request: Request) -> None:
        """Count a code that belongs to no opinion against the address that sent it."""
        self._wrong.take(address_of(request))

    def require_use(self, opinion: str, use: Use) -> None:
        """Raises 429 for an opinion that is read or spoken of too often."""
        if wait := self._uses[use].take(opinion):
            raise ProblemError(
                429,
                "too_many_requests",
                "This opinion is asked about or spoken of too often",
                "Wait as long as Retry-After says.",
                headers=retry_after(wait),
            )
