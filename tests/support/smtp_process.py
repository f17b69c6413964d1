"""A real SMTP server as a process: accepts mail into a file of JSON lines, or fails and hangs as it is told.

How to behave is read from a JSON file for each message: `{"fail": 0.3, "hang": false, "slow_s": 0}`. Further
`"faults": {"refuse": 0.1, …}` is the share of transactions that each of `FAULTS` befalls, and `"unknown"` are
the addresses that there are no mailboxes for.
"""

import argparse
import asyncio
import json
import os
import random
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

# What may befall a transaction, in the order of its moments.
FAULTS = (
    "refuse_recipient",  # 451 to RCPT
    "drop_before",  # the connection is gone instead of an answer to RCPT
    "hang_before",  # no answer to RCPT
    "drop_within",  # the connection is gone while the message comes in
    "refuse",  # 451 to the message
    "drop",  # the connection is gone instead of an answer to the message, which is not accepted
    "hang",  # no answer to the message, which is not accepted
    "lose_answer",  # the message is accepted, and the connection gone before its 250
    "hang_after",  # the message is accepted, and its 250 never comes
)


class Handler:
    def __init__(self, accepted: Path, behaviour: Path, seed: int, brief: bool) -> None:
        self.accepted = accepted
        self.befallen = accepted.with_name("faults.jsonl")
        self.behaviour = behaviour
        self.random = random.Random(seed)
        self.brief = brief

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        told = self.told()
        if address in told["unknown"]:
            return "550 5.1.1 no such mailbox"
        session.fault = self.draw(told["faults"])
        if session.fault == "refuse_recipient":
            return "451 4.2.1 told to refuse"
        if session.fault == "drop_before":
            await drop(server)
        if session.fault == "hang_before":
            await hang()
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 known"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        told = self.told()
        if told["hang"] or session.fault == "hang":
            await hang()
        if session.fault == "drop":
            await drop(server)
        if session.fault == "refuse" or self.random.random() < told["fail"]:
            return "451 4.3.0 told to fail"
        self.write(self.accepted, self.line(envelope), durable=True)  # on disk before it is acknowledged
        if session.fault == "lose_answer":
            await drop(server)
        if session.fault == "hang_after":
            await hang()
        await asyncio.sleep(told["slow_s"])
        return "250 2.0.0 accepted"

    def told(self) -> dict[str, Any]:
        """How to behave now."""
        return {"faults": {}, "unknown": (), **json.loads(self.behaviour.read_text())}

    def draw(self, faults: dict[str, float]) -> str | None:
        """What befalls the next transaction, which is written down; mostly None."""
        chance = self.random.random()
        for name, share in faults.items():
            if chance < share:
                self.write(self.befallen, {"fault": name}, durable=False)
                return name
            chance -= share
        return None

    def line(self, envelope: Envelope) -> dict[str, Any]:
        """What is kept of a message."""
        message = message_from_bytes(envelope.content or b"", policy=policy.default)
        if self.brief:
            repeated = "Lianxin-Repeated-After-Crash" in message
            return {"to": envelope.rcpt_tos, "message_id": message["message-id"], "repeated": repeated}
        body = message.get_body(("plain", "html"))
        return {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "message_id": message["message-id"],
            "subject": message["subject"],
            "headers": {name: str(value) for name, value in message.items()},
            "body": body.get_content() if body else "",
        }

    @staticmethod
    def write(path: Path, line: dict[str, Any], *, durable: bool) -> None:
        with path.open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())


class Server(SMTP):
    async def smtp_DATA(self, arg: str) -> None:
        if getattr(self.session, "fault", None) == "drop_within":
            await self.push("354 go on")
            await drop(self)
        await super().smtp_DATA(arg)


async def drop(server: SMTP) -> None:
    """End the connection; the coroutine that serves it ends here with it."""
    server.transport.abort()
    await hang()


async def hang() -> None:
    """Until the other side has gone."""
    await asyncio.sleep(86_400)


async def serve(port: int, handler: Handler) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Server(handler, hostname="127.0.0.1", enable_SMTPUTF8=True), "127.0.0.1", port
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--accepted", type=Path, required=True)
    parser.add_argument("--behaviour", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--brief", action="store_true", help="keep only ids, recipients and marks")
    given = parser.parse_args()
    asyncio.run(serve(given.port, Handler(given.accepted, given.behaviour, given.seed, given.brief)))
