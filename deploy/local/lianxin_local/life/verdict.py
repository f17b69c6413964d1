"""The check at the end of a stretch: where every case stands, by the public views, and whether the lifecycle
explains it."""

import asyncio
import time
from collections import Counter
from datetime import datetime
from typing import Any

from lianxin_local.life.explain import explain
from lianxin_local.life.lives import Life
from lianxin_local.life.player import Player
from lianxin_local.play.surface import Surface
from lianxin_router.domain.case import Case

ASKING = 16
# The projections may be a moment behind the log.
CATCH_UP_S = 60.0
MOST_SHOWN = 20


async def verdict(player: Player, life: Life, surface: Surface, reached: datetime) -> dict[str, Any]:
    """The summary of a run that has `reached` an instant: its counts, the stage of every case, why each open
    one is where it is, and the equations with whether they hold."""
    views = await _views(player, surface)
    stages = Counter(stage for _, stage in views.values())
    stages["closed"] += player.stories.closed.total()
    why: Counter[str] = Counter()
    examples: dict[str, str] = {}
    wrong: list[str] = []
    for id_, (case, stage) in views.items():
        found = explain(case, reached, life)
        why[found.code] += 1
        examples.setdefault(found.code, f"{id_}: {found.words}")
        if not found.sound:
            wrong.append(found.words)
        if stage != case.stage:
            wrong.append(f"{id_}: the resident sees {stage}, the log has {case.stage}")
    told = player.tally.as_told(reached, player.stories.closed)
    told |= {
        "seed": life.seed,
        "stages": dict(sorted(stages.items())),
        "explained": dict(sorted(why.items())),
        "examples": examples,
        "unexplained": wrong[:MOST_SHOWN],
        "holds": {
            "every opinion is open or closed": player.tally.made == stages.total(),
            "every open case is explained": sum(why.values()) == len(views) and not wrong,
            "every closed case says how": stages["closed"] == player.stories.closed.total(),
        },
    }
    return told


async def _views(player: Player, surface: Surface) -> dict[str, tuple[Case, str]]:
    """Every open case, and its stage as its channel sees it, once that has caught up with the log. One that
    is closed meanwhile is left out."""
    limit = asyncio.Semaphore(ASKING)
    deadline = time.monotonic() + CATCH_UP_S

    found: dict[str, tuple[Case, str]] = {}

    async def look(id_: str) -> None:
        while (case := player.cases.open.get(id_)) is not None:
            async with limit:
                stage = str((await surface.opinion(id_))["stage"])
            if stage == case.stage or time.monotonic() > deadline:
                found[id_] = (case, stage)
                return
            await asyncio.sleep(0.2)

    await asyncio.gather(*(look(id_) for id_ in list(player.stories.open)))
    # What was said just before an interruption may have closed one since it was looked at.
    return {id_: what for id_, what in found.items() if id_ in player.stories.open}
