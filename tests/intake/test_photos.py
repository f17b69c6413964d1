"""Photos over the wire: in by key or page, out for who may see them, gone when they should be."""

import io
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from lianxin_contracts import ids, inbound, lifecycle, topics
from lianxin_contracts.links import photo_link, upload_permit
from lianxin_intake.attachments import AttachmentIds
from lianxin_intake.tracking import TrackingCodes
from tests.intake.lifecycles import ASSIGNED, DEPUTY, RESIDENT, START, history
from tests.intake.pictures import photograph
from tests.intake.running import LINK_SECRET, SECRET, WORKBENCH_URL, Running
from tests.intake.small_city import ACT, NO_SCOPE, OTHER, SUBMIT
from tests.intake.topics import said_of, write
from tests.support.brokers import Broker
from tests.support.wait import eventually

CODES = TrackingCodes(SECRET.encode())
PHOTO = photograph()
JPEG = {"Content-Type": "image/jpeg"}


def upload(api: Running, raw: bytes = PHOTO, key: str | None = SUBMIT, **headers: str) -> httpx.Response:
    allowed = {"Authorization": f"Bearer {key}"} if key else {}
    return api.http.post("/v1/attachments", content=raw, headers=JPEG | allowed | headers)


def look(api: Running, photo: str, key: str | None = None, **query: str) -> httpx.Response:
    allowed = {"Authorization": f"Bearer {key}"} if key else {}
    return api.http.get(f"/v1/attachments/{photo}", params=query, headers=allowed)


def submitted(*photos: str) -> lifecycle.Submitted:
    return lifecycle.Submitted(channel="app", digest="d", words="text", attachments=photos)


def named(api: Running, broker: Broker, photo: str, *more: object) -> str:
    """An opinion of channel `app` that the log says to hold `photo`, when its code shows it."""
    opinion = ids.fresh()
    write(broker.bootstrap, history(opinion, submitted(photo), ASSIGNED, *more))  # type: ignore[arg-type]
    code = CODES.of(opinion)
    eventually(lambda: look(api, photo, code=code).status_code == 200, timeout=120)
    return opinion


def test_a_photo_is_kept_without_its_position(api: Running) -> None:
    answer = upload(api)
    assert answer.status_code == 201
    assert (answer.json()["width"], answer.json()["height"]) == (1200, 1600)
    assert answer.headers["location"] == f"/v1/attachments/{answer.json()['id']}"
    shown = look(api, answer.json()["id"], SUBMIT)
    assert Image.open(io.BytesIO(shown.content)).size == (1200, 1600)
    assert len(Image.open(io.BytesIO(PHOTO)).getexif()) > 0
    assert len(Image.open(io.BytesIO(shown.content)).getexif()) == 0


def test_a_form_with_one_file_is_taken_too(api: Running) -> None:
    bearer = {"Authorization": f"Bearer {SUBMIT}"}
    one = {"file": ("a.png", photograph(200, 200, "PNG"), "image/png")}
    assert api.http.post("/v1/attachments", files=one, headers=bearer).status_code == 201
    two = [("a", ("a.jpg", PHOTO)), ("b", ("b.jpg", PHOTO))]
    assert api.http.post("/v1/attachments", files=two, headers=bearer).status_code == 400
    broken = bearer | {"Content-Type": "multipart/form-data; boundary=x"}
    assert api.http.post("/v1/attachments", content=b"nonsense", headers=broken).status_code == 400


def test_the_same_photo_again_is_kept_once_and_another_is_refused(api: Running) -> None:
    key = str(uuid4())
    answers = [upload(api, **{"Idempotency-Key": key}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    another = upload(api, photograph(300, 300), **{"Idempotency-Key": key})
    assert (another.status_code, another.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("raw", "key", "headers", "status"),
    [
        (PHOTO, None, {}, 401),
        (PHOTO, "unknown", {}, 401),
        (PHOTO, NO_SCOPE, {}, 403),
        (b"GIF89a" + b"\0" * 99, SUBMIT, {}, 415),
        (b"\0\0\0\x18ftypheic" + b"\0" * 99, SUBMIT, {"Content-Type": "image/heic"}, 415),
        (PHOTO, SUBMIT, {"Content-Type": "text/plain"}, 415),
        (PHOTO[: len(PHOTO) // 2], SUBMIT, {}, 422),
        (b"\xff" * (13 * 1024 * 1024), SUBMIT, {}, 413),
        (PHOTO, SUBMIT, {"Idempotency-Key": ""}, 400),
    ],
)
def test_what_can_not_be_kept_is_refused_with_what_to_do(
    api: Running, raw: bytes, key: str | None, headers: dict[str, str], status: int
) -> None:
    answer = upload(api, raw, key, **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"]


def test_an_opinion_names_its_photo(api: Running, city_broker: Broker) -> None:
    photo = upload(api).json()["id"]
    receipt = api.submit({"text": "x", "attachments": [photo]}, SUBMIT)
    assert receipt.status_code == 202
    (event,) = said_of(city_broker.bootstrap, topics.INBOUND, receipt.json()["id"])
    assert isinstance(event.data, inbound.Submitted)
    assert event.data.attachments == (photo,)
    assert api.submit({"text": "x", "attachments": [photo]}, OTHER).json()["code"] == "unknown_attachment"


def test_a_photo_is_shown_to_its_resident_and_its_channel_and_to_nobody_else(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    photo = upload(api).json()["id"]
    opinion = named(api, city_broker, photo)
    shown = look(api, photo, code=CODES.of(opinion).lower())
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["cache-control"] == "private, no-store"
    small = look(api, photo, code=CODES.of(opinion), size="thumb")
    assert len(small.content) < len(shown.content)
    assert look(api, photo, SUBMIT).status_code == 200
    assert look(api, photo, OTHER).status_code == 404
    assert look(api, photo).status_code == 401
    assert look(api, photo, code=CODES.of(ids.fresh())).status_code == 403
    write(city_broker.bootstrap, history(other := ids.fresh(), submitted(), ASSIGNED))
    eventually(lambda: api.http.get(f"/t/{CODES.of(other)}").status_code == 200, timeout=120)
    assert look(api, photo, code=CODES.of(other)).status_code == 404
    assert look(api, "photo-1", SUBMIT).status_code == 404


def test_a_link_of_the_workbench_opens_a_photo_for_a_while(api: Running) -> None:
    photo = upload(api).json()["id"]

    def link(minutes: int, secret: str = LINK_SECRET) -> httpx.Response:
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        return api.http.get(photo_link(secret.encode(), api.url, photo, until, thumb=True))

    assert link(15).status_code == 200
    assert link(15).headers["cross-origin-resource-policy"] == "cross-origin"
    for refused in (link(-1), link(15, "another secret"), look(api, photo, until="x", sig="y")):
        assert (refused.status_code, refused.json()["code"]) == (403, "link_expired")


def test_the_evidence_of_an_answer_is_shown_to_the_resident(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    photo, evidence = upload(api).json()["id"], upload(api, key=ACT).json()["id"]
    answer = lifecycle.Resolved(
        DEPUTY, "solved", "w", times=1, rate_until=START, evidence=(evidence, "replayed.row.7")
    )
    opinion = named(api, city_broker, photo, lifecycle.Accepted(DEPUTY), answer)
    eventually(lambda: look(api, evidence, code=CODES.of(opinion)).status_code == 200, timeout=120)
    assert look(api, evidence, SUBMIT).status_code == 200
    assert look(api, evidence, OTHER).status_code == 404
    # The evidence twice: with the answer that is to be judged, and in the history.
    page = eventually(
        lambda: (text := api.http.get(f"/t/{CODES.of(opinion)}").text).count("size=thumb") == 3 and text, 60
    )
    assert "replayed.row.7" not in page
    view = api.http.get(f"/v1/opinions/{opinion}", params={"code": CODES.of(opinion)}).json()
    assert [line.get("photos") for line in view["timeline"]] == [[photo], None, None, [evidence]]


def test_erasing_an_opinion_deletes_its_photos(api: Running, worker: Running, city_broker: Broker) -> None:
    photo = upload(api).json()["id"]
    opinion = named(api, city_broker, photo)
    steps = history(opinion, submitted(photo), ASSIGNED, lifecycle.Erased(RESIDENT))
    write(city_broker.bootstrap, steps[2:])
    eventually(lambda: look(api, photo, SUBMIT).status_code == 404, timeout=120)
    # The photos go first, so that a worker that is killed in between deletes them again; then the page.
    eventually(lambda: "/v1/attachments/" not in api.http.get(f"/t/{CODES.of(opinion)}").text)


def test_a_page_takes_photos_with_a_form_alone(api: Running, city_broker: Broker) -> None:
    page = dict(
        re.findall(r'<input type="hidden" name="(token|key)" value="([^"]*)"', api.http.get("/s/S1").text)
    )
    photos = [("photos", (f"{n}.jpg", photograph(300, 300, shade=n), "image/jpeg")) for n in (10, 200)]
    bad = api.http.post("/s/S1", data=page | {"text": "灯坏了"}, files=[*photos, ("photos", ("x", b"GIF"))])
    assert bad.status_code == 422
    assert "这个文件不是能用的照片" in bad.text
    assert "已收到 2 张照片" in bad.text
    assert "灯坏了" in bad.text
    kept = re.search(r'name="attachments" value="([^"]*)"', bad.text)
    assert kept is not None
    sent = api.http.post("/s/S1", data=page | {"text": "灯坏了", "attachments": kept[1]}, files=photos)
    assert sent.status_code == 303
    opinion = httpx.URL(sent.headers["location"]).params["id"]
    (event,) = said_of(city_broker.bootstrap, topics.INBOUND, opinion)
    assert isinstance(event.data, inbound.Submitted)
    assert event.data.attachments == tuple(kept[1].split())
    many = [("photos", (f"{n}.jpg", PHOTO, "image/jpeg")) for n in range(10)]
    assert api.http.post("/s/S1", data=page | {"text": "x"}, files=many).status_code == 422


def test_a_page_uploads_with_its_token_and_nobody_elses_page_does(api: Running) -> None:
    token = re.search(r'name="token" value="([^"]*)"', api.http.get("/s/S1").text)
    assert token is not None
    ours = {"Lianxin-Page-Token": token[1], "Accept": "application/json"}
    address = "/v1/attachments?station=S1"
    assert api.http.post(address, content=PHOTO, headers=JPEG | ours).status_code == 201
    for more, status in (
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Lianxin-Page-Token": "1000000." + "0" * 32}, 403),
    ):
        assert api.http.post(address, content=PHOTO, headers=JPEG | ours | more).status_code == status
    elsewhere = api.http.post("/v1/attachments?station=S2", content=PHOTO, headers=JPEG | ours)
    assert "page_token" in elsewhere.json()
    assert api.http.post("/v1/attachments", content=PHOTO, headers=JPEG | ours).status_code == 404
    wrong = api.http.post(address, content=b"GIF", headers=JPEG | ours)
    assert wrong.status_code == 415
    assert wrong.json()["errors"][0]["shown"].startswith("这个文件不是能用的照片")


def test_with_the_database_away_photos_wait_and_opinions_that_name_them_do_not(
    make_running, city_broker: Broker
) -> None:
    alone = make_running("api", city_broker, "mongodb://127.0.0.1:1", "intake_no_photos").start()
    refused = upload(alone)
    assert (refused.status_code, refused.json()["code"]) == (503, "photos_unavailable")
    assert "Retry-After" in refused.headers
    photo = AttachmentIds(SECRET.encode()).of("app", "uploaded before")
    assert alone.submit({"text": "x", "attachments": [photo]}, SUBMIT).status_code == 202


def permit(minutes: int = 15, secret: str = LINK_SECRET) -> dict[str, str]:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return {"Lianxin-Upload-Permit": upload_permit(secret.encode(), "D1", until)}


def test_a_deputy_s_browser_uploads_evidence_by_a_permit_of_the_notifier(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    again = {"Idempotency-Key": str(uuid4()), "Origin": WORKBENCH_URL, **permit()}
    first, second = (upload(api, key=None, **again) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201), first.text
    photo = first.json()["id"]
    assert second.json()["id"] == photo
    assert first.headers["access-control-allow-origin"] == WORKBENCH_URL
    # What it is for: a deputy names it, and the resident sees it.
    done = lifecycle.Resolved(DEPUTY, "solved", "answer", 1, START + timedelta(days=9), (photo,))
    opinion = ids.fresh()
    steps = (submitted(), ASSIGNED, lifecycle.Accepted(DEPUTY), done)
    write(city_broker.bootstrap, history(opinion, *steps))
    eventually(lambda: look(api, photo, code=CODES.of(opinion)).status_code == 200, timeout=120)


@pytest.mark.parametrize(
    "headers",
    [permit(-1), permit(secret="another secret"), permit(24 * 60), {"Lianxin-Upload-Permit": "D1"}],
    ids=["expired", "forged", "too long", "nonsense"],
)
def test_a_permit_that_is_not_good_uploads_nothing_and_says_so_to_the_page(
    api: Running, headers: dict[str, str]
) -> None:
    answer = upload(api, key=None, Origin=WORKBENCH_URL, **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "permit_expired")
    assert answer.headers["access-control-allow-origin"] == WORKBENCH_URL


def test_by_a_permit_the_same_limits_hold_for_a_photo(api: Running) -> None:
    broken = upload(api, b"no image", key=None, Origin=WORKBENCH_URL, **permit())
    assert broken.status_code == 415
    assert broken.headers["access-control-allow-origin"] == WORKBENCH_URL


def test_only_pages_of_the_workbench_may_read_what_an_upload_says(api: Running) -> None:
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "lianxin-upload-permit",
    }
    allowed = api.http.options("/v1/attachments", headers={"Origin": WORKBENCH_URL, **asking})
    assert allowed.headers["access-control-allow-origin"] == WORKBENCH_URL
    assert "lianxin-upload-permit" in allowed.headers["access-control-allow-headers"]
    for origin in ("https://evil.test", "https://workbench.test.evil.test", "null"):
        refused = api.http.options("/v1/attachments", headers={"Origin": origin, **asking})
        assert "access-control-allow-origin" not in refused.headers
        answer = upload(api, key=None, Origin=origin, **permit())
        assert "access-control-allow-origin" not in answer.headers
