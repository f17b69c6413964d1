"""What a batch has to do with issues, around its decisions: look up, file, and have cases follow.

Two issues that are one are joined in three steps, each of which may be repeated or lost: the higher one
points to the lower one from now on, so that no opinion joins it any more; the cases that are still in it are
asked to follow, by `case.merge` on `opinions.inbound`, each in its own order; and each says so in its own
stream, from which the pointer follows again. At most `FOLLOW_AT_ONCE` cases are asked a batch: the rest, and
whoever was not asked because a router died, when the next opinion of the matter comes.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_router.desk import Desk
from lianxin_router.routing.cluster import root
from lianxin_router.routing.route import SURGE_WINDOW
from lianxin_router.store import CaseStore, ConcurrentWrite, Held
from lianxin_router.timers import SOURCE, Publishes

FOLLOW_AT_ONCE = 200


async def look_up(desk: Desk, store: CaseStore) -> None:
    """Find the issues that the opinions of this batch may join, and those of them that it may make hot."""
    keys, own = desk.issues_wanted()
    if keys:
        desk.know_found(await store.issues.find(keys, own))
    if wanted := desk.openings_wanted():
        for issue, opened in (await store.openings(*wanted)).items():
            desk.know_recent(issue, opened)


async def look_up_placed(
    desk: Desk, store: CaseStore, said: Sequence[Event], held: Mapping[str, Held]
) -> None:
    """The same for opinions that staff place in this batch. They are few: all is looked up once more."""
    placed = {event.subject: grid for event in said if (grid := _will_be_placed(event, held))}
    if not placed:
        return
    for opinion, text in (await store.issues.texts(placed)).items():
        case = held[opinion].case
        if case is not None and case.opened is not None:
            desk.expect(opinion, placed[opinion], text, case.opened)
    await look_up(desk, store)


async def file(desk: Desk, store: CaseStore, held: Sequence[Held]) -> None:
    """Store what the decisions mean for issues; before the cases, so that a batch that breaks off files it
    again. Raises `ConcurrentWrite` where another router said first that an issue is hot."""
    rivals = await store.issues.add(desk.new_issues)
    if rivals:
        desk.meet((await store.issues.find((), rivals)).issues)
    await store.issues.join(desk.same)
    await store.issues.keep_texts(desk.unplaced)
    for issue, (at, opinion) in desk.surges.items():
        if not await store.issues.claim_surge(issue, at, opinion, SURGE_WINDOW):
            raise ConcurrentWrite("another router said first that an issue is hot")
    await store.issues.forget([h.id for h in held if h.changed and h.case is not None and h.case.erased])


async def have_follow(desk: Desk, store: CaseStore, publisher: Publishes) -> None:
    """Ask the cases of issues that were joined to others to follow; after the cases are saved."""
    await store.issues.drop_texts(desk.placed)
    if not desk.moved:
        return
    behind = await store.cases_in(desk.moved, FOLLOW_AT_ONCE)
    if behind:
        now = datetime.now(UTC)
        await publisher.publish(
            [_ask(case, issue, root(issue, desk.moved), now) for case, issue in behind.items()]
        )


def _will_be_placed(event: Event, held: Mapping[str, Held]) -> str | None:
    """The grid in which staff place a case that belongs to no issue yet."""
    case = held[event.subject].case
    if not isinstance(event.data, inbound.Assign) or case is None or case.issue is not None:
        return None
    return event.data.grid


def _ask(case: str, left: str, issue: str, now: datetime) -> OutRecord:
    event = Event(
        id=ids.merge(case, left, issue),
        source=SOURCE,
        type="case.merge",
        subject=case,
        time=now,
        recordedtime=now,
        data=inbound.Merge(left, issue),
    )
    return to_record(event, topics.INBOUND, case)
