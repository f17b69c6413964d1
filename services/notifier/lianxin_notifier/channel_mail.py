"""Mail over SMTP: one connection, one message at a time."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import aiosmtplib

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import RESIDENT, Due
from lianxin_notifier.letters import mail
from lianxin_notifier.retrying import SENT, Outcome

_ENHANCED = re.compile(r"^(\d\.\d{1,3}\.\d{1,3})\b")  # RFC 3463


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over, and how. `deadline_s` bounds one attempt, connecting included."""

    host: str
    port: int
    sender: str
    tls: Literal["none", "starttls", "tls"]
    username: str
    password: str
    public_url: str
    deadline_s: float
    # What opens a case for the receiver of its alert, signed in at once.
    link_of: Callable[[Due], str] | None = None


class MailSlot:
    """One SMTP connection, kept open between messages. `deliver` never raises for what the server does."""

    def __init__(self, server: MailServer, city: Callable[[], Snapshot]) -> None:
        self._server = server
        self._city = city
        self._smtp: aiosmtplib.SMTP | None = None

    async def deliver(self, due: Due) -> Outcome:
        """Hand one mail over."""
        city = self._city()
        now = datetime.now(UTC)
        try:
            signs_in = self._server.link_of is not None and due.receiver != RESIDENT
            link = self._server.link_of(due) if signs_in and self._server.link_of else None
            content = mail(due, city, self._server.public_url, self._server.sender, now, link).as_bytes()
        except (UnicodeError, ValueError):
            return Outcome("dead", "the address can't be written in a mail")
        out = False  # the message itself is on its way, so that without an answer nobody knows
        try:
            async with asyncio.timeout(self._server.deadline_s):
                if (refused := await self._envelope(due.target)) is not None:
                    return refused
                out = True
                await self._connected().data(content)
                return SENT
        except aiosmtplib.SMTPResponseException as error:
            await self.close()
            # Only an answer to the message itself condemns it; greeting and login are the server's matter.
            dead = out and 500 <= error.code < 600
            return Outcome("dead" if dead else "retry", _reason(error.code, error.message))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            await self.close()
            return Outcome("retry", type(error).__name__, unknown=out)
        except Exception:
            await self.close()  # in the middle of a message nothing else can be sent by it
            raise

    async def close(self) -> None:
        """Drop the connection."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    async def _envelope(self, recipient: str) -> Outcome | None:
        """Announce sender and recipient; the outcome where the server refuses the recipient."""
        reused = self._smtp is not None
        try:
            await self._open()
            await self._connected().mail(self._server.sender)
        except (aiosmtplib.SMTPServerDisconnected, OSError):
            if not reused:
                raise
            await self.close()  # closed by the server while it was idle
            await self._open()
            await self._connected().mail(self._server.sender)
        try:
            await self._connected().rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._connected().rset()
            dead = 500 <= error.code < 600
            return Outcome("dead" if dead else "retry", _reason(error.code, error.message))
        return None

    async def _open(self) -> None:
        if self._smtp is not None and self._smtp.is_connected:
            return
        server = self._server
        self._smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=server.deadline_s,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
        )
        await self._smtp.connect()
        if server.username:
            await self._smtp.login(server.username, server.password)

    def _connected(self) -> aiosmtplib.SMTP:
        if self._smtp is None:
            raise aiosmtplib.SMTPServerDisconnected("not connected")
        return self._smtp


def _reason(code: int, message: str) -> str:
    """The server's codes without its text, which may repeat the address."""
    enhanced = _ENHANCED.match(message)
    return f"smtp {code} {enhanced[1]}" if enhanced else f"smtp {code}"
