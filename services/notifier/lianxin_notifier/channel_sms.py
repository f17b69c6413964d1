"""SMS by any gateway that is spoken to over HTTP: the operator describes its request and its answers.

`LIANXIN_SMS_GATEWAY` is JSON: `url`; `headers`; one of `json` (any object) and `form` (fields), in whose
strings `{phone}`, `{text}` and `{id}` stand for number, words and the alert's id (for a gateway that
recognises repeats); `answer`, the dotted path of the code in a JSON answer, with the values that mean `sent`
and those that mean `retry`, every other one being final. Without `answer` the HTTP status alone decides.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Due
from lianxin_notifier.letters import note
from lianxin_notifier.posting import Answer, Poster, status_outcome
from lianxin_notifier.retrying import SENT, Outcome

_PLACE = re.compile(r"\{(phone|text|id)\}")
LONGEST_CODE = 32  # characters of a gateway's code that are kept as the reason


class CodedAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an answer's code is (`data.0.code`), and what its values mean."""

    path: str
    sent: tuple[str, ...]
    retry: tuple[str, ...] = ()


class Gateway(Struct, frozen=True, forbid_unknown_fields=True):
    """How a gateway is asked to send one message."""

    url: str
    headers: dict[str, str] = {}
    json: dict[str, Any] | None = None
    form: dict[str, str] | None = None
    answer: CodedAnswer | None = None

    def __repr__(self) -> str:
        return "Gateway(…)"  # headers and fields hold the account's secrets


def gateway_of(text: str) -> Gateway | None:
    """The gateway that `text` describes; None where it is empty. Raises ValueError, which names the place and
    never a value."""
    if not text.strip():
        return None
    try:
        gateway = msgspec.json.decode(text, type=Gateway)
    except msgspec.DecodeError as error:
        raise ValueError(f"LIANXIN_SMS_GATEWAY: {error}") from None
    if (gateway.json is None) == (gateway.form is None):
        raise ValueError("LIANXIN_SMS_GATEWAY: give one of json and form")
    return gateway


def request_of(gateway: Gateway, phone: str, text: str, id_: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the request. Values are put into strings as they are and encoded as a whole after,
    so that no text can add a field."""
    values = {"phone": phone, "text": text, "id": id_}
    if gateway.form is not None:
        body = urlencode(_filled(gateway.form, values)).encode()
        kind = "application/x-www-form-urlencoded; charset=utf-8"
    else:
        body = msgspec.json.encode(_filled(gateway.json, values))
        kind = "application/json; charset=utf-8"
    return body, {"Content-Type": kind, **gateway.headers}


def verdict(gateway: Gateway, answer: Answer) -> Outcome:
    """What the gateway's answer means."""
    by_status = status_outcome(answer)
    if gateway.answer is None or by_status.result == "retry":
        return by_status
    code = _at(answer.body, gateway.answer.path)
    if code is None:
        unreadable = Outcome("retry", "no answer of the gateway", unknown=True)
        return unreadable if by_status == SENT else by_status
    if code in gateway.answer.sent:
        return SENT
    known = code[:LONGEST_CODE] if code.isascii() and code.replace("_", "").isalnum() else "refused"
    return Outcome("retry" if code in gateway.answer.retry else "dead", f"sms {known}")


class SmsSlot:
    """Posts to the gateway. `deliver` never raises for what the other side does."""

    def __init__(
        self, gateway: Gateway, poster: Poster, city: Callable[[], Snapshot], public_url: str
    ) -> None:
        self._gateway = gateway
        self._poster = poster
        self._city = city
        self._public_url = public_url

    async def deliver(self, due: Due) -> Outcome:
        """Hand one message over."""
        city = self._city()
        body, headers = request_of(self._gateway, due.target, note(due, city, self._public_url), due.alert)
        answer = await self._poster.post(self._gateway.url, body, headers)
        return answer if isinstance(answer, Outcome) else verdict(self._gateway, answer)

    async def close(self) -> None:
        """Drop the connections."""
        await self._poster.close()


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _PLACE.sub(lambda place: values[place[1]], value)
        case dict():
            return {key: _filled(inner, values) for key, inner in value.items()}
        case list():
            return [_filled(inner, values) for inner in value]
        case _:
            return value


def _at(body: bytes, path: str) -> str | None:
    """What stands at the dotted `path` of a JSON body, as text; None where nothing does."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return None if value is None or isinstance(value, dict | list) else str(value)
