"""How Chinese names sound and are spelled: for whoever writes down a name that was spoken."""

import os
from functools import lru_cache

# The library's own switch: phrases settle how a character reads in a text; here every reading counts.
os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")

from pypinyin import Style, pinyin

Readings = tuple[frozenset[str], ...]
_TWO_LETTER_INITIALS = ("zh", "ch", "sh")


def readings(name: str) -> Readings:
    """What each character of `name` may sound like: syllables without tones (ü as v); other characters as
    they are."""
    return tuple(_of_character(character) for character in name)


@lru_cache(maxsize=32_768)
def _of_character(character: str) -> frozenset[str]:
    (found,) = pinyin(character, style=Style.NORMAL, heteronym=True)
    return frozenset(found)


def sounds_like(said: Readings, name: Readings) -> bool:
    """Whether `name` begins with what sounds like `said`."""
    return len(said) <= len(name) and not any(
        one.isdisjoint(other) for one, other in zip(said, name, strict=False)
    )


def spelled(typed: str, name: Readings) -> int | None:
    """How many characters of `name`, from its beginning, the letters `typed` spell as people type: whole
    syllables or their initials, the last one cut short. None where they spell something else."""
    ends = {typed}
    for count, syllables in enumerate(name, 1):
        ends = {rest for left in ends for rest in _after(left, syllables)}
        if "" in ends:
            return count
        if not ends:
            return None
    return None


def _after(typed: str, syllables: frozenset[str]) -> set[str]:
    """What may be left of `typed` behind one character."""
    left: set[str] = set()
    for syllable in syllables:
        if syllable.startswith(typed):
            left.add("")
        for part in (
            syllable,
            syllable[:2] if syllable.startswith(_TWO_LETTER_INITIALS) else "",
            syllable[:1],
        ):
            if part and typed.startswith(part):
                left.add(typed[len(part) :])
    return left
