"""What must be erasable: the payloads of `opinions.words` and `contacts`, keyed `{opinion id}/{part id}`.

Each key is written once and removed once. The part id is `text` for the opinion itself, else the id of the
inbound event that brought the words.
"""

from typing import Literal

from msgspec import Struct

from lianxin_contracts.ids import derived
from lianxin_contracts.inbound import Actor, Place

OPINION_PART = "text"


class Words(Struct, frozen=True):
    """`words.written`: free text of one part, and for the opinion itself its title, address and exact
    place. `media_url` is a link that was given with the text, never fetched. `published` is what the office
    has released for anybody to read; all other kinds are private."""

    opinion: str
    part: str
    kind: Literal["opinion", "answer", "progress", "hand_over", "transfer", "return", "pause", "resolve",
                  "rating", "supervise", "assign", "published", "visit"]  # fmt: skip
    text: str
    by: Actor
    title: str | None = None
    address: str | None = None
    place: Place | None = None
    language: str = "zh"
    media_url: str | None = None


class SealedContact(Struct, frozen=True):
    """`contact.sealed`: a libsodium sealed box in base64, opened by the notifier alone."""

    opinion: str
    part: str
    sealed: str


def key(opinion: str, part: str) -> str:
    """The Kafka key of one part."""
    return f"{opinion}/{part}"


def event_id(type_: str, opinion: str, part: str) -> str:
    """The id of the one event that ever carries this part."""
    return derived(type_, opinion, part)


WORDS_MODELS: dict[str, type[Struct]] = {"words.written": Words}
CONTACT_MODELS: dict[str, type[Struct]] = {"contact.sealed": SealedContact}
