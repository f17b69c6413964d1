"""Conversations in MongoDB: an own record of intake, to be backed up. The only file that knows it.

`wechat.conversations`, one document per person and account, named by a keyed hash of the openid; each change
is saved against the version that was read. `wechat.nonces`, what was posted lately, goes by itself.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from lianxin_chassis.database import Database
from lianxin_intake.wechat.conversation import IDLE, Conversation

CONVERSATIONS = "wechat.conversations"
NONCES = "wechat.nonces"
# How long a conversation is remembered after its last message: what 进度 can still show.
KEEP = timedelta(days=180)
KEEP_NONCES = timedelta(minutes=30)
# Whoever sends an opinion off tries first; after this somebody else may.
SENDING_S = 10.0

_decoder = msgspec.json.Decoder(Conversation)


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation as it was read; `version` 0: there is none yet."""

    id: str
    channel: str
    version: int
    conversation: Conversation


class ConversationStore:
    """Raises PyMongo's errors."""

    def __init__(self, db: Database) -> None:
        self._conversations = db[CONVERSATIONS]
        self._nonces = db[NONCES]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat."""
        await self._conversations.create_indexes(
            [
                IndexModel([("due", ASCENDING)], name="due"),
                IndexModel(
                    [("updated_at", ASCENDING)], name="kept", expireAfterSeconds=int(KEEP.total_seconds())
                ),
            ]
        )
        await self._nonces.create_indexes(
            [
                IndexModel(
                    [("at", ASCENDING)], name="kept", expireAfterSeconds=int(KEEP_NONCES.total_seconds())
                )
            ]
        )

    async def load(self, id_: str, channel: str) -> Kept:
        """The conversation `id_` of `channel`, empty where there is none."""
        document = await self._conversations.find_one({"_id": id_})
        if document is None:
            return Kept(id_, channel, 0, Conversation())
        return Kept(id_, document["channel"], document["version"], _decoder.decode(document["state"]))

    async def save(self, kept: Kept, conversation: Conversation, now: datetime) -> bool:
        """Put `conversation` in the place of `kept`; False where somebody else has changed it meanwhile."""
        document = {
            "_id": kept.id,
            "channel": kept.channel,
            "version": kept.version + 1,
            "state": msgspec.json.encode(conversation).decode(),
            "due": _due(conversation),
            "updated_at": now,
        }
        if kept.version == 0:
            try:
                await self._conversations.insert_one(document)
            except DuplicateKeyError:
                return False
            return True
        done = await self._conversations.replace_one({"_id": kept.id, "version": kept.version}, document)
        return bool(done.matched_count == 1)

    async def due(self, now: datetime, most: int) -> list[Kept]:
        """Up to `most` conversations with something to send off or an idle draft."""
        found = self._conversations.find({"due": {"$lte": now}}).sort("due", ASCENDING).limit(most)
        return [
            Kept(one["_id"], one["channel"], one["version"], _decoder.decode(one["state"]))
            async for one in found
        ]

    async def is_first_use(self, nonce: str, digest: str, now: datetime) -> bool:
        """Whether `nonce` was never used, or for the same content (`digest`) only: WeChat's own retry."""
        try:
            await self._nonces.insert_one({"_id": nonce, "digest": digest, "at": now})
        except DuplicateKeyError:
            known = await self._nonces.find_one({"_id": nonce})
            return known is None or bool(known["digest"] == digest)
        return True


def _due(conversation: Conversation) -> datetime | None:
    """When somebody has to look at it though its person says nothing."""
    moments = [one.at + timedelta(seconds=SENDING_S) for one in conversation.outgoing]
    if conversation.touched is not None:
        moments.append(conversation.touched + IDLE)
    return min(moments, default=None)
