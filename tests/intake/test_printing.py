"""QR codes and posters over HTTP: they lead to the public address of a station that is in the registry."""

from collections.abc import Callable
from io import BytesIO

import pypdfium2
import pytest
import resvg_py
import zxingcpp
from PIL import Image

from tests.intake.running import Running
from tests.support.brokers import Broker
from tests.support.databases import Database

PUBLIC = "https://opinions.example.org"
Make = Callable[..., Running]


@pytest.fixture
def public(city_broker: Broker, database: Database, make_running: Make) -> Running:
    """An API that is known to the world by another address than its own."""
    return make_running("api", city_broker, database.url, "intake_shared", public_url=PUBLIC).start()


def read(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture.convert("L"))]


def pages(pdf: bytes) -> list[pypdfium2.PdfPage]:
    return list(pypdfium2.PdfDocument(pdf))


def test_every_code_leads_to_the_public_address_of_the_station(public: Running) -> None:
    svg, png, pdf = (public.http.get(f"/qr/S1.{kind}") for kind in ("svg", "png", "pdf"))
    kinds = [answer.headers["content-type"] for answer in (svg, png, pdf)]
    assert kinds == ["image/svg+xml", "image/png", "application/pdf"]
    assert all("public" in answer.headers["cache-control"] for answer in (svg, png, pdf))
    drawn = Image.open(BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg.text, dpi=300))))
    page = pages(pdf.content)[0]
    printed = page.render(scale=1.5).to_pil()
    assert read(drawn) == read(Image.open(BytesIO(png.content))) == read(printed) == [f"{PUBLIC}/s/S1"]
    assert "金匮街道代表之家" in page.get_textpage().get_text_range()
    assert pdf.headers["content-disposition"] == "inline; filename*=UTF-8''S1-a4.pdf"


def test_a_region_has_a_page_for_each_of_its_stations(api: Running) -> None:
    answer = api.http.get("/qr/region/320213.pdf", params={"paper": "a3"})
    said = [page.get_textpage().get_text_range() for page in pages(answer.content)]
    assert ["金匮街道代表之家" in said[0], "扬名社区联络站" in said[1], len(said)] == [True, True, 2]
    assert pages(answer.content)[0].get_size()[0] == pytest.approx(842, abs=1)


def test_a_larger_scale_is_a_larger_picture(api: Running) -> None:
    one, two = (
        Image.open(BytesIO(api.http.get("/qr/S1.png", params={"scale": scale}).content)) for scale in (1, 7)
    )
    assert two.size[0] == 7 * one.size[0]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        *((f"/qr/nowhere.{kind}", 404, "unknown_station") for kind in ("svg", "png", "pdf")),
        ("/qr/%3Cscript%3E.svg", 404, "unknown_station"),
        ("/qr/region/999999.pdf", 404, "unknown_region"),
        ("/qr/S1.gif", 404, "not_found"),
        ("/qr/S1.pdf?paper=a0", 422, "invalid"),
        *((f"/qr/S1.png?scale={scale}", 422, "invalid") for scale in ("0", "41", "-1", "x", "1e9")),
    ],
)
def test_what_can_not_be_printed_is_told_as_a_problem(
    api: Running, path: str, status: int, code: str
) -> None:
    answer = api.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_routes_are_documented_with_what_they_answer(api: Running) -> None:
    paths = api.http.get("/openapi.json").json()["paths"]
    for path, kind in {
        "/qr/{station}.svg": "image/svg+xml",
        "/qr/{station}.png": "image/png",
        "/qr/{station}.pdf": "application/pdf",
        "/qr/region/{region}.pdf": "application/pdf",
    }.items():
        answers = paths[path]["get"]["responses"]
        assert list(answers["200"]["content"]) == [kind]
        assert {"404", "422", "503"} <= set(answers)
