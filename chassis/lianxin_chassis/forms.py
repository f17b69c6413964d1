"""Reading what a page's form sends: fields of text, from our own page and nobody else's."""

import uuid
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from lianxin_chassis.problems import ProblemError

FORM = "application/x-www-form-urlencoded"
MAX_BYTES = 256 * 1024
MAX_FIELDS = 40


async def read_form(request: Request) -> dict[str, str]:
    """The form's fields, stripped, line breaks as line feeds; the last of equal names counts, an empty field
    is left out.

    Raises 400 for what is no form in UTF-8, 413 above `MAX_BYTES` bytes, and 415 for another media type.
    """
    headers = request.headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM or headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(
            415,
            "unsupported_media_type",
            "The body is not in a form that is read here",
            f"Send Content-Type: {FORM}, uncompressed.",
        )
    raw = await _body(request)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise ProblemError(
            400, "malformed", "The form can't be read", "Send an URL-encoded form in UTF-8."
        ) from None
    return cleaned(pairs)


def cleaned(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """`pairs` as fields: stripped, line breaks as line feeds; the last of equal names counts, an empty field
    is left out."""
    fields = {name: value.replace("\r\n", "\n").replace("\r", "\n").strip() for name, value in pairs}
    return {name: value for name, value in fields.items() if value}


def require_own_page(request: Request, public_url: str) -> None:
    """Raises 403 for a form that another site's page sent, by Sec-Fetch-Site where the browser says it, else
    by Origin. What is no browser says neither, and has nothing that another site could use."""
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        own = site == "same-origin"
    else:
        origin = headers.get("origin")
        own = origin is None or urlsplit(origin).netloc in {headers.get("host"), urlsplit(public_url).netloc}
    if not own:
        raise ProblemError(
            403, "another_site", "Another site sent this form", "Open our own page and send it there."
        )


def key_of(fields: Mapping[str, str]) -> str | None:
    """The form's idempotency key: a UUID that the page made. None for anything else."""
    try:
        return str(uuid.UUID(fields.get("key", "")))
    except ValueError:
        return None


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                raise ProblemError(
                    413, "too_large", "The body is too large", f"At most {MAX_BYTES} bytes.", limit=MAX_BYTES
                )
    except ClientDisconnect:
        raise ProblemError(400, "incomplete", "The body ended too early") from None
    return bytes(body)
