"""The door: one record per accepted request, the same ids for the same request, and 503 with a way back."""

import base64
import json
from collections.abc import Sequence

import pytest
from nacl.public import PrivateKey, SealedBox

from lianxin_chassis.outages import NotConfirmed, Overloaded
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import codec, ids, inbound, registry, topics
from lianxin_contracts.envelope import Event, OutRecord
from lianxin_intake.attachments import AttachmentIds
from lianxin_intake.contact import ContactSealer
from lianxin_intake.door import Door, Prepared
from lianxin_intake.reading import idempotency_key
from lianxin_intake.recent import RecentOpinions
from lianxin_intake.rights import Caller

PRIVATE = PrivateKey(b"\x05" * 32)
SEALER = ContactSealer(base64.b64encode(bytes(PRIVATE.public_key)).decode())
CITY = registry.Snapshot(version="1", city=registry.City("c", "C"))
APP = Caller(registry.Channel("app", "App"), frozenset({"submit"}), "hash")


class Broker:
    connected = True

    def __init__(self, *, silent: bool = False, failure: Exception | None = None) -> None:
        self.silent = silent
        self.failure = failure
        self.written: list[OutRecord] = []

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        if self.silent:
            raise NotConfirmed(list(records), "silent")
        if isinstance(self.failure, NotConfirmed):
            raise NotConfirmed(list(records), "not handed over", unsent=list(records))
        if self.failure is not None:
            raise self.failure
        self.written += records


class Uploads(AttachmentIds):
    def __init__(self) -> None:
        super().__init__(b"secret")
        self.said: list[str] = []

    def claimed(self, attachments: Sequence[str]) -> None:
        self.said += attachments


class Known:
    def __init__(self, digests: dict[str, str] | None = None) -> None:
        self.digests = digests or {}
        self.asked: list[str] = []

    async def of(self, opinions: Sequence[str]) -> dict[str, str]:
        self.asked += opinions
        return {opinion: self.digests[opinion] for opinion in opinions if opinion in self.digests}


def door(broker: Broker | None = None, known: Known | None = None, uploads: Uploads | None = None) -> Door:
    return Door(
        b"secret",
        SEALER,
        uploads or Uploads(),
        broker or Broker(),
        RecentOpinions(100),
        known or Known(),
        deadline_s=1,
    )


def prepare(
    at: Door, key: str | None = None, event: str | None = None, line: str | None = None, **body: object
) -> Prepared:
    raw = json.dumps({"text": "路灯坏了"} | body).encode()
    return at.prepare(raw, APP, CITY, key=key, event=event, line=line)


def event_of(prepared: Prepared) -> Event:
    assert prepared.record.value is not None
    return codec.decode(topics.INBOUND, prepared.record.value, prepared.record.headers)


def test_the_record_is_a_submission_under_the_opinions_id() -> None:
    prepared = prepare(door(), key="k")
    event = event_of(prepared)
    assert prepared.record.topic == topics.INBOUND
    assert prepared.record.key == event.subject.encode() == prepared.id.encode()
    assert (event.type, event.source) == ("opinion.submitted", "/intake/app")
    assert event.id == ids.derived(prepared.id, "opinion.submitted", prepared.digest)
    assert event.traceparent is not None


def test_an_id_follows_from_channel_and_key() -> None:
    assert prepare(door(), key="k").id == ids.opinion_id("app", "k")
    assert prepare(door(), external_id="k").id == ids.opinion_id("app", "k")
    assert prepare(door(), key="k", external_id="e").id == ids.opinion_id("app", "k")
    assert prepare(door()).id != prepare(door()).id


def test_a_line_is_named_by_its_own_external_id_before_its_place_in_the_upload() -> None:
    assert prepare(door(), line="k/7").id == ids.opinion_id("app", "k/7")
    assert prepare(door(), line="k/7", external_id="e").id == ids.opinion_id("app", "e")


def test_an_event_is_named_by_itself_before_the_external_id_of_its_data() -> None:
    assert prepare(door(), event="v", external_id="e").id == ids.opinion_id("app", "v")


def test_the_digest_leaves_the_contact_out_and_nothing_else() -> None:
    plain = prepare(door(), key="k").digest
    assert prepare(door(), key="k", contact={"phone": "110"}).digest == plain
    assert prepare(door(), key="k", title="x").digest != plain


def test_the_digest_tells_nothing_without_the_secret() -> None:
    other = Door(b"other", SEALER, Uploads(), Broker(), RecentOpinions(1), Known(), deadline_s=1)
    assert prepare(other, key="k").digest != prepare(door(), key="k").digest


def test_the_contact_travels_sealed_with_the_tracking_code() -> None:
    prepared = prepare(door(), contact={"phone": "110"})
    said = event_of(prepared).data
    assert isinstance(said, inbound.Submitted)
    assert said.contact is not None
    assert json.loads(SealedBox(PRIVATE).decrypt(base64.b64decode(said.contact))) == {
        "phone": "110",
        "code": prepared.code,
    }


async def test_a_repeat_is_accepted_and_another_body_is_a_conflict() -> None:
    at = door()
    first = await at.hand_in([prepare(at, key="k")])
    repeat = await at.hand_in([prepare(at, key="k")])
    (other,) = await at.hand_in([prepare(at, key="k", title="other")])
    assert first == repeat == [None]
    assert other is not None
    assert (other.status, other.code) == (409, "idempotency_conflict")


async def test_a_conflict_inside_one_batch_is_found() -> None:
    at = door()
    batch = [prepare(at, key="k"), prepare(at, key="k", title="x"), prepare(at, key="l")]
    answers = await at.hand_in(batch)
    assert [answer and answer.status for answer in answers] == [None, 409, None]


async def test_a_conflict_is_known_from_the_projection() -> None:
    broker, id_ = Broker(), ids.opinion_id("app", "k")
    at = door(broker, Known({id_: "another digest"}))
    (answer,) = await at.hand_in([prepare(at, key="k")])
    assert answer is not None
    assert answer.status == 409
    assert broker.written == []


async def test_a_fresh_id_is_looked_up_nowhere() -> None:
    known = Known()
    at = door(known=known)
    await at.hand_in([prepare(at)])
    assert known.asked == []


@pytest.mark.parametrize(
    "names",
    [{}, {"external_id": "编号 7"}, {"external_id": '"7"'}, {"line": "k/7"}, {"key": "k"}],
)
async def test_an_unconfirmed_opinion_hands_back_a_key_that_names_the_same_opinion(
    names: dict[str, str],
) -> None:
    """Whatever named it before, also what could not stand in a header."""
    at = door(Broker(silent=True))
    lost = prepare(at, **names)
    (answer,) = await at.hand_in([lost])
    assert answer is not None
    assert answer.status == 503
    assert answer.headers is not None
    assert int(answer.headers["Retry-After"]) > 0
    key = idempotency_key({"idempotency-key": answer.headers["Idempotency-Key"]})
    assert key == names.get("key", key)
    assert prepare(at, key=key, external_id=names.get("external_id")).id == lost.id


async def test_an_unconfirmed_event_is_told_that_its_own_name_makes_the_repeat_safe() -> None:
    """No Idempotency-Key is heeded for events, so none is handed back."""
    at = door(Broker(silent=True))
    (answer,) = await at.hand_in([prepare(at, event="路")])
    assert answer is not None
    assert (answer.status, set(answer.headers or {})) == (503, {"Retry-After"})
    assert "Idempotency-Key" not in answer.detail


@pytest.mark.parametrize("failure", [Overloaded("full"), NotConfirmed([], "away")])
async def test_an_id_of_which_nothing_was_written_may_be_said_otherwise(failure: Exception) -> None:
    broker = Broker(failure=failure)
    at = door(broker)
    (answer,) = await at.hand_in([prepare(at, key="k")])
    assert answer is not None
    assert answer.status == 503
    broker.failure = None
    assert await at.hand_in([prepare(at, key="k", title="other")]) == [None]
    (late,) = await at.hand_in([prepare(at, key="k")])
    assert late is not None
    assert late.status == 409


async def test_an_id_that_may_have_been_written_stays_taken() -> None:
    """Another body would be answered with 202 and then refused by the router."""
    broker = Broker(silent=True)
    at = door(broker)
    await at.hand_in([prepare(at, key="k")])
    broker.silent = False
    (other,) = await at.hand_in([prepare(at, key="k", title="other")])
    assert other is not None
    assert other.status == 409
    assert await at.hand_in([prepare(at, key="k")]) == [None]


def test_a_key_handed_back_is_good_for_its_channel_alone_and_cannot_be_made_up() -> None:
    at = door()
    opinion = ids.fresh()
    key = at.identities.retry_key("app", opinion)
    assert at.identities.of("app", key, None).opinion == opinion
    assert at.identities.of("other", key, None).opinion != opinion
    assert at.identities.of("app", f"retry.{opinion}.AAAAAAAAAAAAAAAAAAAA", None).opinion != opinion


@pytest.mark.parametrize(
    ("body", "status"),
    [({"occurred_at": "2026-11-01T08:00:00Z"}, 403), ({"attachments": ["a"]}, 422), ({"text": ""}, 422)],
)
def test_what_may_not_be_said_is_refused_before_anything_is_written(
    body: dict[str, object], status: int
) -> None:
    with pytest.raises(ProblemError) as caught:
        prepare(door(), **body)
    assert caught.value.status == status


async def test_an_upload_that_an_accepted_opinion_names_is_claimed() -> None:
    uploads = Uploads()
    photo = uploads.of("app", "p1")
    at = door(uploads=uploads)
    assert await at.hand_in([prepare(at, attachments=[photo])]) == [None]
    assert uploads.said == [photo]


async def test_an_upload_of_an_opinion_that_was_not_confirmed_is_not_claimed() -> None:
    uploads = Uploads()
    at = door(Broker(silent=True), uploads=uploads)
    await at.hand_in([prepare(at, attachments=[uploads.of("app", "p1")])])
    assert uploads.said == []


@pytest.mark.parametrize(
    "photo", ["photo-1", Uploads().of("other", "p1"), AttachmentIds(b"x").of("app", "p1")]
)
def test_an_opinion_names_uploads_of_its_own_channel_alone(photo: str) -> None:
    with pytest.raises(ProblemError) as told:
        prepare(door(), attachments=[photo])
    assert (told.value.status, told.value.code) == (422, "unknown_attachment")
