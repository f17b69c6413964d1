"""Reading what a page's form sends, with files where it has some; fields alone are read in the chassis."""

from starlette.requests import Request

from lianxin_chassis.forms import cleaned, key_of, read_form, require_own_page
from lianxin_intake.photos.bodies import MAX_FORM_BYTES, MULTIPART, read_parts
from lianxin_intake.reading import headers_of

__all__ = ["is_multipart", "key_of", "read_form", "read_form_with_files", "require_own_page"]


def is_multipart(request: Request) -> bool:
    """Whether a form comes in parts, as one with files does."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == MULTIPART


async def read_form_with_files(request: Request) -> tuple[dict[str, str], list[bytes]]:
    """The form's fields, as `read_form`, and its files, in order. Raises the same."""
    if not is_multipart(request):
        return await read_form(request), []
    fields, files = await read_parts(request, headers_of(request), MAX_FORM_BYTES)
    return cleaned(fields.items()), files
