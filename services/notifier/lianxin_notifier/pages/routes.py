"""Every page of the notifier, put together."""

from fastapi import APIRouter

from lianxin_chassis.rates import Buckets
from lianxin_notifier.context import Notifier
from lianxin_notifier.pages.case_page import case_page_routes
from lianxin_notifier.pages.device_page import device_page_routes
from lianxin_notifier.pages.duty_page import duty_page_routes
from lianxin_notifier.pages.inbox_page import inbox_page_routes
from lianxin_notifier.pages.offline import offline_routes
from lianxin_notifier.pages.oidc_page import oidc_page_routes
from lianxin_notifier.pages.preferences_page import preferences_page_routes
from lianxin_notifier.pages.signin_page import Asking, signin_page_routes
from lianxin_notifier.pages.station_page import station_page_routes
from lianxin_notifier.pages.triage_page import triage_page_routes
from lianxin_notifier.settings import NotifierSettings
from lianxin_notifier.signin_mail import SignInMailer


def page_routes(notifier: Notifier, settings: NotifierSettings) -> list[APIRouter]:
    """The groups of routes."""
    per_address, per_person = settings.links_per_hour_address, settings.links_per_hour_person
    asking = Asking(
        SignInMailer(settings),
        Buckets(per_address / 3600, per_address),
        Buckets(per_person / 3600, per_person),
    )
    closed = not settings.signin_secret.get_secret_value()
    oidc = [] if notifier.oidc is None or closed else [oidc_page_routes(notifier, notifier.oidc)]
    return [
        *oidc,  # before the page of links, whose token could be any word
        signin_page_routes(notifier, asking, closed=closed),
        inbox_page_routes(notifier),
        triage_page_routes(notifier),
        offline_routes(),
        case_page_routes(notifier),
        duty_page_routes(notifier, settings.intake_url),
        preferences_page_routes(notifier),
        station_page_routes(notifier),
        device_page_routes(notifier),
    ]
