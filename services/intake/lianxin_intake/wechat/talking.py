"""From a message to a reply within WeChat's five seconds: load, step, save, hand in, say what came of it.

A message counts when its conversation was saved. What was sent off lies in the conversation until the
broker has it: this request tries, WeChat's retry or the person's next message tries again, and `run` does
when nobody writes. All of them under one idempotency key, so it counts once.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import msgspec

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Backoff, outage
from lianxin_chassis.patience import patiently
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.registry import Channel, Snapshot
from lianxin_intake.context import Intake
from lianxin_intake.following import read_tracked
from lianxin_intake.keeping import PhotoKeeper
from lianxin_intake.pages.rendering import fault_text
from lianxin_intake.pages.standing import standing
from lianxin_intake.rates import Buckets
from lianxin_intake.rights import Caller
from lianxin_intake.store import unreadable
from lianxin_intake.tracking import normalised
from lianxin_intake.wechat import wording
from lianxin_intake.wechat.accounts import WechatAccount
from lianxin_intake.wechat.conversation import (
    Ask,
    Conversation,
    Outgoing,
    Pictured,
    Reply,
    Said,
    Showed,
    Turn,
    Unpictured,
    confirmed,
    lapse,
    refused,
    step,
)
from lianxin_intake.wechat.messages import Message
from lianxin_intake.wechat.pictures import Pictures, Unfetched
from lianxin_intake.wechat.store import ConversationStore, Kept

log = get_logger(__name__)

# WeChat hangs up after 5 s; these leave it time for the way there and back. All in seconds.
ANSWER_S = 4.5
PICTURE_S = 2.5
HAND_IN_S = 2.0
SWEEP_S = 5.0
_AT_ONCE = 100  # conversations of one sweep
_TRIES = 20  # at saving against others' changes; a person has two thumbs
# Per person: messages a minute and at once; wrong tracking codes a minute and at once.
_MESSAGES = (30, 30)
_WRONG_CODES = (1, 5)
_LATER = {429, 503}  # of the door's refusals: nothing is wrong with the opinion


class Talking:
    """The conversations of all accounts."""

    def __init__(
        self,
        intake: Intake,
        accounts: Mapping[str, WechatAccount],
        store: ConversationStore,
        pictures: Pictures,
        keeper: PhotoKeeper,
        secret: bytes,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.accounts = accounts
        self.intake = intake
        self.store = store
        self._pictures = pictures
        self._keeper = keeper
        self._secret = secret
        self._clock = clock
        self._handing: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._messages = Buckets(_MESSAGES[0] / 60, _MESSAGES[1])
        self._wrong_codes = Buckets(_WRONG_CODES[0] / 60, _WRONG_CODES[1])

    def hashed(self, *parts: str) -> str:
        """A keyed hash (hex) of `parts`: what stands for an openid everywhere."""
        whole = "\x1f".join(f"{len(part)}:{part}" for part in ("wechat", *parts))
        return hmac.digest(self._secret, whole.encode(), "sha256").hex()

    async def answer(self, channel: Channel, city: Snapshot, message: Message) -> str:
        """What to reply to `message`, "" for nothing. Comes within `ANSWER_S`; where broker or database are
        away it says so."""
        id_ = self.hashed(channel.id, message.sender)
        if self._messages.take(id_):
            return wording.TOO_FAST
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._answer(id_, channel, city, message)
        except Exception as error:
            what = outage(error)
            if what is None:
                raise
            log.warning("a message was not answered", channel=channel.id, away=what)
            return wording.BUSY

    async def run(self) -> None:
        """Send off what waits for the broker and drop idle drafts, until cancelled."""
        await patiently(self.store.prepare)
        backoff = Backoff(cap_s=30.0)
        while True:
            try:
                await self.sweep()
            except Exception as error:
                if outage(error) is None:
                    raise
                log.warning("conversations can't be looked through", error=repr(error))
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> None:
        """Look once at every conversation that somebody has to look at."""
        city = self.intake.registry.current
        if city is None:
            return
        for kept in await self.store.due(self._clock(), _AT_ONCE):
            await self._change(kept.id, kept.channel, lambda now: lapse(now, self._clock()))
            channel = city.channels.get(kept.channel)
            if channel is not None and kept.conversation.outgoing:
                await self._hand_in_all(kept, channel, city)

    async def _answer(self, id_: str, channel: Channel, city: Snapshot, message: Message) -> str:
        said = await self._with_picture(channel.id, message.said, self.hashed(id_, message.name))
        turn = await self._turn(id_, channel.id, message.name, said, city)
        if turn.conversation.outgoing:
            await self._hand_in_all(Kept(id_, channel.id, 0, turn.conversation), channel, city)
            turn = msgspec.structs.replace(
                turn, conversation=(await self.store.load(id_, channel.id)).conversation
            )
        if isinstance(turn.reply, Ask):
            return await self._where(id_, turn.conversation, turn.reply.code, city)
        if turn.reply.kind == "submitted":
            return self._submitted(turn.conversation, turn.reply)
        return wording.text_of(turn.reply, city)

    async def _turn(self, id_: str, channel: str, name: str, said: Said, city: Snapshot) -> Turn:
        """Step and save, again where another message of this person was handled meanwhile."""
        for _ in range(_TRIES):
            kept = await self.store.load(id_, channel)
            turn = step(kept.conversation, name, said, self._clock(), city.stations)
            if turn.conversation == kept.conversation:
                return turn
            if await self.store.save(kept, turn.conversation, self._clock()):
                return turn
        raise TimeoutError("a conversation changes all the time")

    async def _change(
        self, id_: str, channel: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation:
        for _ in range(_TRIES):
            kept = await self.store.load(id_, channel)
            changed = change(kept.conversation)
            if changed == kept.conversation or await self.store.save(kept, changed, self._clock()):
                return changed
        raise TimeoutError("a conversation changes all the time")

    async def _with_picture(self, channel: str, said: Said, name: str) -> Said:
        """`said`, a picture fetched and kept. One that can't be had in time is told, to be sent again."""
        if not isinstance(said, Showed):
            return said
        try:
            async with asyncio.timeout(PICTURE_S):
                attachment = await self._keeper.keep(
                    await self._pictures.fetch(channel, said.media_id, said.url), channel, name
                )
        except Unfetched as error:
            log.warning("a picture can't be fetched", channel=channel, why=str(error))
            return Unpictured()
        except TimeoutError:
            log.warning("a picture did not come in time", channel=channel)
            return Unpictured()
        return Pictured(attachment) if attachment is not None else Unpictured()

    async def _hand_in_all(self, kept: Kept, channel: Channel, city: Snapshot) -> None:
        """Hand in what waits, for at most `HAND_IN_S`; what takes longer goes on by itself."""
        tasks = []
        for outgoing in kept.conversation.outgoing:
            name = (kept.id, outgoing.name)
            if name not in self._handing:
                task = asyncio.create_task(
                    self._hand_in(kept, outgoing, channel, city), name="wechat-hand-in"
                )
                self._handing[name] = task
                task.add_done_callback(partial(self._handed, name))
            tasks.append(self._handing[name])
        done, _ = await asyncio.wait(tasks, timeout=HAND_IN_S)
        for task in done:
            task.result()

    def _handed(self, name: tuple[str, str], task: "asyncio.Task[None]") -> None:
        """A try has ended. One that failed after its request was answered is told here; `run` tries again."""
        del self._handing[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("handing in failed", error=repr(error))

    async def _hand_in(self, kept: Kept, outgoing: Outgoing, channel: Channel, city: Snapshot) -> None:
        # Sent off by its author when the broker may have been away: as from an offline outbox.
        late = msgspec.structs.replace(channel, entry="offline")
        caller = Caller(late, frozenset({"submit", "backdate"}), f"wechat:{channel.id}")
        key = self.hashed(kept.id, outgoing.name)
        # With the broker away for days its pictures must not expire as uploads that nobody names.
        self.intake.photos.claimed(outgoing.draft.pictures)
        try:
            prepared = self.intake.door.prepare(msgspec.json.encode(body_of(outgoing)), caller, city, key=key)
            (problem,) = await self.intake.door.hand_in([prepared])
        except ProblemError as error:
            problem = error
        if problem is None:
            opinion = ids.opinion_id(channel.id, key)
            await self._change(kept.id, channel.id, lambda now: confirmed(now, outgoing.name, opinion))
        elif problem.status not in _LATER:
            log.warning("an opinion by WeChat is refused", channel=channel.id, code=problem.code)
            why = problem.code
            await self._change(kept.id, channel.id, lambda now: refused(now, outgoing.name, why))

    def _submitted(self, conversation: Conversation, reply: Reply) -> str:
        for sent in conversation.sent:
            if sent.name == reply.of and sent.opinion is None:
                return wording.NOT_TAKEN.format(why=fault_text(sent.why, "zh"))
            if sent.name == reply.of and sent.opinion is not None:
                return self._received(sent.opinion, dropped=reply.dropped)
        return wording.PENDING

    def _received(self, opinion: str, *, dropped: bool) -> str:
        code = self.intake.door.codes.of(opinion)
        return wording.received(code, f"{self.intake.public_url}/t/{code}?id={opinion}", dropped=dropped)

    async def _where(self, id_: str, conversation: Conversation, code: str, city: Snapshot) -> str:
        """Where the opinion of `code` stands, "" for the last one that this person sent."""
        if not code and conversation.outgoing:
            return wording.PENDING
        if code and self._wrong_codes.empty_for(id_):
            return wording.TOO_MANY_CODES
        own = [sent.opinion for sent in reversed(conversation.sent) if sent.opinion is not None]
        try:
            opinion = await self._opinion_of(code, own) if code else next(iter(own), None)
            if opinion is None:
                if not code:
                    return wording.NOTHING_SENT
                self._wrong_codes.take(id_)
                return wording.WRONG_CODE
            tracked, words = await read_tracked(self.intake, opinion)
        except Exception as error:
            if not unreadable(error):
                raise
            log.warning("the projection can't be read", error=repr(error))
            return wording.UNREADABLE
        now = standing(tracked, words, "zh", city, self._clock())
        return wording.where(self.intake.door.codes.of(opinion), now)

    async def _opinion_of(self, code: str, own: list[str]) -> str | None:
        """The opinion of `code`; one's own also before the projection has it."""
        if normalised(code) is None:
            return None
        codes = self.intake.door.codes
        mine = next((opinion for opinion in own if codes.opens(code, opinion)), None)
        return mine or await (await self.intake.tracking.store()).id_of_code(code)


def body_of(outgoing: Outgoing) -> dict[str, object]:
    """The body of an opinion, as `POST /v1/opinions` takes it: a function of what was sent off alone, so that
    every try says the same."""
    draft = outgoing.draft
    body: dict[str, object] = {"text": draft.text, "occurred_at": outgoing.at, "language": "zh"}
    if draft.station is not None:
        body["station"] = draft.station
    if draft.pictures:
        body["attachments"] = draft.pictures
    if draft.point is not None:
        body["location"] = {"lat": draft.point.lat, "lon": draft.point.lon, "crs": "gcj02"}
        if draft.point.label:
            body["address"] = draft.point.label
    return body
