"""How far a replay has come, in a file, so that it can be gone on with after any interruption.

Everything before the bookmark was confirmed; what follows may have been done as well, and counts once when it
is done again.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lianxin_local.home import Home, read_json, write_json
from lianxin_local.problem import Problem


@dataclass(slots=True)
class Bookmark:
    """`done` steps of the script made from the file with `digest` in the manner of `manner` were confirmed;
    `told` is the tally up to there."""

    path: Path
    digest: str
    manner: dict[str, Any]
    done: int = 0
    told: dict[str, Any] = field(default_factory=dict)

    def save(self) -> None:
        """Write it down, whole or not at all."""
        kept = {key: value for key, value in asdict(self).items() if key != "path"}
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(self.path, kept)


def place_of(home: Home, digest: str) -> Path:
    """Where the bookmark of the file with this digest is kept, beside the stack's data."""
    return home.root / "replays" / f"{digest[:16]}.json"


def opened(path: Path, digest: str, manner: dict[str, Any], *, resume: bool) -> Bookmark:
    """The bookmark to go on from; at the start without `resume`. Raises `Problem` where there is none, or it
    is of another file or manner: the same step would then be another one."""
    if not resume:
        return Bookmark(path, digest, manner)
    kept = read_json(path)
    if kept is None:
        raise Problem(f"nothing to resume: there is no {path}; leave --resume out")
    if kept.get("digest") != digest:
        raise Problem(f"{path} is the bookmark of another file, or this one was changed; leave --resume out")
    if kept.get("manner") != manner:
        before = kept.get("manner", {})
        changed = sorted(key for key in {*manner, *before} if manner.get(key) != before.get(key))
        raise Problem(
            f"that replay was begun with another {', '.join(changed)}: give the same, or start anew"
        )
    return Bookmark(path, digest, manner, int(kept["done"]), kept["told"])
