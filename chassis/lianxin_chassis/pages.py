"""Pages for people: templates, texts in two languages, the look that was asked for, and the headers that
every page carries. A service with pages names jinja2 among what it needs."""

import tomllib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lianxin_contracts.registry import Snapshot

Language = Literal["zh", "en"]

_WEEKDAYS = {"zh": "一二三四五六日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


def security_headers(permissions: str = "()", pictures: str = "", uploads: str = "") -> dict[str, str]:
    """Nothing from anywhere else, and no page of ours in another's frame. `permissions`: who may use
    position, camera and microphone, `()` nobody, `(self)` our own pages. `pictures`: another origin whose
    pictures may be shown, such as `https://intake.example.org`; `uploads`: one that a script may send to."""
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "
        f"{f'{pictures} ' if pictures else ''}data:; connect-src 'self'{f' {uploads}' if uploads else ''}; "
        "worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": f"geolocation={permissions}, camera={permissions}, microphone={permissions}",
        "Cache-Control": "no-store",
    }


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is to look: Chinese first, English on switching; `large` type; `kiosk`: on a device that
    many people use. Carried in addresses."""

    language: Language = "zh"
    large: bool = False
    kiosk: bool = False

    def address(self, path: str, **more: str) -> str:
        """`path` with this look and the parameters `more`."""
        query = dict(more)
        if self.language != "zh":
            query["lang"] = self.language
        if self.large:
            query["size"] = "large"
        if self.kiosk:
            query["kiosk"] = "1"
        return f"{path}?{urlencode(query)}" if query else path

    def other_language(self) -> "Look":
        """The same in the other language."""
        return replace(self, language="en" if self.language == "zh" else "zh")

    def other_size(self) -> "Look":
        """The same in the other size."""
        return replace(self, large=not self.large)


def look_of(request: Request) -> Look:
    """The look that the request's address asks for."""
    query = request.query_params
    return Look(
        "en" if query.get("lang") == "en" else "zh", query.get("size") == "large", query.get("kiosk") == "1"
    )


def wants_json(request: Request) -> bool:
    """Whether our own script asks, which shows the answer itself."""
    return request.headers.get("accept", "").startswith("application/json")


class Pages:
    """The templates and texts of one service: `templates/` and the files `texts` in `directory`. `kept` names
    the parameters of an address that a change of the look keeps."""

    def __init__(
        self,
        directory: Path,
        texts: tuple[str, ...] = ("texts.toml",),
        *,
        kept: tuple[str, ...],
        permissions: str = "()",
    ) -> None:
        self.texts: dict[str, dict[str, str]] = {
            key: both
            for file in texts
            for key, both in tomllib.loads((directory / file).read_text("utf-8")).items()
        }
        self._kept = kept
        self._headers = security_headers(permissions)
        self._templates = Environment(
            loader=FileSystemLoader(directory / "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def text(self, key: str, language: Language, /, **values: Any) -> str:
        """The text `key`. Raises KeyError for one that is not there."""
        return self.texts[key][language].format(**values)

    def page(
        self,
        template: str,
        request: Request,
        *,
        status: int = 200,
        referrer: str = "no-referrer",
        headers: dict[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """The page that `template` makes of `values`, in the look that was asked for. `referrer`: a form
        whose sender is checked needs `same-origin`, since browsers hide the origin otherwise."""
        look = look_of(request)
        html = self._templates.get_template(template).render(
            look=look,
            t=lambda key, **given: self.text(key, look.language, **given),
            path=request.url.path,
            kept={name: value for name, value in request.query_params.items() if name in self._kept},
            **values,
        )
        return HTMLResponse(html, status, {**self._headers, "Referrer-Policy": referrer, **(headers or {})})


def day(moment: datetime, language: Language, city: Snapshot | None) -> str:
    """The civil day of `moment` in the city, with its weekday: 11月25日（星期三）, Wed 25 Nov 2026."""
    local = local_time(moment, city)
    if language == "en":
        return f"{_WEEKDAYS['en'][local.weekday()]} {local.day} {local:%b %Y}"
    return f"{local.year}年{local.month}月{local.day}日（星期{_WEEKDAYS['zh'][local.weekday()]}）"


def day_and_time(moment: datetime, language: Language, city: Snapshot | None) -> str:
    """As `day`, with hours and minutes."""
    return f"{day(moment, language, city)} {local_time(moment, city):%H:%M}"


def days_until(moment: datetime, now: datetime, city: Snapshot | None) -> int:
    """Civil days of the city from `now` to `moment`; negative for the past."""
    return (local_time(moment, city).date() - local_time(now, city).date()).days


def local_time(moment: datetime, city: Snapshot | None) -> datetime:
    """`moment` in the city's zone."""
    return moment.astimezone(ZoneInfo(city.city.zone if city is not None else "Asia/Shanghai"))
