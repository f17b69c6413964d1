"""Who is signed in, and which links are used up: own records, backed up like every one of them.

A session is kept under the SHA-256 of its token, which only the browser has: whoever reads the database can
sign in as nobody. Tokens are 256 random bits, so the hash needs no salt.
"""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from msgspec import Struct
from pymongo.errors import DuplicateKeyError

from lianxin_chassis.database import Database, Document
from lianxin_chassis.lookups import find_in
from lianxin_contracts import ids
from lianxin_contracts.inbound import Moment

SESSIONS = "signins"
USED_LINKS = "signin_links_used"
# What is over is still shown to administrators for this long.
KEPT = timedelta(days=90)


class Session(Struct, frozen=True, kw_only=True):
    """One sign-in. `id` names it to people and opens nothing; `provider` says how the person was known."""

    id: str
    person: str
    provider: str
    created: Moment
    expires: Moment
    revoked: Moment | None = None


class Sessions:
    """Opens, finds and revokes sign-ins. Raises PyMongo's errors."""

    def __init__(self, db: Database) -> None:
        self._sessions = db[SESSIONS]
        self._used = db[USED_LINKS]

    async def prepare(self) -> None:
        """Make the indexes. May be called again."""
        await self._sessions.create_index([("id", 1)], unique=True, name="id")
        await self._sessions.create_index([("person", 1), ("created", -1)], name="person")
        await self._sessions.create_index([("subject", 1)], sparse=True, name="subject")
        await self._sessions.create_index([("provider_session", 1)], sparse=True, name="provider_session")
        await self._sessions.create_index([("forget", 1)], expireAfterSeconds=0, name="forget")
        await self._used.create_index([("forget", 1)], expireAfterSeconds=0, name="forget")

    async def use_up(self, nonce: str, expires: datetime) -> bool:
        """Use a link up; False where it was used before. Of two at once one wins."""
        try:
            await self._used.insert_one({"_id": nonce, "forget": expires + timedelta(days=1)})
        except DuplicateKeyError:
            return False
        return True

    async def open(
        self,
        person: str,
        provider: str,
        now: datetime,
        valid: timedelta,
        *,
        subject: str | None = None,
        provider_session: str | None = None,
    ) -> tuple[str, Session]:
        """A new session and its token, which is kept nowhere. `subject` and `provider_session`: by what the
        provider would end it."""
        token = secrets.token_urlsafe(32)
        session = Session(id=ids.fresh(), person=person, provider=provider, created=now, expires=now + valid)
        at_provider = {"subject": subject, "provider_session": provider_session}
        await self._sessions.insert_one(
            {
                "_id": _digest(token),
                "id": session.id,
                "person": person,
                "provider": provider,
                "created": now,
                "expires": session.expires,
                "revoked": None,
                "forget": session.expires + KEPT,
                **{name: value for name, value in at_provider.items() if value is not None},
            }
        )
        return token, session

    async def of_token(self, token: str, now: datetime) -> Session | None:
        """The session that `token` opens; None for an unknown, expired or revoked one."""
        found = await self._sessions.find_one({"_id": _digest(token)})
        if found is None or found["revoked"] is not None or found["expires"] <= now:
            return None
        return _session(found)

    async def holds(self, id_: str, now: datetime) -> bool:
        """Whether the session `id_` is still open."""
        condition: Document = {"id": id_, "revoked": None, "expires": {"$gt": now}}
        return await self._sessions.find_one(condition, {"_id": 1}) is not None

    async def known(self, person: str | None, limit: int) -> list[Session]:
        """The newest sign-ins, of one person or of all, at most `limit`."""
        condition: Document = {} if person is None else {"person": person}
        found = await self._sessions.find(condition).sort("created", -1).limit(limit).to_list(limit)
        return [_session(document) for document in found]

    async def revoked_among(self, ids_: Collection[str]) -> set[str]:
        """Those of the sessions `ids_` that were ended by somebody (not by time)."""
        kept = await find_in(self._sessions, "id", list(ids_), {"id": 1, "revoked": 1})
        return set(ids_) & {document["id"] for document in kept if document["revoked"] is not None}

    async def revoke(self, id_: str, now: datetime) -> bool:
        """End a session at once; False where none of that id was open."""
        result = await self._sessions.update_one({"id": id_, "revoked": None}, {"$set": {"revoked": now}})
        return bool(result.modified_count)

    async def revoke_all(self, person: str, now: datetime) -> int:
        """End every session of one person; returns how many there were."""
        condition: Document = {"person": person, "revoked": None}
        return int((await self._sessions.update_many(condition, {"$set": {"revoked": now}})).modified_count)

    async def revoke_at_provider(
        self, subject: str | None, session: str | None, until: datetime, now: datetime
    ) -> int:
        """End what a provider ended: one of its sessions, or all of a subject. Only what was opened until
        `until`, so that an order that comes again ends nothing new. Returns how many there were."""
        named = {"provider_session": session, "subject": subject}
        condition: Document = {name: value for name, value in named.items() if value is not None}
        if not condition:
            return 0
        condition |= {"revoked": None, "created": {"$lte": until}}
        return int((await self._sessions.update_many(condition, {"$set": {"revoked": now}})).modified_count)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _session(document: Document) -> Session:
    return Session(
        id=document["id"],
        person=document["person"],
        provider=document["provider"],
        created=document["created"],
        expires=document["expires"],
        revoked=document["revoked"],
    )
