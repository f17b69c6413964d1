"""A mail as it is read: charsets as they are meant, pictures, and whether a person wrote it."""

import base64
import random
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.intake.fuzzed_mail import broken

from lianxin_contracts import registry
from lianxin_intake.mail.letters import MAX_HOPS, MAX_PICTURES, MIN_INLINE_BYTES, Letter, decoded, read_letter
from lianxin_intake.mail.recipients import NoSuchAddress, Recipient, recipient_of
from lianxin_intake.mail.taking import body_of

SENDER = "wang@example.org"


def mail(text: str = "路灯坏了", **headers: str) -> EmailMessage:
    one = EmailMessage()
    one["From"], one["Subject"] = "王先生 <wang@example.org>", "路灯"
    one["Message-ID"] = "<1@example.org>"
    for name, value in headers.items():
        header = name.replace("_", "-")
        del one[header]
        one[header] = value
    one.set_content(text)
    return one


def read(one: EmailMessage | bytes, sender: str = SENDER) -> Letter:
    return read_letter(one if isinstance(one, bytes) else one.as_bytes(), sender)


def raw(headers: bytes, body: bytes) -> bytes:
    return b"From: x@example.org\r\nMessage-ID: <2@x>\r\n" + headers + b"\r\n\r\n" + body


def test_a_plain_mail_is_read() -> None:
    letter = read(mail())
    assert (letter.sender, letter.sender_name, letter.title) == ("wang@example.org", "王先生", "路灯")
    assert (letter.text, letter.name, letter.automatic) == ("路灯坏了", "<1@example.org>", None)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("gb2312", "gb18030"), ("GBK", "gb18030"), ("gb18030", "gb18030"), ("utf-8", "utf-8"),
        ("us-ascii", "gb18030"), ("us-ascii", "utf-8"), ("no-such-charset", "utf-8"), ("utf-8", "gb18030"),
        ("big5", "big5"),
    ],
)  # fmt: skip
def test_words_are_read_in_the_charset_that_they_are_in(charset: str, encoding: str) -> None:
    text = "路燈壞了" if encoding == "big5" else "镕基路的路灯坏了"
    header = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit".encode()
    assert read(raw(header, text.encode(encoding))).text == text


@pytest.mark.parametrize(
    "subject",
    [
        b"=?gb2312?B?6ECuudwF?=",
        b"=?GBK?B?" + base64.b64encode("镕基路灯".encode("gb18030")) + b"?=",
        "镕基路灯".encode(),
        "镕基路灯".encode("gb18030"),
    ],
)
def test_a_subject_is_read_encoded_or_not(subject: bytes) -> None:
    letter = read(raw(b"Subject: " + subject, b"x"))
    assert letter.title
    if b"gb2312" not in subject:
        assert letter.title == "镕基路灯"


def test_html_is_read_where_there_is_no_plain_text_and_the_title_where_there_is_nothing() -> None:
    one = mail("x")
    one.set_content("<p>路灯坏了</p><blockquote>旧</blockquote>", subtype="html")
    assert read(one).text == "路灯坏了"
    one = mail(" ", Subject="Re: 回复：路灯坏了")
    assert (read(one).text, read(one).title) == ("路灯坏了", "路灯坏了")


def test_pictures_are_found_and_logos_and_other_files_are_not_pictures() -> None:
    one = mail()
    one.add_attachment(b"photo", maintype="image", subtype="jpeg", filename="1.jpg")
    one.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="x.pdf")
    one.add_attachment(b"x" * MIN_INLINE_BYTES, maintype="image", subtype="png", disposition="inline")
    one.add_attachment(b"logo", maintype="image", subtype="png", disposition="inline")
    letter = read(one)
    assert [picture[:5] for picture in letter.pictures] == [b"photo", b"xxxxx"]
    many = mail()
    for number in range(MAX_PICTURES + 2):
        many.add_attachment(b"photo", maintype="image", subtype="jpeg", filename=f"{number}.jpg")
    assert (len(read(many).pictures), read(many).left_out) == (MAX_PICTURES, 2)


@pytest.mark.parametrize(
    ("headers", "automatic"),
    [
        ({"Auto_Submitted": "auto-replied"}, "reply"),
        ({"Auto_Submitted": "auto-generated; x=y"}, "reply"),
        ({"Precedence": "auto_reply"}, "reply"),
        ({"X_Autoreply": "yes"}, "reply"),
        ({"Precedence": "bulk"}, "list"),
        ({"List_Id": "<x.example.org>"}, "list"),
        ({"Auto_Submitted": "no"}, None),
    ],
)
def test_what_no_person_wrote_is_recognised(headers: dict[str, str], automatic: str | None) -> None:
    assert read(mail(**headers)).automatic == automatic


def test_bounces_and_loops_are_recognised() -> None:
    assert read(mail(), sender="").automatic == "bounce"
    hops = b"Received: by x\r\n" * (MAX_HOPS + 1)
    assert read(hops + mail().as_bytes()).automatic == "loop"


def test_a_mail_without_message_id_is_known_again_by_what_servers_leave_as_it_is() -> None:
    one = mail()
    del one["Message-ID"]
    other = mail("井盖松了")
    del other["Message-ID"]
    again = b"Received: by another\r\n" + one.as_bytes()
    assert read(one).name == read(again).name != read(other).name


CITY = registry.Snapshot(
    version="1",
    city=registry.City("c", "C"),
    stations={"S1": registry.Station("S1", "站", "g")},
    channels={"mail": registry.Channel("mail", "Mail", "mail")},
)
ADDRESSES = {"opinions@example.org": "mail", "old@example.org": "gone"}


def test_the_address_says_channel_and_station() -> None:
    channel = CITY.channels["mail"]
    assert recipient_of("Opinions@Example.org", ADDRESSES, CITY) == Recipient(channel, None)
    assert recipient_of("opinions+s1@example.org", ADDRESSES, CITY) == Recipient(channel, "S1")
    for nobody in ("opinions+s9@example.org", "other@example.org", "opinions", "", "old@example.org"):
        assert isinstance(recipient_of(nobody, ADDRESSES, CITY), NoSuchAddress)


def test_what_was_left_out_is_said_in_the_words() -> None:
    assert body_of(read(mail()), "S1", ("a",), 2)["text"] == "路灯坏了\n\n（另有2个附件未能收下）"
    assert body_of(read(mail(From="nonsense")), None, (), 0).get("contact") is None


@given(st.binary(max_size=200), st.one_of(st.none(), st.text(max_size=10)))
def test_bytes_of_any_charset_become_text(raw_: bytes, charset: str | None) -> None:
    assert isinstance(decoded(raw_, charset), str)


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 500), *(pytest.param(n, 5_000, marks=pytest.mark.soak) for n in range(2, 6))]
)
def test_no_mail_however_broken_is_too_much_for_the_reader(seed: int, count: int) -> None:
    chance = random.Random(seed)
    for number in range(count):
        letter = read_letter(broken(chance, number), SENDER)
        letter.text.encode()
        letter.title.encode()
        assert letter.name


def test_the_fuzzer_makes_mails_that_differ() -> None:
    chance = random.Random(1)
    assert len({read_letter(broken(chance, n), SENDER).text for n in range(100)}) > 20
