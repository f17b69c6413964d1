"""Photos in MongoDB: the only file of intake that knows how they lie there.

An own record, backed up: nothing else holds it. `attachments` has one document per upload (its thumbnail in
it), the GridFS bucket `photos` one file. Every call may be repeated.

An upload expires unless an opinion names it. It is written down before its file is: what a process that died
has left behind is found, and dropped, with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId
from gridfs.errors import NoFile
from pymongo import ASCENDING, IndexModel, ReturnDocument, UpdateMany
from pymongo.errors import DuplicateKeyError

from lianxin_chassis.database import Database, Document, bucket
from lianxin_chassis.lookups import find_in
from lianxin_intake.photos.images import Picture

ATTACHMENTS = "attachments"
BUCKET = "photos"
_MOST_DROPPED = 200  # at once


@dataclass(frozen=True, slots=True)
class Kept:
    """One upload: by which channel, a digest of the bytes that came, the opinions that name it (the first is
    the one that it belongs to), where its file lies, and its size in pixels."""

    upload: str
    channel: str
    digest: str
    opinions: tuple[str, ...]
    file: ObjectId
    width: int
    height: int


class PhotoStore:
    """The uploads. Uploads go by their UUID, times are aware. Raises PyMongo's errors."""

    def __init__(self, db: Database) -> None:
        self._records = db[ATTACHMENTS]
        self._files = bucket(db, BUCKET)

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat."""
        await self._records.create_indexes(
            [
                IndexModel([("expires_at", ASCENDING)], name="expires_at", sparse=True),
                IndexModel([("opinions", ASCENDING)], name="opinions", sparse=True),
            ]
        )

    async def find(self, upload: str) -> Kept | None:
        """The upload, if it is there whole."""
        document = await self._records.find_one({"_id": upload, "stored": True}, {"thumb": 0})
        return _kept(document) if document is not None else None

    async def there(self, uploads: Iterable[str]) -> set[str]:
        """Those of `uploads` that are there."""
        found = await find_in(self._records, "_id", uploads, {"stored": 1})
        return {document["_id"] for document in found if document.get("stored")}

    async def put(
        self, upload: str, channel: str, digest: str, picture: Picture, now: datetime, until: datetime
    ) -> Kept | None:
        """Keep `picture` until `until`, unless it is there already; what is there comes back. None where it
        was dropped in the same moment."""
        file = ObjectId()
        first = {"channel": channel, "digest": digest, "stored": False, "opinions": []}
        begun = {"$setOnInsert": first, "$push": {"files": file}, "$max": {"expires_at": until}}
        try:
            await self._records.update_one({"_id": upload}, begun, upsert=True)
        except DuplicateKeyError:  # two came at once: the other one made it
            await self._records.update_one({"_id": upload}, begun)
        await self._files.upload_from_stream_with_id(file, f"{upload}.jpg", picture.full)
        whole = {
            "stored": True,
            "file": file,
            "digest": digest,
            "thumb": picture.thumb,
            "width": picture.width,
            "height": picture.height,
            "bytes": len(picture.full),
            "at": now,
        }
        await self._records.find_one_and_update({"_id": upload, "stored": False}, {"$set": whole})
        return await self.find(upload)

    async def keep_until(self, uploads: Iterable[str], until: datetime) -> None:
        """Have those of `uploads` that no opinion names yet expire at `until` at the soonest."""
        wanted = {"_id": {"$in": list(uploads)}, "expires_at": {"$exists": True}}
        await self._records.update_many(wanted, {"$max": {"expires_at": until}})

    async def name(self, named: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Each (opinion, uploads): they belong to it, and expire no more."""
        operations = [
            UpdateMany(
                {"_id": {"$in": list(uploads)}},
                {"$addToSet": {"opinions": opinion}, "$unset": {"expires_at": ""}},
            )
            for opinion, uploads in named
            if uploads
        ]
        if operations:
            await self._records.bulk_write(operations, ordered=False)

    async def full(self, kept: Kept) -> bytes | None:
        """The photo, as JPEG; None where it was dropped meanwhile."""
        try:
            stream = await self._files.open_download_stream(kept.file)
            content: bytes = await stream.read()
        except NoFile:
            return None
        return content

    async def thumb(self, upload: str) -> bytes | None:
        """The small one, as JPEG; None where there is none."""
        document = await self._records.find_one({"_id": upload, "stored": True}, {"thumb": 1})
        return bytes(document["thumb"]) if document is not None else None

    async def erase(self, opinions: Sequence[str]) -> None:
        """Delete the photos of `opinions`. One that belongs to another opinion, and was named here too, stays
        there alone."""
        erased = set(opinions)
        found = await find_in(self._records, "opinions", erased, {"files": 1, "opinions": 1})
        for document in found:
            if document["opinions"][0] in erased:
                await self._delete(document)
            else:
                await self._records.update_one(
                    {"_id": document["_id"]}, {"$pull": {"opinions": {"$in": [*erased]}}}
                )

    async def drop_expired(self, now: datetime) -> int:
        """Delete the uploads that expired before `now`, at most some hundred; how many there were."""
        found = self._records.find({"expires_at": {"$lt": now}}, {"files": 1}).limit(_MOST_DROPPED)
        dropped = 0
        for document in await found.to_list(None):
            # Named in this moment: it stays.
            gone = await self._records.find_one_and_update(
                {"_id": document["_id"], "expires_at": {"$lt": now}},
                {"$set": {"stored": False}, "$unset": {"thumb": ""}},
                return_document=ReturnDocument.AFTER,
            )
            if gone is not None:
                await self._delete(gone)
                dropped += 1
        return dropped

    async def _delete(self, document: Document) -> None:
        """The files first: a record that is left over leads to them again."""
        for file in document.get("files", ()):
            try:
                await self._files.delete(file)
            except NoFile:
                continue  # an earlier try got this far, or the upload never did
        await self._records.delete_one({"_id": document["_id"]})


def _kept(document: Document) -> Kept:
    return Kept(
        document["_id"],
        document["channel"],
        document["digest"],
        tuple(document.get("opinions", ())),
        document["file"],
        document["width"],
        document["height"],
    )
