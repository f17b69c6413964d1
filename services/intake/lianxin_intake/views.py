"""The shape of `GET /v1/opinions/{id}`. Design, section 6."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lianxin_contracts.registry import Snapshot
from lianxin_intake.attachments import upload_of
from lianxin_intake.projection import Step, Tracked
from lianxin_intake.sentences import Language, sentence

View = dict[str, Any]


def view(tracked: Tracked, words: Mapping[str, str], language: Language, city: Snapshot | None) -> View:
    """`tracked` as its owner may see it. `words` by part id; none are shown of an erased opinion."""
    words = {} if tracked.erased else words
    return {
        "id": tracked.id,
        "stage": tracked.stage,
        "topic": tracked.topic,
        "grid": tracked.grid,
        "submitted_at": _shown(tracked.submitted_at),
        "holder": tracked.holder,
        "due": _shown(tracked.due),
        "timeline": [
            {
                "at": _shown(step.at),
                "type": step.type,
                "text": words.get(step.words or "") or sentence(step, language, city),
            }
            | ({"photos": photos} if (photos := shown_photos(tracked, step)) else {})
            for step in tracked.timeline
        ],
        "rating": tracked.rating,
    }


def shown_photos(tracked: Tracked, step: Step) -> list[str]:
    """The ids of the photos at `step` that `GET /v1/attachments/{id}` may have: none of an erased opinion,
    and none that a replay or another system made up."""
    return [] if tracked.erased else [photo for photo in step.photos if upload_of(photo) is not None]


def not_yet_projected(opinion: str, submitted_at: datetime | None) -> View:
    """An opinion that was accepted and whose case isn't there yet."""
    return {
        "id": opinion,
        "stage": "submitted",
        "topic": None,
        "grid": None,
        "submitted_at": _shown(submitted_at),
        "holder": None,
        "due": None,
        "timeline": [],
        "rating": None,
    }


def _shown(moment: datetime | None) -> str | None:
    """RFC 3339, UTC, milliseconds: what the database keeps."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
