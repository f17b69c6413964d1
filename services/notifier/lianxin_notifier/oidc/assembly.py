"""Puts the identity service together from what the process was told."""

import ssl
from datetime import timedelta

import httpx

from lianxin_notifier.oidc.attempts import Attempts
from lianxin_notifier.oidc.endpoints import Client, Endpoints
from lianxin_notifier.oidc.people_of_claims import ClaimMapping
from lianxin_notifier.oidc.provider import OidcProvider
from lianxin_notifier.oidc.tokens import Expected
from lianxin_notifier.rights import Registry
from lianxin_notifier.sessions import Sessions
from lianxin_notifier.settings import NotifierSettings

CALLBACK = "/signin/oidc/callback"


def open_provider(
    settings: NotifierSettings, secret: bytes, public_url: str, sessions: Sessions, registry: Registry
) -> tuple[OidcProvider | None, httpx.AsyncClient]:
    """The provider, None where no issuer is set, and the client that it asks by, to be closed by the caller.
    Nothing is asked yet. Raises OSError for certificates that can't be read."""
    trusted: ssl.SSLContext | bool = True
    if settings.oidc_cafile:
        trusted = ssl.create_default_context(cafile=settings.oidc_cafile)
    # An answer that sends us elsewhere is not followed: secrets go where the discovery document says only.
    http = httpx.AsyncClient(verify=trusted, follow_redirects=False, timeout=settings.oidc_deadline_s)
    if not settings.oidc_issuer:
        return None, http
    issuer, client = settings.oidc_issuer, settings.oidc_client_id
    provider = OidcProvider(
        Endpoints(
            http,
            issuer,
            settings.oidc_plain,
            deadline_s=settings.oidc_deadline_s,
            refresh_s=settings.oidc_refresh_s,
        ),
        Attempts(secret),
        Client(client, settings.oidc_client_secret.get_secret_value(), public_url.rstrip("/") + CALLBACK),
        Expected(issuer, client, settings.oidc_signing, timedelta(seconds=settings.oidc_skew_s)),
        ClaimMapping(settings.oidc_claim, settings.oidc_claim_holds, settings.oidc_unverified_mail),
        sessions,
        registry,
        scopes=settings.oidc_scopes,
        label=settings.oidc_name,
    )
    return provider, http
