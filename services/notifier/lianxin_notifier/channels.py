"""Every outside channel as it is set up here: from settings to one sender each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from lianxin_contracts import ids
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import OUTSIDE, Due, Outside
from lianxin_notifier.channel_mail import MailServer, MailSlot
from lianxin_notifier.channel_push import PushServices, PushSlot
from lianxin_notifier.channel_robot import ROBOTS, RobotSlot, robots_of
from lianxin_notifier.channel_sms import SmsSlot, gateway_of
from lianxin_notifier.channel_webhook import WebhookSettings, WebhookSlot
from lianxin_notifier.channel_wecom_app import Tokens, WecomAppSlot, application_of
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.device_store import DeviceStore
from lianxin_notifier.posting import Allowed, Poster
from lianxin_notifier.projector import Publishes
from lianxin_notifier.protection import Guard
from lianxin_notifier.retrying import RetryPolicy
from lianxin_notifier.sender import Gate, Reached, Sender, Slot, Timing
from lianxin_notifier.settings import NotifierSettings
from lianxin_notifier.signin_links import SignInLinks
from lianxin_notifier.web_push import Vapid

City = Callable[[], Snapshot]


def senders_of(
    settings: NotifierSettings,
    store: DeliveryStore,
    publisher: Publishes,
    city: City,
    devices: DeviceStore,
    workers: Callable[[], int],
    reached: Reached,
    gate: Gate | None = None,
) -> Sequence[Sender]:
    """One sender for each outside channel; what is not set up has no slots. Raises ValueError where robots or
    gateway are described wrongly. `city` gives the one in force; nothing may be sent before there is one."""
    timing = Timing(
        settings.delivery_lease_s,
        RetryPolicy(settings.retry_first_s, settings.retry_longest_s, settings.attempts_limit),
        settings.silent_s,
    )
    slots = slots_of(settings, city, devices)
    return [
        Sender(
            kind,
            slots.get(kind, ()),
            store,
            publisher,
            timing,
            _guard(kind, settings, workers),
            reached,
            gate=gate,
        )
        for kind in OUTSIDE
    ]


def slots_of(
    settings: NotifierSettings, city: City, devices: DeviceStore
) -> Mapping[Outside, Sequence[Slot]]:
    """The connections of every channel that is set up."""
    return {
        "mail": _mail(settings, city),
        "webhook": _webhook(settings),
        "push": _push(settings, city, devices),
        "wecom_app": _wecom_app(settings, city),
        **_by_http(settings, city),
    }


def vapid_of(settings: NotifierSettings) -> Vapid | None:
    """This server's name towards push services; None where web push is not set up. Raises ValueError for a
    key that is none."""
    key = settings.push_private_key.get_secret_value()
    if not key:
        return None
    own_page = settings.public_url if settings.public_url.startswith("https:") else ""
    # RFC 8292 2.1: a mailto: or an https: address.
    return Vapid(key, settings.push_contact or own_page or f"mailto:{settings.smtp_from}")


def _guard(kind: Outside, settings: NotifierSettings, workers: Callable[[], int]) -> Guard:
    per_minute: dict[Outside, int] = {
        "mail": settings.mail_per_minute,
        "sms": settings.sms_per_minute,
        "webhook": 0,
        "push": 0,
        "wecom_app": settings.wecom_app_per_minute,
    }
    rest = timedelta(seconds=settings.breaker_rest_s)
    most = per_minute.get(kind, settings.robot_per_minute)
    return Guard(kind, settings.breaker_failures, rest, most, workers)


def _mail(settings: NotifierSettings, city: City) -> Sequence[Slot]:
    if not settings.smtp_host:
        return ()
    server = MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_from,
        settings.smtp_tls,
        settings.smtp_username,
        settings.smtp_password.get_secret_value(),
        settings.public_url,
        settings.attempt_deadline_s,
        alert_links(settings),
    )
    return [MailSlot(server, city) for _ in range(settings.smtp_connections)]


def _webhook(settings: NotifierSettings) -> Sequence[Slot]:
    secret = settings.webhook_secret.get_secret_value()
    if not secret:
        return ()
    how = WebhookSettings(secret.encode(), Allowed(settings.webhook_allow), settings.attempt_deadline_s)
    return [WebhookSlot(how) for _ in range(settings.webhook_connections)]


def _push(settings: NotifierSettings, city: City, devices: DeviceStore) -> Sequence[Slot]:
    vapid = vapid_of(settings)
    if vapid is None:
        return ()
    services = PushServices(settings.breaker_failures, timedelta(seconds=settings.breaker_rest_s))
    allowed, deadline_s = Allowed(settings.webhook_allow), settings.attempt_deadline_s
    return [
        PushSlot(vapid, devices, services, Poster(allowed, deadline_s), city, settings.public_url)
        for _ in range(settings.push_connections)
    ]


def _wecom_app(settings: NotifierSettings, city: City) -> Sequence[Slot]:
    application = application_of(settings.wecom_app.get_secret_value())
    if application is None:
        return ()
    # A token and a message, each of which may be asked for twice, are one attempt.
    allowed, deadline_s = Allowed(settings.webhook_allow), settings.attempt_deadline_s / 4
    tokens = Tokens(application, Poster(allowed, deadline_s))
    return [
        WecomAppSlot(application, tokens, Poster(allowed, deadline_s), city, settings.public_url)
        for _ in range(settings.robot_connections)
    ]


def _by_http(settings: NotifierSettings, city: City) -> dict[Outside, Sequence[Slot]]:
    """The robots of each provider, and the gateway of SMS."""
    allowed, url = Allowed(settings.webhook_allow), settings.public_url
    robots = robots_of(settings.robots.get_secret_value())
    found: dict[Outside, Sequence[Slot]] = {}
    for kind in ROBOTS:
        if of_kind := getattr(robots, kind):
            found[kind] = [
                RobotSlot(kind, of_kind, Poster(allowed, settings.attempt_deadline_s), city, url)
                for _ in range(settings.robot_connections)
            ]
    if gateway := gateway_of(settings.sms_gateway.get_secret_value()):
        found["sms"] = [
            SmsSlot(gateway, Poster(allowed, settings.attempt_deadline_s), city, url)
            for _ in range(settings.sms_connections)
        ]
    return found


def alert_links(settings: NotifierSettings) -> Callable[[Due], str] | None:
    """What opens an alert's case: a link that signs its receiver in, once however often the mail is sent.
    None where nobody can sign in."""
    secret = settings.signin_secret.get_secret_value()
    if not secret:
        return None
    links = SignInLinks(secret.encode(), settings.public_url)
    valid_s = settings.alert_link_minutes * 60
    return lambda due: links.address(due.receiver, ids.derived(due.alert, "signin"), valid_s, due.page)
