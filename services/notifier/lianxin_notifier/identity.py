"""The port by which somebody shows who they are, and the provider behind it that every city has: a link."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from lianxin_chassis.problems import ProblemError
from lianxin_notifier.sessions import Sessions
from lianxin_notifier.signin_links import Link, SignInLinks

Proof = TypeVar("Proof", contravariant=True)


@dataclass(frozen=True, slots=True)
class Known:
    """Who somebody is: an id of the registry. `subject` and `session` are by what the provider would end the
    sign-in, where it does that."""

    person: str
    subject: str | None = None
    session: str | None = None


class IdentityProvider(Protocol[Proof]):
    """Somebody who vouches for people: a link that was sent to them, or a city's own identity service."""

    @property
    def name(self) -> str:
        """What a session says of how its person was known."""

    async def identify(self, proof: Proof) -> Known:
        """Whom `proof` shows; a proof is heeded once. Raises ProblemError (403, 410, 503)."""


class LinkProvider:
    """Whoever has a link is the person to whom it was sent."""

    name = "link"

    def __init__(self, links: SignInLinks, sessions: Sessions) -> None:
        self._links = links
        self._sessions = sessions

    def look(self, proof: str) -> Link:
        """What a link says, without using it up. Raises 403 for one not made here, 410 for one too old."""
        link = self._links.read(proof)
        if link is None:
            raise ProblemError(403, "link_unknown", "This link was not made here", "Ask for a new one.")
        if self._links.expired(link):
            raise ProblemError(410, "link_expired", "This link is too old", "Ask for a new one.")
        return link

    async def identify(self, proof: str) -> Known:
        """As the port says; 410 also for a link that was used."""
        link = self.look(proof)
        if not await self._sessions.use_up(link.nonce, datetime.fromtimestamp(link.expires, UTC)):
            raise ProblemError(
                410, "link_used", "This link was used", "A link signs in once. Ask for a new one."
            )
        return Known(link.person)
