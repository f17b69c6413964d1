"""The shape of `GET /v1/opinions/{id}`. Design, section 6."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lianxin_contracts.registry import Snapshot
from lianxin_intake.projection import Tracked
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
            for step in tracked.timeline
        ],
        "rating": tracked.rating,
    }


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
