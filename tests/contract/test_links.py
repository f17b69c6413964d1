"""Links that open a photo for a while: what the notifier makes, intake believes; nothing else."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from lianxin_contracts.links import (
    LONGEST_S,
    LONGEST_UPLOAD_S,
    opens,
    permitted,
    photo_link,
    signature,
    upload_permit,
)

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
SECRET = b"shared"


def test_a_link_opens_its_photo_until_its_time_and_no_longer() -> None:
    link = urlsplit(photo_link(SECRET, "https://say.example.org/", "p.1", NOW + timedelta(minutes=15)))
    assert (link.netloc, link.path) == ("say.example.org", "/v1/attachments/p.1")
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    until, sig = int(query["until"]), query["sig"]
    assert opens(SECRET, "p.1", until, sig, NOW)
    assert opens(SECRET, "p.1", until, sig, NOW + timedelta(minutes=15))
    assert not opens(SECRET, "p.1", until, sig, NOW + timedelta(minutes=15, seconds=1))


def test_a_link_opens_nothing_else() -> None:
    until = int(NOW.timestamp()) + 60
    sig = signature(SECRET, "p.1", until)
    assert not opens(SECRET, "p.2", until, sig, NOW)
    assert not opens(SECRET, "p.1", until + 1, sig, NOW)
    assert not opens(b"another", "p.1", until, sig, NOW)
    assert not opens(SECRET, "p.1", until, "ä" * 32, NOW)


def test_no_link_is_good_for_more_than_a_day() -> None:
    until = int(NOW.timestamp()) + LONGEST_S + 1
    assert not opens(SECRET, "p.1", until, signature(SECRET, "p.1", until), NOW)


def test_a_link_asks_for_the_small_one_where_that_is_wanted() -> None:
    assert photo_link(SECRET, "https://x", "p.1", NOW, thumb=True).endswith("&size=thumb")


def test_a_permit_names_its_holder_until_its_time_and_no_longer() -> None:
    permit = upload_permit(SECRET, "D.1/无锡", NOW + timedelta(minutes=15))
    assert permit.isascii()
    assert permitted(SECRET, permit, NOW) == "D.1/无锡"
    assert permitted(SECRET, permit, NOW + timedelta(minutes=15)) == "D.1/无锡"
    assert permitted(SECRET, permit, NOW + timedelta(minutes=15, seconds=1)) is None
    assert permitted(b"another", permit, NOW) is None


def test_a_permit_can_be_neither_changed_nor_made_up() -> None:
    permit = upload_permit(SECRET, "D1", NOW + timedelta(minutes=15))
    until, mac, _ = permit.split(".")
    link = signature(SECRET, "D1", int(until))
    for forged in (
        f"{until}.{mac}.D2",
        f"{int(until) + 1}.{mac}.D1",
        f"{until}.{link}.D1",
        f"x.{mac}.D1",
        "",
        "..",
    ):
        assert permitted(SECRET, forged, NOW) is None, forged


def test_no_permit_is_good_for_more_than_an_hour() -> None:
    permit = upload_permit(SECRET, "D1", NOW + timedelta(seconds=LONGEST_UPLOAD_S + 1))
    assert permitted(SECRET, permit, NOW) is None
