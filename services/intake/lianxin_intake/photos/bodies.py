"""Reading uploads: an image as the body itself, or as a part of a form. Memory and disk are bounded."""

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from lianxin_chassis.problems import ProblemError
from lianxin_intake.photos.images import MAX_BYTES
from lianxin_intake.reading import Headers, body_too_large, headers_of, read_body

MULTIPART = "multipart/form-data"
# Of a form with all its photos; parts above 1 MB lie on the temporary disk while it is read.
MAX_FORM_BYTES = 24 * 1024 * 1024
MAX_FIELD_BYTES = 256 * 1024
MAX_FIELDS = 40
MAX_FILES = 20


async def read_image(request: Request) -> bytes:
    """The one image that `request` brings.

    Raises 400 for a form that can't be read or does not hold one file, 413, and 415 for another media type.
    """
    headers = headers_of(request)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        _, files = await read_parts(request, headers, MAX_BYTES + MAX_FIELD_BYTES)
        if len(files) != 1:
            raise ProblemError(
                400, "one_file", "The form does not hold one file", f"Send one image; there are {len(files)}."
            )
        return files[0]
    if not kind.startswith("image/") or headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(
            415,
            "unsupported_media_type",
            "The body is not in a form that is read here",
            "Send image/jpeg, image/png or image/webp as it is, or multipart/form-data.",
        )
    return await read_body(request, headers, MAX_BYTES)


async def read_parts(request: Request, headers: Headers, limit: int) -> tuple[dict[str, str], list[bytes]]:
    """The fields of a form (the last of equal names counts) and its files, empty ones left out.

    Raises 400 for what is no such form, 413 where it is longer than `limit` bytes or a file is longer than an
    image may be.
    """
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise body_too_large(limit)
    try:
        form = await _limited(request, limit).form(
            max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
    except HTTPException as error:
        raise ProblemError(400, "malformed", "The form can't be read", str(error.detail)) from None
    except ClientDisconnect:
        raise ProblemError(400, "incomplete", "The body ended too early") from None
    fields: dict[str, str] = {}
    files: list[bytes] = []
    try:
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                fields[name] = value
            elif (value.size or 0) > MAX_BYTES:
                raise body_too_large(MAX_BYTES)
            elif value.size:
                files.append(await value.read())
    finally:
        await form.close()
    return fields, files


def _limited(request: Request, limit: int) -> Request:
    """`request`, raising 413 as soon as its body is longer than `limit` bytes."""
    left = limit

    async def receive() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise body_too_large(limit)
        return message

    return Request(request.scope, receive)
