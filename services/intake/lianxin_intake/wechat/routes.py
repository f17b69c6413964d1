"""`/wechat/{channel}`: the address that an Official Account is configured with."""

import os
from datetime import UTC, datetime

import httpx
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.database import Database
from lianxin_chassis.outages import outage
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Channel, Snapshot
from lianxin_intake.context import Intake, RawRoute
from lianxin_intake.keeping import PhotoKeeper
from lianxin_intake.reading import headers_of, read_body
from lianxin_intake.rights import city_of
from lianxin_intake.settings import IntakeSettings
from lianxin_intake.wechat import wording
from lianxin_intake.wechat.accounts import WechatAccount
from lianxin_intake.wechat.messages import (
    MAX_BYTES,
    Malformed,
    encrypted_xml,
    fields_of,
    message_of,
    reply_xml,
)
from lianxin_intake.wechat.pictures import Pictures
from lianxin_intake.wechat.signing import Undecipherable, decrypt, encrypt, is_signed, signature
from lianxin_intake.wechat.store import ConversationStore
from lianxin_intake.wechat.talking import Talking

# How far WeChat's clock and ours may be apart, its retries included, seconds.
WINDOW_S = 300
_MAX_ECHO = 256
# What WeChat takes for "heard, and nothing to say".
_NOTHING = "success"
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def talking_of(
    settings: IntakeSettings,
    intake: Intake,
    db: Database,
    keeper: PhotoKeeper,
    client: httpx.AsyncClient,
    secret: bytes,
) -> Talking:
    """The conversations of the accounts in `settings`."""
    pictures = Pictures(client, settings.wechat_api, settings.wechat, settings.wechat_picture_hosts)
    return Talking(intake, settings.wechat, ConversationStore(db), pictures, keeper, secret)


def wechat_routes(talking: Talking) -> APIRouter:
    """The callback of every account."""
    routes = APIRouter(route_class=RawRoute, include_in_schema=False)

    @routes.get("/wechat/{channel}")
    async def verify(request: Request) -> Response:
        """WeChat asks whether the address is ours: its `echostr` back, where the signature is right."""
        _require_signed(request, _account(talking, request))
        return Response(
            request.query_params.get("echostr", "")[:_MAX_ECHO], media_type="text/plain", headers=_PRIVATE
        )

    @routes.post("/wechat/{channel}")
    async def receive(request: Request) -> Response:
        """One message or event; the reply to it in the same form, plain or encrypted.

        403 for what was not signed by WeChat, came too late or was posted before with another content; 400
        for what is no message. Where broker or database are away the reply says so: WeChat shows people
        nothing of our errors.
        """
        account = _account(talking, request)
        city = city_of(talking.intake.registry)
        channel = _channel(request, city)
        _require_signed(request, account)
        body = await read_body(request, headers_of(request), MAX_BYTES)
        try:
            fields = _opened(request, account, fields_of(body))
            message = message_of(fields)
        except Malformed as error:
            raise ProblemError(400, "malformed", "The message can't be read", str(error)) from None
        try:
            await _require_new(talking, request, fields)
            text = await talking.answer(channel, city, message)
        except Exception as error:
            if outage(error) is None:
                raise
            text = wording.BUSY
        if not text:
            return Response(_NOTHING, media_type="text/plain", headers=_PRIVATE)
        now = int(datetime.now(UTC).timestamp())
        return _answered(account, reply_xml(message, text, now), now)

    return routes


def _account(talking: Talking, request: Request) -> WechatAccount:
    account = talking.accounts.get(str(request.path_params["channel"]))
    if account is None:
        raise ProblemError(
            404, "no_wechat_account", "No Official Account is set up here", "See docs/wechat.md."
        )
    return account


def _channel(request: Request, city: Snapshot) -> Channel:
    channel = city.channels.get(str(request.path_params["channel"]))
    if channel is None:
        raise ProblemError(
            503,
            "channel_inactive",
            "The account's channel is not active",
            "Add it to the city's registry.",
            headers={"Retry-After": "60"},
        )
    return channel


def _require_signed(request: Request, account: WechatAccount) -> None:
    """Raises 403 for what WeChat did not sign, or not now."""
    query = request.query_params
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    if not is_signed(query.get("signature", ""), account.token.get_secret_value(), timestamp, nonce):
        raise _forbidden("The signature is wrong.")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise _forbidden("The timestamp is no time.")
    if abs(datetime.now(UTC).timestamp() - int(timestamp)) > WINDOW_S:
        raise _forbidden(f"The timestamp is more than {WINDOW_S} seconds away.")


def _opened(request: Request, account: WechatAccount, fields: dict[str, str]) -> dict[str, str]:
    """The message's own fields, decrypted where the account has a key. Raises 403, and `Malformed`."""
    query = request.query_params
    if account.key is None:
        if query.get("encrypt_type", "raw") != "raw":
            raise _forbidden("This account has no EncodingAESKey here.")
        return fields
    token, encrypted = account.token.get_secret_value(), fields.get("Encrypt", "")
    signed = (token, query.get("timestamp", ""), query.get("nonce", ""), encrypted)
    if not encrypted or not is_signed(query.get("msg_signature", ""), *signed):
        raise _forbidden("The message is not encrypted, or its signature is wrong.")
    try:
        return fields_of(decrypt(encrypted, account.key, account.app_id))
    except Undecipherable:
        raise _forbidden("The message was not encrypted for this account.") from None


async def _require_new(talking: Talking, request: Request, fields: dict[str, str]) -> None:
    """Raises 403 where this signature was used for another content: in clear it does not cover the body."""
    query = request.query_params
    nonce = talking.hashed(
        "nonce", request.path_params["channel"], query.get("timestamp", ""), query.get("nonce", "")
    )
    digest = talking.hashed("body", *(part for field in sorted(fields.items()) for part in field))
    if not await talking.store.is_first_use(nonce, digest, datetime.now(UTC)):
        raise _forbidden("This nonce was used for another message.")


def _answered(account: WechatAccount, reply: bytes, now: int) -> Response:
    if account.key is not None:
        timestamp, nonce = str(now), os.urandom(8).hex()
        encrypted = encrypt(reply, account.key, account.app_id)
        signed = signature(account.token.get_secret_value(), timestamp, nonce, encrypted)
        reply = encrypted_xml(encrypted, signed, timestamp, nonce)
    return Response(reply, media_type="application/xml", headers=_PRIVATE)


def _forbidden(detail: str) -> ProblemError:
    return ProblemError(403, "not_from_wechat", "This did not come from WeChat", detail)
