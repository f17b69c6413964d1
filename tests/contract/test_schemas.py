"""The committed schemas are those of the models, and nothing that was written is left unreadable."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.payloads import EVERY_TYPE, any_event

from lianxin_contracts import schemas
from lianxin_contracts.codec import MODELS
from lianxin_contracts.envelope import Event

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_documents_are_the_generated_ones():
    assert schemas.stale(DOCS) == [], "python -m lianxin_contracts.schemas --write docs"


def test_everything_written_under_the_committed_schemas_is_still_read():
    assert schemas.incompatible(DOCS) == []


@pytest.mark.parametrize(("topic", "type_"), EVERY_TYPE)
def test_every_type_has_a_schema_that_is_valid_in_its_dialect(topic, type_):
    jsonschema.Draft202012Validator.check_schema(schemas.schema_of(topic, type_))


@settings(max_examples=300)
@given(any_event)
def test_whatever_a_service_can_write_fits_the_schema(topic_and_event: tuple[str, Event]):
    topic, event = topic_and_event
    schema = schemas.schema_of(topic, event.type)
    value = json.loads(msgspec.json.encode(event.data))

    jsonschema.Draft202012Validator(schema).validate(value)


@given(st.data())
@settings(max_examples=50)
def test_a_payload_without_its_required_fields_fits_no_schema(data: st.DataObject):
    topic, type_ = data.draw(st.sampled_from(EVERY_TYPE))
    required = [f.name for f in msgspec.structs.fields(MODELS[topic][type_]) if f.required]

    assert jsonschema.Draft202012Validator(schemas.schema_of(topic, type_)).is_valid({}) is not bool(required)


def test_writing_refuses_a_change_that_could_not_read_what_was_written(tmp_path, capsys):
    schemas.write(tmp_path)
    committed = tmp_path / schemas.path_of("opinions.lifecycle", "opinion.closed")
    schema = json.loads(committed.read_text("utf-8"))
    schema["$defs"]["Closed"]["properties"]["remark"] = {"type": "string", "default": ""}
    committed.write_text(schemas.text_of(schema), "utf-8")

    assert schemas.main(["--write", str(tmp_path)]) == 1
    assert "opinion.closed.v1.json: remark: field removed" in capsys.readouterr().err
    assert "remark" in committed.read_text("utf-8")


def test_writing_refuses_to_forget_a_type(tmp_path, capsys):
    schemas.write(tmp_path)
    former = tmp_path / schemas.path_of("opinions.lifecycle", "opinion.forgotten")
    former.write_text(schemas.text_of(schemas.schema_of("opinions.lifecycle", "opinion.closed")), "utf-8")

    assert schemas.main(["--write", str(tmp_path)]) == 1
    assert "opinion.forgotten.v1.json: type removed" in capsys.readouterr().err
    assert former.exists()


def test_checking_names_what_is_not_current_and_writing_mends_it(tmp_path, capsys):
    assert schemas.main(["--check", str(tmp_path)]) == 1
    assert "asyncapi.json" in capsys.readouterr().err
    assert schemas.main(["--write", str(tmp_path)]) == 0
    assert schemas.main(["--check", str(tmp_path)]) == 0
