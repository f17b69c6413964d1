"""The part of the Dockerfile language that ours use, read into values; what it does not know it refuses."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = ("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "CMD", "ENTRYPOINT")


class NotUnderstood(Exception):
    """A line that this reader does not know; `str()` names it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its word in capitals, and the rest of its line as written."""

    word: str
    rest: str

    def exec_form(self) -> list[str]:
        """The words of an instruction in exec form. Raises NotUnderstood for a shell's: a shell would get the
        signals that are meant for the process."""
        text = self.rest.partition("CMD ")[2] if self.word == "HEALTHCHECK" else self.rest
        try:
            words = json.loads(text)
        except ValueError:
            raise NotUnderstood(f"{self.word} is not in exec form: {self.rest}") from None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise NotUnderstood(f"{self.word} is not a list of words: {self.rest}")
        return words

    def without_options(self) -> tuple[dict[str, str], str]:
        """The `--name=value` options at the head, and what follows them."""
        options: dict[str, str] = {}
        rest = self.rest
        while found := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            options[found[1]] = found[2]
            rest = rest[found.end() :]
        return options, rest

    def assignments(self) -> dict[str, str]:
        """The variables of an ENV."""
        return dict(one.split("=", 1) for one in shlex.split(self.rest))


@dataclass(slots=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, word: str) -> Step | None:
        """The last instruction of a kind: the one that holds."""
        return next((step for step in reversed(self.steps) if step.word == word), None)


def read(path: Path) -> list[Stage]:
    """The stages of a Dockerfile. Raises NotUnderstood."""
    stages: list[Stage] = []
    for line in _logical_lines(path.read_text("utf-8")):
        word, _, rest = line.partition(" ")
        if word not in KNOWN:
            raise NotUnderstood(f"{path}: {line}")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages))))
        else:
            stages[-1].steps.append(Step(word, rest.strip()))
    return stages


def _logical_lines(text: str) -> list[str]:
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(kept))
    return [line.strip() for line in joined.splitlines() if line.strip()]


class Ignored:
    """Which files of a build context Docker leaves out, by a .dockerignore: the last pattern that fits a
    path, or one of the folders above it, decides."""

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        self._rules = [
            (_pattern(line.lstrip("!")), line.startswith("!"))
            for line in lines
            if line and not line.startswith("#")
        ]

    def leaves_out(self, path: str) -> bool:
        """Whether `path`, relative to the context and with slashes, is left out."""
        parts = path.split("/")
        heads = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        out = False
        for pattern, back in self._rules:
            if any(pattern.fullmatch(head) for head in heads):
                out = not back
        return out


def _pattern(line: str) -> re.Pattern[str]:
    escaped = re.escape(line.strip("/"))
    return re.compile(escaped.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*"))
