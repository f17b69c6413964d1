"""Looks whether a message to a resident may go out now, and to which address: when it is sent, and only then.

The address is in nothing that is kept: it leaves here in the delivery that one attempt is made with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from lianxin_chassis.logs import get_logger
from lianxin_contracts.registry import Snapshot
from lianxin_contracts.words import OPINION_PART
from lianxin_notifier.alerts import Due, Outside
from lianxin_notifier.contact import ContactOpener, Reachable, Unopenable
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.milestones import needless, quiet_of, quiet_until
from lianxin_notifier.sender import Dropped, Held
from lianxin_notifier.settings import NotifierSettings
from lianxin_notifier.stop_links import StopLinks, stop_id
from lianxin_notifier.store import ProjectionStore

log = get_logger(__name__)

# The contact comes by another topic than the milestone: so long it is waited for.
PATIENCE = timedelta(hours=1)
LOOK_AGAIN = timedelta(seconds=30)


def resident_channels(settings: NotifierSettings) -> tuple[Outside, ...]:
    """The channels that residents are written to by: none where they are not to be, or where something that
    a message must have is not set up: key, address of the tracking pages, and the way to stop them."""
    needed = (
        settings.resident_milestones
        and settings.contact_private_key.get_secret_value()
        and settings.signin_secret.get_secret_value()
        and settings.public_url
        and settings.intake_url
    )
    if not needed:
        return ()
    channels: tuple[Outside, ...] = ("mail",) if settings.smtp_host else ()
    return (*channels, "sms") if settings.sms_gateway.get_secret_value() else channels


@dataclass(frozen=True, slots=True)
class Residents:
    """The gate before every message to a resident."""

    settings: NotifierSettings
    store: ProjectionStore
    deliveries: DeliveryStore
    city: Callable[[], Snapshot]

    async def ready(self, due: Due, now: datetime) -> Due | Held | Dropped:
        """`due` with its address, its tracking link and its stop link; or until when it is held, or why it
        is not sent. Raises what the stores raise."""
        channels = resident_channels(self.settings)
        if due.kind not in channels:
            return Dropped("messages to residents are switched off")
        city = self.city()
        if (stays := await self._needless(due, city, now)) is not None:
            return stays
        quiet = quiet_until(now, ZoneInfo(city.city.zone), quiet_of(self.settings.resident_quiet))
        if quiet is not None:
            return Held(quiet)
        sealed = await self.store.sealed_contact(due.opinion, OPINION_PART)
        if sealed is None:
            return _later(due, now, "no contact")
        return self._addressed(due, sealed, channels)

    async def _needless(self, due: Due, city: Snapshot, now: datetime) -> Held | Dropped | None:
        if await self.deliveries.known([stop_id(due.opinion)]):
            return Dropped("stopped by the resident")
        opinion = (await self.store.opinions([due.opinion])).get(due.opinion)
        if opinion is None:  # it is queued before its opinion is saved
            return _later(due, now, "no such opinion")
        kind = due.entry.event.partition(".")[2]
        channel = city.channels.get(opinion.channel or "")
        if kind == "received" and channel is not None and channel.kind == "mail":
            return Dropped("intake has answered the mail")  # with the code, in the same thread
        reason = needless(kind, opinion)
        return None if reason is None else Dropped(reason)

    def _addressed(self, due: Due, sealed: str, channels: tuple[Outside, ...]) -> Due | Dropped:
        opener = ContactOpener(self.settings.contact_private_key.get_secret_value())
        try:
            contact = opener.open_to_write(sealed)
        except Unopenable as error:
            log.error("a contact can't be opened", opinion=due.opinion, error=str(error))
            return Dropped("the contact can't be opened")
        target = _address(contact, due.kind, channels)
        if target is None:
            return Dropped("not reached by this channel")
        secret = self.settings.signin_secret.get_secret_value().encode()
        tracking = self.settings.intake_url.rstrip("/")
        return replace(
            due,
            target=target,
            link=f"{tracking}/t/{contact.code}?id={due.opinion}" if contact.code else tracking,
            stop=StopLinks(secret, self.settings.public_url).address(due.opinion),
        )


def _later(due: Due, now: datetime, missing: str) -> Held | Dropped:
    return Held(now + LOOK_AGAIN) if now < due.raised + PATIENCE else Dropped(missing)


def _address(contact: Reachable, kind: Outside, channels: tuple[Outside, ...]) -> str | None:
    """Where `contact` is written to by this channel: by mail where possible, else by SMS, not both."""
    if kind == "mail":
        return contact.email or None
    by_mail = contact.email and "mail" in channels
    return None if by_mail else contact.phone or None
