"""A version of the city is in force as a whole or not at all."""

import json
import random
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.payloads import payloads

from lianxin_contracts import registry
from lianxin_contracts.registry import (
    Activated,
    Incomplete,
    assemble,
    counts_of,
    digest_of,
    digest_of_written,
)

Pairs = list[tuple[str, msgspec.Struct]]


@st.composite
def cities(draw: st.DrawFn) -> Pairs:
    """One city and some records of other kinds, no (kind, id) twice."""
    kinds = [kind for kind in registry.KINDS if kind != "city"]
    drawn = draw(st.lists(st.sampled_from(kinds).flatmap(records_of), max_size=6))
    unique = {(kind, record.id): (kind, record) for kind, record in drawn}
    return [("city", draw(payloads(registry.City))), *unique.values()]


def records_of(kind: str) -> st.SearchStrategy[tuple[str, msgspec.Struct]]:
    return st.tuples(st.just(kind), payloads(registry.KINDS[kind]))


def activation(pairs: Pairs) -> Activated:
    return Activated("v1", counts_of(pairs), digest_of(pairs))


@settings(max_examples=60)
@given(cities(), st.randoms(use_true_random=False))
def test_a_version_is_whole_in_whatever_order_its_records_came(pairs: Pairs, chance: random.Random):
    shuffled = chance.sample(pairs, len(pairs))

    assert digest_of(shuffled) == digest_of(pairs)
    assert assemble("v1", shuffled, activation(pairs)) == assemble("v1", pairs, activation(pairs))


@settings(max_examples=60)
@given(cities())
def test_every_record_of_a_version_is_found_by_its_id(pairs: Pairs):
    snapshot = assemble("v1", pairs, activation(pairs))
    tables = [getattr(snapshot, f.name) for f in fields(snapshot) if f.name not in ("version", "city")]

    found = {record for table in tables for record in map(_frozen, table.values())}

    assert found == {_frozen(record) for kind, record in pairs if kind != "city"}
    assert all(id_ == record.id for table in tables for id_, record in table.items())


@settings(max_examples=60, deadline=None)
@given(cities())
def test_a_version_taken_apart_again_is_what_it_was_put_together_from(pairs: Pairs):
    snapshot = assemble("v1", pairs, activation(pairs))

    assert assemble("v1", registry.pairs_of(snapshot), activation(pairs)) == snapshot


def _frozen(record: msgspec.Struct) -> bytes:
    return msgspec.json.encode(record, order="deterministic")


@settings(max_examples=60)
@given(cities(), st.data())
def test_a_version_with_a_record_too_few_stays_out_of_force(pairs: Pairs, data: st.DataObject):
    missing = data.draw(st.integers(0, len(pairs) - 1))

    with pytest.raises(Incomplete, match="counts"):
        assemble("v1", pairs[:missing] + pairs[missing + 1 :], activation(pairs))


CITY = ("city", registry.City("wuxi", "无锡市"))
STATION = ("station", registry.Station("LX-0042", "示例联络站", "320213004006003"))


def test_a_version_with_another_record_of_the_same_kind_stays_out_of_force():
    other = ("station", registry.Station("LX-0043", "示例联络站", "320213004006003"))

    with pytest.raises(Incomplete, match="digest"):
        assemble("v1", [CITY, other], activation([CITY, STATION]))


@pytest.mark.parametrize("pairs", [[STATION], [CITY, CITY]], ids=["no city", "two cities"])
def test_a_version_has_exactly_one_city(pairs: Pairs):
    with pytest.raises(Incomplete, match="expected one"):
        assemble("v1", pairs, None)


# One record of every kind as version 0.1 writes it, and its digest.
PINNED = [
    (one["kind"], one["value"], one["digest"])
    for one in json.loads(Path(__file__).with_name("registry_digests.json").read_text("utf-8"))
]


@pytest.mark.parametrize(("kind", "value", "digest"), PINNED, ids=[kind for kind, _, _ in PINNED])
def test_a_digest_stays_what_it_was_when_versions_were_activated(kind: str, value: str, digest: str):
    """Fixed values: a change here would put every version that lies in the log out of force."""
    id_ = msgspec.json.decode(value)["id"]

    assert digest_of_written([(kind, id_, value.encode())]) == digest


def test_every_kind_of_record_has_a_pinned_digest():
    assert {kind for kind, _, _ in PINNED} == set(registry.KINDS)


@settings(max_examples=60)
@given(cities())
def test_what_is_written_has_the_digest_of_what_was_to_be_written(pairs: Pairs):
    written = [(kind, record.id, msgspec.json.encode(record)) for kind, record in pairs]

    assert digest_of_written(written) == digest_of(pairs)


@pytest.mark.parametrize("known", ["name", "name and a field of tomorrow"])
def test_a_reader_with_more_or_fewer_fields_than_the_writer_puts_the_version_in_force(known: str):
    class Other(msgspec.Struct, frozen=True):
        id: str
        name: str

    class Later(Other, frozen=True):
        built: int = 1900

    model = Other if known == "name" else Later
    written = [(kind, record.id, msgspec.json.encode(record)) for kind, record in (CITY, STATION)]
    read = [CITY, ("station", msgspec.json.decode(written[1][2], type=model))]

    snapshot = assemble("v1", read, activation([CITY, STATION]), digest_of_written(written))

    assert snapshot.stations["LX-0042"].name == "示例联络站"


def test_the_order_within_an_object_of_a_record_does_not_matter():
    one, other = (b'{"id":"a","words":%s}' % words for words in (b'{"x":1.0,"y":2.0}', b'{"y":2.0,"x":1.0}'))

    assert digest_of_written([("topic", "a", one)]) == digest_of_written([("topic", "a", other)])


def test_a_record_that_leaves_out_what_has_a_default_has_that_default():
    """Also the mappings: a default of another library's kind once stood here as itself."""
    for kind, model in registry.KINDS.items():
        required = {f.name for f in msgspec.structs.fields(model) if f.required}
        full = msgspec.json.decode(msgspec.json.encode(_least(model, required)), type=model)
        assert full == _least(model, required), kind


def _least(model: type[msgspec.Struct], required: set[str]) -> msgspec.Struct:
    values = {"level": "street", "kind": "street", "year": 2026, "since": "2026-01-01", "until": "2026-02-01"}
    given_values = {name: values.get(name, "x") for name in required}
    if "areas" in required:
        given_values["areas"] = ["320213"]
    if "weekdays" in required:
        given_values["weekdays"] = [2]
    return msgspec.convert(given_values, model)


def test_a_key_is_kept_as_its_hash_alone():
    hashed = registry.hash_of_key("secret")

    assert len(hashed) == 64
    assert "secret" not in hashed
    assert registry.channel_key_key(hashed) == f"channel_key/{hashed}"
