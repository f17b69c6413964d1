"""What the listener does with a mail: 250 when the broker has the opinion, 4xx to be sent again, 5xx where
that would not help. Until 250 the mail is the sending server's, so nothing can be lost here."""

import asyncio
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session
from prometheus_client import Counter

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.problems import ProblemError
from lianxin_intake.door import Door, Prepared
from lianxin_intake.keeping import PhotoKeeper
from lianxin_intake.mail.letters import Letter, read_letter
from lianxin_intake.mail.receipts import Receipt, Receipts
from lianxin_intake.mail.recipients import NoSuchAddress, Recipient, recipient_of
from lianxin_intake.rights import Caller, Registry

log = get_logger(__name__)

MAILS = Counter("lianxin_mails_total", "Mails that came in, by what became of them", ["result"])

_TRY_AGAIN = "451 4.3.0 Not confirmed, send it again"
_LATER = {429, 503}  # of the door's refusals: nothing is wrong with the mail
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")


class Taking:
    """The handler of aiosmtpd's server; one recipient in each transaction, so that each gets its own
    answer."""

    def __init__(
        self,
        registry: Registry,
        door: Door,
        keeper: PhotoKeeper,
        receipts: Receipts,
        addresses: Mapping[str, str],
        secret: bytes,
        public_url: str,
    ) -> None:
        self._registry = registry
        self._door = door
        self._keeper = keeper
        self._receipts = receipts
        self._addresses = {address.lower(): channel for address, channel in addresses.items()}
        self._secret = secret
        self._public_url = public_url

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Whether there is such an address."""
        del server, session
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient at a time, send the others again"
        recipient = self._recipient(address)
        if recipient is None:
            return "451 4.3.0 The registry is not loaded yet"
        if isinstance(recipient, NoSuchAddress):
            return f"550 5.1.1 {recipient.why}"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take the mail in."""
        del server, session
        raw = envelope.content
        assert isinstance(raw, bytes)
        sender = (envelope.mail_from or "").strip("<>")  # aiosmtpd keeps the brackets of an empty one
        # In a thread: twenty megabytes of attachments take a while, and others are waiting.
        letter = await asyncio.to_thread(read_letter, raw, sender)
        recipient = self._recipient(envelope.rcpt_tos[0])
        if recipient is None or isinstance(recipient, NoSuchAddress):  # another registry since RCPT
            return _TRY_AGAIN
        if letter.automatic is not None:
            return _not_a_person(letter)
        try:
            prepared, left_out = await self._prepared(letter, recipient)
            (problem,) = await self._door.hand_in([prepared])
        except ProblemError as error:
            return _refusal(error)
        except Outage as error:
            log.warning("a mail was put off", away=error.what)
            MAILS.labels("deferred").inc()
            return _TRY_AGAIN
        if problem is not None:
            return _refusal(problem)
        MAILS.labels("accepted").inc()
        await self._receipts.send(self._receipt(letter, prepared, left_out, sender, envelope.rcpt_tos[0]))
        return "250 2.0.0 Received"

    async def handle_exception(self, error: Exception) -> str:
        """What nobody expected: the mail stays where it is, and is sent again when this is mended."""
        log.error("unexpected error", exc_info=error)
        MAILS.labels("deferred").inc()
        return _TRY_AGAIN

    def _recipient(self, address: str) -> Recipient | NoSuchAddress | None:
        """None until there is a registry."""
        city = self._registry.current
        return None if city is None else recipient_of(address, self._addresses, city)

    async def _prepared(self, letter: Letter, recipient: Recipient) -> tuple[Prepared, int]:
        """The opinion, and how many attachments are not in it. Raises what the door raises."""
        city = self._registry.current
        assert city is not None
        # A mail to two stations is two opinions; the same one to the same station, however often, is one.
        key = self._hashed(letter.name, recipient.station or "")
        kept = [
            await self._keeper.keep(picture, recipient.channel.id, f"{key}:{number}")
            for number, picture in enumerate(letter.pictures)
        ]
        attachments = tuple(id_ for id_ in kept if id_ is not None)
        left_out = letter.left_out + len(kept) - len(attachments)
        body = body_of(letter, recipient.station, attachments, left_out)
        caller = Caller(recipient.channel, frozenset({"submit"}), f"mail:{recipient.channel.id}")
        return self._door.prepare(msgspec.json.encode(body), caller, city, key=key), left_out

    def _hashed(self, *parts: str) -> str:
        whole = "\x1f".join(f"{len(part)}:{part}" for part in ("mail", *parts))
        return hmac.digest(self._secret, whole.encode("utf-8", "replace"), "sha256").hex()

    def _receipt(
        self, letter: Letter, prepared: Prepared, left_out: int, sender: str, written_to: str
    ) -> Receipt:
        return Receipt(
            to=sender,
            from_=written_to,
            in_reply_to=letter.message_id,
            opinion=prepared.id,
            code=prepared.code,
            page=f"{self._public_url}/t/{prepared.code}?id={prepared.id}",
            left_out=left_out,
            at=datetime.now(UTC),
        )


def body_of(
    letter: Letter, station: str | None, attachments: tuple[str, ...], left_out: int
) -> dict[str, Any]:
    """The body of an opinion, as `POST /v1/opinions` takes it. The sender's address is the contact, sealed by
    the door; one that can't be written to is left out. A line of its own says how many attachments are."""
    note = f"\n\n（另有{left_out}个附件未能收下）" if left_out else ""
    body: dict[str, Any] = {"text": letter.text + note, "language": "zh"}
    if letter.title and letter.title != letter.text:
        body["title"] = letter.title
    if station is not None:
        body["station"] = station
    if attachments:
        body["attachments"] = attachments
    contact = {"email": letter.sender} if _MAIL.fullmatch(letter.sender) else {}
    if letter.sender_name:
        contact["name"] = letter.sender_name
    if contact:
        body["contact"] = contact
    return body


def _not_a_person(letter: Letter) -> str:
    """A program's mail gets no answer that could go round; a list's and a loop's is sent back."""
    assert letter.automatic is not None
    MAILS.labels(letter.automatic).inc()
    if letter.automatic == "loop":
        return "554 5.4.6 Too many hops"
    if letter.automatic == "list":
        return "550 5.7.1 Mailing lists hand in no opinions; write to us directly"
    return "250 2.0.0 Automatic mail, not kept"


def _refusal(problem: ProblemError) -> str:
    if problem.status in _LATER:
        MAILS.labels("deferred").inc()
        return _TRY_AGAIN
    MAILS.labels("refused").inc()
    why = re.sub(r"[^\x20-\x7e]", "?", problem.detail or problem.title)[:400]
    return f"{'552 5.3.4' if problem.status == 413 else '554 5.6.0'} {why}"
