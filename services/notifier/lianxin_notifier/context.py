"""What the routes of the notifier work with: made once in `api`, handed to every group of routes."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from fastapi import Request, Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Scope
from lianxin_notifier.contact import ContactOpener
from lianxin_notifier.device_store import DeviceStore
from lianxin_notifier.idempotency import IdempotencyKeys
from lianxin_notifier.ledger import NumberLedger
from lianxin_notifier.live_store import LiveStore
from lianxin_notifier.oidc.provider import OidcProvider
from lianxin_notifier.pages.photos import PhotoLinks
from lianxin_notifier.preference_store import PreferenceStore
from lianxin_notifier.projector import Publishes
from lianxin_notifier.reaching_store import ReachingStore
from lianxin_notifier.rights import Caller, Registry, caller_of
from lianxin_notifier.signin_links import SignInLinks
from lianxin_notifier.signins import SignIns
from lianxin_notifier.streams import AlertHub


@dataclass(frozen=True, slots=True)
class Notifier:
    """The parts of one API process. `opener` is None where no private key was given, `push_key` where web
    push is not set up, `oidc` where the city has no identity service of its own."""

    registry: Registry
    publisher: Publishes
    live: LiveStore
    ledger: NumberLedger
    keys: IdempotencyKeys
    hub: AlertHub
    opener: ContactOpener | None
    publish_deadline_s: float
    heartbeat_s: float
    reveal_for: timedelta
    links: SignInLinks
    signins: SignIns
    link_valid_s: float
    photos: PhotoLinks
    devices: DeviceStore
    push_key: str | None
    preferences: PreferenceStore
    reaching: ReachingStore
    oidc: OidcProvider | None = None

    async def caller(self, request: Request, *scopes: Scope, writing: bool = False) -> Caller:
        """Who is asking: a channel by its key, else whoever is signed in. `writing`: a call by cookie must
        carry our page's token. Raises 401, 403 or 503."""
        authorization = request.headers.get("authorization")
        signed = await self.signins.signed(request) if not authorization else None
        if signed is None:
            return caller_of(authorization, self.registry, *scopes)
        if writing:
            self.signins.require_header(request, signed)
        return Caller("workbench", frozenset(), signed.person, signed.session.id)


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """`body` as JSON, not to be cached."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


def uuid_of(text: str, what: str) -> str:
    """`text` in the canonical form of a UUID. Raises 404 where it is none: nothing has such an id."""
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise ProblemError(404, f"{what}_unknown", f"There is no such {what}") from error
