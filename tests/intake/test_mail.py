"""Mail in, over the wire: 250 when the log has it, 451 while it can't, and what comes back to the sender."""

import base64
import io
import json
import random
import smtplib
from collections import Counter
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from uuid import uuid4

import pytest
from nacl.public import SealedBox
from PIL import Image

from lianxin_contracts import inbound, topics
from lianxin_contracts.envelope import Event
from lianxin_intake.tracking import TrackingCodes
from tests.intake.fuzzed_mail import broken
from tests.intake.running import PRIVATE_KEY, SECRET, Running
from tests.intake.small_city import load_city
from tests.intake.topics import ensure_topics, read_all
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.ports import free_port
from tests.support.smtp import SmtpServer
from tests.support.wait import eventually

TO = "opinions@wuxi.example"
NO_DATABASE = "mongodb://127.0.0.1:1"
SENDER = "wang@example.org"


class Listener:
    """The process that takes mail in."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.port = int(running.env["LIANXIN_MAIL_PORT"])

    def send(self, raw: bytes, to: str = TO, sender: str = SENDER) -> tuple[int, str]:
        """What the listener answers in the end: to RCPT where it refuses the address, else to the mail."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as smtp:
            smtp.ehlo()
            smtp.mail(sender)
            code, said = smtp.rcpt(to)
            if code == 250:
                code, said = smtp.data(on_the_wire(raw))
            return code, said.decode("ascii")


def on_the_wire(raw: bytes) -> bytes:
    """With the line ends that SMTP has."""
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def listener_settings(relay: SmtpServer | None = None) -> dict[str, str]:
    settings = {
        "mail_port": str(free_port()),
        "mail_addresses": f'{{"{TO}": "mail"}}',
        "public_url": "https://lianxin.example",
        "publish_deadline_s": "2",
    }
    if relay is not None:
        settings |= {"mail_relay_host": relay.host, "mail_relay_port": str(relay.port)}
    return settings


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    server = SmtpServer(tmp_path_factory.mktemp("relay"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def listener(
    city_broker: Broker, relay: SmtpServer, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listener]:
    """A ready listener."""
    directory, settings = tmp_path_factory.mktemp("mail"), listener_settings(relay)
    running = Running("mail", directory, city_broker, database.url, "intake_shared", **settings)
    yield Listener(running.start())
    running.stop()


def mail(text: str, **headers: str) -> bytes:
    one = EmailMessage()
    one["From"], one["Subject"] = f"王先生 <{SENDER}>", "路灯"
    one["Message-ID"] = f"<{uuid4()}@example.org>"
    for name, value in headers.items():
        del one[name.replace("_", "-")]
        one[name.replace("_", "-")] = value
    one.set_content(text)
    return one.as_bytes()


def submissions(bootstrap: str) -> list[Event]:
    return [
        event
        for event in read_all(bootstrap, topics.INBOUND)
        if isinstance(event.data, inbound.Submitted) and event.data.channel == "mail"
    ]


def said_with(bootstrap: str, text: str) -> list[Event]:
    return [event for event in submissions(bootstrap) if text in event.data.text]


def test_a_mail_becomes_an_opinion_for_the_station_in_its_address(
    listener: Listener, city_broker: Broker
) -> None:
    text = f"路灯坏了 {uuid4()}"
    raw = mail(f"{text}\n\n-- \n王先生\n电话 110")
    assert listener.send(raw, to="opinions+s1@wuxi.example")[0] == 250
    assert listener.send(b"Received: by another\r\n" + raw, to="opinions+S1@wuxi.example")[0] == 250
    events = said_with(city_broker.bootstrap, text)
    assert len({event.id for event in events}) == 1
    said = events[0].data
    assert (said.station, said.title, said.text) == ("S1", "路灯", text)
    contact = SealedBox(PRIVATE_KEY).decrypt(base64.b64decode(said.contact))
    code = TrackingCodes(SECRET.encode()).of(events[0].subject)
    assert json.loads(contact) == {"name": "王先生", "email": SENDER, "code": code}
    assert SENDER not in repr(events[0])


def test_photos_become_attachments_and_other_files_are_told_to_be_left_out(
    listener: Listener, city_broker: Broker
) -> None:
    text, one = f"墙裂了 {uuid4()}", EmailMessage()
    one["From"], one["Message-ID"] = SENDER, f"<{uuid4()}@example.org>"
    one.set_content(text)
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(out, "JPEG")
    one.add_attachment(out.getvalue(), maintype="image", subtype="jpeg", filename="墙.jpg")
    one.add_attachment(b"no picture", maintype="image", subtype="jpeg", filename="x.jpg")
    one.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="x.pdf")
    for _ in range(2):
        assert listener.send(one.as_bytes())[0] == 250
    # The contact is sealed anew each time; all else that is said twice is the same.
    ((said, attachments, _),) = {
        (event.data.text, event.data.attachments, event.data.digest)
        for event in said_with(city_broker.bootstrap, text)
    }
    assert (said, len(attachments)) == (f"{text}\n\n（另有2个附件未能收下）", 1)


def test_the_receipt_has_the_code_and_is_marked_as_automatic(listener: Listener, relay: SmtpServer) -> None:
    id_ = f"<{uuid4()}@example.org>"
    assert listener.send(mail("路灯坏了", Message_ID=id_))[0] == 250
    (receipt,) = [one for one in relay.messages() if one["headers"].get("In-Reply-To") == id_]
    assert (receipt["from"], receipt["to"]) == ("<>", [SENDER])
    assert receipt["headers"]["Auto-Submitted"] == "auto-replied"
    assert receipt["headers"]["From"] == TO
    assert "查询码：" in receipt["body"]
    assert "https://lianxin.example/t/" in receipt["body"]


def test_what_no_person_wrote_is_not_kept_and_gets_no_receipt(
    listener: Listener, relay: SmtpServer, city_broker: Broker
) -> None:
    text, before = str(uuid4()), len(relay.messages())
    assert listener.send(mail(text, Auto_Submitted="auto-replied"))[0] == 250
    assert listener.send(mail(text), sender="")[0] == 250
    assert listener.send(mail(text, List_Id="<x.example.org>"))[0] == 550
    assert listener.send(b"Received: by x\r\n" * 60 + mail(text))[0] == 554
    assert said_with(city_broker.bootstrap, text) == []
    assert len(relay.messages()) == before


def test_what_can_never_be_taken_is_refused_with_the_reason(listener: Listener) -> None:
    assert listener.send(mail("x"), to="nobody@wuxi.example")[0] == 550
    assert "no such station" in listener.send(mail("x"), to="opinions+s9@wuxi.example")[1]
    code, why = listener.send(mail("长\n" * 6_000))
    assert (code, "at most 10000" in why) == (554, True)
    id_ = f"<{uuid4()}@example.org>"
    assert listener.send(mail("a", Message_ID=id_))[0] == 250
    assert listener.send(mail("b", Message_ID=id_))[0] == 554


def test_each_recipient_has_a_transaction_and_an_answer_of_its_own(listener: Listener) -> None:
    with smtplib.SMTP("127.0.0.1", listener.port, timeout=30) as smtp:
        smtp.ehlo()
        smtp.mail(SENDER)
        assert smtp.rcpt(TO)[0] == 250
        assert smtp.rcpt("opinions+S1@wuxi.example")[0] == 452


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 60), *(pytest.param(n, 1_000, marks=pytest.mark.soak) for n in (2, 3, 4, 5))]
)
def test_no_mail_that_went_wrong_is_half_stored(
    listener: Listener, city_broker: Broker, seed: int, count: int
) -> None:
    before = {event.subject for event in submissions(city_broker.bootstrap)}
    chance, answers, numbers = random.Random(seed), Counter[int](), Counter[str]()
    with smtplib.SMTP("127.0.0.1", listener.port, timeout=30) as smtp:
        smtp.ehlo()
        for number in range(count):
            smtp.mail(SENDER)
            smtp.rcpt(TO)
            code, said = smtp.data(on_the_wire(broken(chance, number)))
            answers[code] += 1
            numbers[said.decode()[:20]] += 1
    assert set(answers) <= {250, 500, 550, 554}, numbers
    stored = {event.subject for event in submissions(city_broker.bootstrap)} - before
    received = sum(n for said, n in numbers.items() if "Received" in said)
    # Two that lost all that tells them apart are one.
    assert 0 < len(stored) <= received
    assert len(stored) > received - count // 10
    assert listener.running.is_ready()


@pytest.mark.kafka
def test_with_the_broker_away_the_mail_stays_with_its_sender_and_counts_once_when_sent_again(
    make_kafka: Callable[[], Broker], make_running: Callable[..., Running]
) -> None:
    broker = make_kafka()
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    running = make_running("mail", broker, NO_DATABASE, "none", **listener_settings())
    listener = Listener(running.start())
    text = f"垃圾没人收 {uuid4()}"
    raw = mail(text)
    broker.kill()
    assert listener.send(raw)[0] == 451
    broker.start()
    eventually(lambda: listener.send(raw)[0] == 250, timeout=120, every=1)
    assert len({event.id for event in said_with(broker.bootstrap, text)}) == 1
