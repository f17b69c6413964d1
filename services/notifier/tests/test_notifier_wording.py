"""The templates of every message: each kind, in each language, in each form that it is sent in."""

import re
from pathlib import Path

import pytest
from jinja2 import Environment, StrictUndefined, UndefinedError, meta

from lianxin_notifier import wording
from lianxin_notifier.previews import preview, preview_names
from lianxin_notifier.wording import FORMS, LANGUAGES, TEMPLATES, Fields, Form, Language, kinds, written

# What a message may say: names of topic, street and station, times, addresses of our own pages, counts.
MAY_BE_SAID = {"topic", "street", "due", "link", "stop", "station", "day", "counts", "repeated"}
# Jinja's own: the blocks of the file itself, and the layout that it is put into.
OF_JINJA = {"self", "layout"}
EVERY = [
    (name, language, form)
    for name in preview_names()
    for language in LANGUAGES
    for form in FORMS[name.partition("/")[0]]  # type: ignore[index]
]
FILES = sorted(TEMPLATES.rglob("*.txt"))


@pytest.mark.parametrize(("name", "language", "form"), EVERY)
def test_every_message_can_be_written_in_every_language_and_form(
    name: str, language: Language, form: Form
) -> None:
    message = preview(name, language, form)
    assert message is not None
    assert message.subject.startswith("【连心】" if language == "zh" else "[Lianxin] ")
    assert "\n" not in message.subject
    assert "https://" in message.whole
    assert not re.search(r"\{[{%]|[%}]\}|None|Undefined", message.whole)
    assert "\n\n\n" not in message.whole


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_names_nothing_but_what_a_message_may_say(path: Path) -> None:
    tree = Environment().parse(path.read_text("utf-8"))
    assert meta.find_undeclared_variables(tree) - OF_JINJA <= MAY_BE_SAID


def test_what_a_template_is_given_is_what_a_message_may_say() -> None:
    assert set(Fields.__dataclass_fields__) == MAY_BE_SAID


def test_a_template_that_names_something_else_fails_instead_of_leaving_a_gap() -> None:
    environment = wording._environment()
    assert environment.undefined is StrictUndefined
    with pytest.raises(UndefinedError):
        environment.from_string("{{ text }}").render(wording._closed(Fields()))
    with pytest.raises(UndefinedError):
        environment.from_string("{{ counts.phone }}").render(wording._closed(Fields()))


def test_both_languages_have_the_same_messages() -> None:
    for family in FORMS:
        assert kinds(family, "zh") == kinds(family, "en")


def test_every_message_to_a_resident_says_how_to_stop_them() -> None:
    for kind in kinds("resident"):
        for language in LANGUAGES:
            for form in FORMS["resident"]:
                said = written(
                    "resident", kind, language, form, Fields(link="https://t", stop="https://stop")
                )
                assert "https://stop" in said.text or "https://stop" in said.subject


def test_a_message_that_does_not_exist_is_an_error_and_an_unknown_alert_has_general_words() -> None:
    with pytest.raises(ValueError, match="notice/nothing"):
        written("notice", "nothing", "zh", "mail", Fields())
    assert "新情况" in written("alert", "opinion.new_kind", "zh", "mail", Fields()).subject
