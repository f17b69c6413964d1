"""A real SMTP server as a process: accepts mail into a file of JSON lines, or fails and hangs as it is told.

How to behave is read before each message from a JSON file: `{"fail": 0.3, "hang": false, "slow_s": 0}`.
"""

import argparse
import asyncio
import json
import os
import random
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Handler:
    def __init__(self, accepted: Path, behaviour: Path, seed: int) -> None:
        self.accepted = accepted
        self.behaviour = behaviour
        self.random = random.Random(seed)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        told = json.loads(self.behaviour.read_text())
        if told["hang"]:
            await asyncio.sleep(86_400)
        if self.random.random() < told["fail"]:
            return "451 4.3.0 told to fail"
        message = message_from_bytes(envelope.content or b"", policy=policy.default)
        body = message.get_body(("plain", "html"))
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "message_id": message["message-id"],
            "subject": message["subject"],
            "headers": {name: str(value) for name, value in message.items()},
            "body": body.get_content() if body else "",
        }
        with self.accepted.open("a") as file:  # on disk before it is acknowledged
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        await asyncio.sleep(told["slow_s"])
        return "250 2.0.0 accepted"


async def serve(port: int, accepted: Path, behaviour: Path, seed: int) -> None:
    handler = Handler(accepted, behaviour, seed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="127.0.0.1", enable_SMTPUTF8=True), "127.0.0.1", port
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--accepted", type=Path, required=True)
    parser.add_argument("--behaviour", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.accepted, arguments.behaviour, arguments.seed))
