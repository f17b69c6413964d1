"""What the made-up people say: `texts.toml`, and how a sentence of it becomes one resident's."""

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SOMEWHERE = "我们这里"


@dataclass(frozen=True, slots=True)
class Texts:
    """Sentences by second-level topic, what officials say, and the department of each first-level topic."""

    matters: Mapping[str, Sequence[str]]
    say: Mapping[str, Any]
    departments: Mapping[str, str]

    def one(self, what: str, chance: random.Random) -> str:
        """One of the ways to say `what`."""
        said = self.say[what]
        return said if isinstance(said, str) else str(chance.choice(said))


@cache
def our_texts() -> Texts:
    """The texts that come with the product."""
    told = tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))
    say = dict(told["say"])
    return Texts(told["matters"], say, say.pop("departments"))


def sentence(texts: Texts, topic: str, name: str, chance: random.Random) -> str:
    """A matter of `topic` at the place `name`, in the words that all who speak of it share."""
    pattern = chance.choice(texts.matters[topic])
    return pattern.format(place=name, when=chance.choice(texts.say["times"]), n=chance.randint(2, 9))


def spoken(texts: Texts, core: str, chance: random.Random, *, visit: bool) -> str:
    """`core` as one resident says it."""
    start = texts.one("openings", chance)
    end = texts.one("closings", chance)
    return f"{texts.say['visits'] if visit else ''}{start}{core}{end}"
