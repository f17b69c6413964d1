"""The process that takes mail in: `python -m lianxin_intake.mail`.

It needs Kafka alone, as accepting does everywhere, and the database for mails with pictures. Health and
metrics are beside it over HTTP, as for every worker.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from aiosmtpd.smtp import SMTP

from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.process import Worker, run_worker
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.registry import RegistryFollower
from lianxin_intake.attachments import AttachmentIds
from lianxin_intake.contact import ContactSealer
from lianxin_intake.door import Door
from lianxin_intake.keeping import DeskPhotos
from lianxin_intake.mail.receipts import Receipts
from lianxin_intake.mail.taking import Taking
from lianxin_intake.photos.desk import PhotoDesk
from lianxin_intake.photos.store import PhotoStore
from lianxin_intake.recent import RecentOpinions
from lianxin_intake.settings import IntakeSettings

# A connection that says nothing for so long is closed, seconds.
SILENCE_S = 60.0


class Listener(SMTP):
    """aiosmtpd's server. RFC 5321 allows a line 1,000 bytes; clients that write a paragraph as one line are
    no reason to send their mail back."""

    line_length_limit = 64 * 1024


class NoLookups:
    """What the projection holds is not asked for: the router refuses another mail under the same name."""

    async def of(self, opinions: Sequence[str]) -> dict[str, str]:
        """Nothing."""
        del opinions
        return {}


@asynccontextmanager
async def start(settings: IntakeSettings) -> AsyncIterator[Worker]:
    """The parts of the process."""
    secret = settings.tracking_secret.get_secret_value().encode()
    registry = RegistryFollower(settings)
    publisher = Publisher(settings)
    db = open_database(settings)
    photos = PhotoDesk(
        AttachmentIds(secret),
        PhotoStore(db),
        secret,
        unnamed_for=timedelta(hours=settings.unnamed_photos_hours),
    )
    door = Door(
        secret,
        ContactSealer(settings.contact_public_key),
        photos,
        publisher,
        RecentOpinions(settings.remembered_opinions),
        NoLookups(),
        deadline_s=settings.publish_deadline_s,
    )
    taking = Taking(
        registry,
        door,
        DeskPhotos(photos),
        Receipts(settings.mail_relay_host, settings.mail_relay_port),
        settings.mail_addresses,
        secret,
        settings.public_url,
    )
    await publisher.start()
    try:
        yield Worker(
            followers=[registry],
            tasks=[lambda: _listen(settings, taking)],
            checks={
                "registry": registry.check,
                "broker": lambda: publisher.connected or "the broker is away or does not confirm",
            },
        )
    finally:
        await photos.close()
        await publisher.stop()
        await close_database(db)


async def _listen(settings: IntakeSettings, taking: Taking) -> None:
    """Serve SMTP until cancelled. Connections that are open then are cut: their mail was not acknowledged."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Listener(
            taking,
            data_size_limit=settings.mail_max_bytes,
            enable_SMTPUTF8=True,
            hostname=settings.mail_name,
            ident="Lianxin",
            timeout=SILENCE_S,
            loop=loop,
        ),
        settings.mail_host,
        settings.mail_port,
    )
    try:
        await asyncio.Event().wait()
    finally:
        server.close()


def main() -> None:
    """Run until stopped."""
    settings = IntakeSettings()  # type: ignore[call-arg]  # from the environment
    run_worker(settings, lambda: start(settings))


if __name__ == "__main__":
    main()
