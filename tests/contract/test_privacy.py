"""The lifecycle is kept for ever, so nothing that must be erasable may be on it.

Free text, addresses, contacts and exact places have their own topics, where each can be deleted. Here every
text field of every lifecycle payload is listed with what it holds instead; a new one has to be argued for.
"""

from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from lianxin_contracts import deliveries, inbound, lifecycle, topics, words

PERSON = "id of a deputy or staff member, or `resident`: never a name"
CODE_OF_THE_CITY = "a code of the registry"
CODE = "a code from a list in the code or the policy, translated where it is shown"
PART = "a part id: where `opinions.words` or `contacts` hold what can be erased"
OPAQUE = "an opaque id or hash, made by a service"
VERSION = "a version's name"

ALLOWED = {
    "Actor.id": PERSON,
    "Actor.via": CODE_OF_THE_CITY,
    "Answered.child": OPAQUE,
    "Answered.words": PART,
    "Assigned.assignee": PERSON,
    "Assigned.district": CODE_OF_THE_CITY,
    "Assigned.first_level": CODE_OF_THE_CITY,
    "Assigned.grid": CODE_OF_THE_CITY,
    "Assigned.receivers": PERSON,
    "Assigned.street": CODE_OF_THE_CITY,
    "Assigned.topic": CODE_OF_THE_CITY,
    "Assigned.words": PART,
    "Breached.held_by": PERSON,
    "Breached.receivers": PERSON,
    "Candidate.deputy": PERSON,
    "Candidate.level": CODE,
    "Candidate.reasons": CODE,
    "ClassifiedAs.topic": CODE_OF_THE_CITY,
    "CommandRefused.code": CODE,
    "CommandRefused.type": "the type of the inbound event, a name of `contracts`",
    "CommandRefused.values": "what a refusal is about: stages, ids, codes; never what was said",
    "DueTimes.policy": CODE_OF_THE_CITY,
    "DueTimes.policy_version": VERSION,
    "Erased.reason": CODE,
    "Explanation.registry_version": VERSION,
    "Explanation.rules_version": VERSION,
    "HandedOver.child": OPAQUE,
    "HandedOver.department": CODE_OF_THE_CITY,
    "HandedOver.words": PART,
    "IssueJoined.issue": OPAQUE,
    "IssueJoined.matched": OPAQUE,
    "IssueMerged.issue": OPAQUE,
    "IssueMerged.left": OPAQUE,
    "IssueSurged.issue": OPAQUE,
    "IssueSurged.receivers": PERSON,
    "LocatedBy.grid": CODE_OF_THE_CITY,
    "LocatedBy.tried": CODE,
    "Paused.reason": CODE,
    "Paused.words": PART,
    "Progressed.evidence": "attachment ids, signed by intake",
    "Progressed.words": PART,
    "Published.words": PART,
    "Rated.receivers": PERSON,
    "Rated.words": PART,
    "Reason.code": CODE,
    "Reason.values": "codes, numbers and the registry's names that a reason is about; never what was said",
    "Reminded.receivers": PERSON,
    "Reopened.assignee": PERSON,
    "Reopened.receivers": PERSON,
    "Resolved.evidence": "attachment ids, signed by intake",
    "Resolved.words": PART,
    "Returned.reason": CODE,
    "Returned.receivers": PERSON,
    "Returned.words": PART,
    "Submitted.attachments": "attachment ids, signed by intake",
    "Submitted.channel": CODE_OF_THE_CITY,
    "Submitted.digest": "a keyed hash: without the key it tells nothing of the body",
    "Submitted.language": "a language tag",
    "Submitted.station": CODE_OF_THE_CITY,
    "Submitted.topic": CODE_OF_THE_CITY,
    "Submitted.words": PART,
    "Supervised.receivers": PERSON,
    "Supervised.words": PART,
    "Supported.contact": PART,
    "Supported.supporter": OPAQUE,
    "TakenBack.assignee": PERSON,
    "TakenBack.receivers": PERSON,
    "TopicScore.topic": CODE_OF_THE_CITY,
    "Transferred.reason": CODE,
    "Transferred.to": PERSON,
    "Transferred.words": PART,
    "Triaged.district": CODE_OF_THE_CITY,
    "Triaged.first_level": CODE_OF_THE_CITY,
    "Triaged.grid": CODE_OF_THE_CITY,
    "Triaged.receivers": PERSON,
    "Triaged.street": CODE_OF_THE_CITY,
    "Triaged.topic": CODE_OF_THE_CITY,
    "Triaged.words": PART,
    "Visited.evidence": "attachment ids, signed by intake",
    "Visited.words": PART,
    "Withdrawn.receivers": PERSON,
}


def text_fields(model: type[msgspec.Struct]) -> set[str]:
    """The fields of `model`, and of the models inside, that can hold any text, as `Model.field`."""
    found: set[str] = set()
    for name, hint in get_type_hints(model, include_extras=True).items():
        found |= _texts_of(hint, f"{model.__name__}.{name}")
    return found


def _texts_of(hint: Any, where: str) -> set[str]:
    if hint is str:
        return {where}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return text_fields(hint)
    if get_origin(hint) is Literal:
        return set()
    return {found for inner in get_args(hint) for found in _texts_of(inner, where)}


def models_inside(model: type[msgspec.Struct]) -> set[type]:
    """`model` and every model that it holds."""
    found: set[type] = {model}
    for hint in get_type_hints(model).values():
        found |= _models_of(hint)
    return found


def _models_of(hint: Any) -> set[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return models_inside(hint)
    return {found for inner in get_args(hint) for found in _models_of(inner)}


LIFECYCLE_TEXTS = {field for model in lifecycle.MODELS.values() for field in text_fields(model)}


@pytest.mark.parametrize("field", sorted(LIFECYCLE_TEXTS))
def test_a_text_field_of_the_lifecycle_holds_something_that_need_not_be_erased(field: str):
    assert field in ALLOWED, "free text belongs on opinions.words; for a code, an id or a part id say so here"


def test_the_list_of_reasons_names_no_field_that_is_gone():
    assert set(ALLOWED) - LIFECYCLE_TEXTS == set()


FORBIDDEN = {"text", "title", "address", "contact_name", "name", "phone", "email", "mail", "comment", "note"}


@pytest.mark.parametrize(("type_", "model"), lifecycle.MODELS.items())
def test_no_lifecycle_field_is_called_like_something_private(type_: str, model: type[msgspec.Struct]):
    names = {field for inside in models_inside(model) for field in inside.__struct_fields__}

    assert names & FORBIDDEN == set()


@pytest.mark.parametrize(("type_", "model"), lifecycle.MODELS.items())
def test_the_lifecycle_holds_no_exact_place(type_: str, model: type[msgspec.Struct]):
    assert inbound.Place not in models_inside(model)


DELIVERY_TEXTS = {
    "Delivery.alert": OPAQUE,
    "Delivery.cause": OPAQUE,
    "Delivery.opinion": OPAQUE,
    "Delivery.receiver": PERSON,
    "Delivery.message_id": OPAQUE,
    "Delivery.error": "what the provider answered; the notifier never quotes the message in it",
    "Delivery.about": "the type of the lifecycle event, or the name of a kind of message",
    "InboxEntry.event": "the type of the lifecycle event, a name of `contracts`",
    "InboxEntry.topic": CODE_OF_THE_CITY,
    "InboxEntry.grid": CODE_OF_THE_CITY,
}


def test_what_is_kept_for_ever_of_deliveries_holds_nothing_that_must_be_erased():
    assert text_fields(deliveries.Delivery) == set(DELIVERY_TEXTS)


@pytest.mark.parametrize("topic", [topics.WORDS, topics.CONTACTS])
def test_what_must_be_erasable_is_on_a_topic_that_forgets(topic: str):
    config = topics.BY_NAME[topic].config

    assert config["cleanup.policy"] == "compact"
    assert int(config["max.compaction.lag.ms"]) <= topics.DAY_MS
    assert int(config["segment.ms"]) <= topics.DAY_MS


def test_the_key_of_a_part_names_the_opinion_so_that_all_parts_can_be_found():
    assert words.key("opinion", "part") == "opinion/part"
