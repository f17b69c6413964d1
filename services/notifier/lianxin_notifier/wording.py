"""The words of every message that leaves the house: one template for each kind and language. No I/O but
reading the templates, which are part of the package.

`templates/{language}/{family}/{kind}.txt` holds what is said;
`templates/{language}/layout/{family}.{form}.txt` how it is put together by mail, in a chat or as SMS: the
first line is the subject, the rest the text. A template sees the fields of `Fields` and nothing else, and a
name that is none of them is an error: so no resident's word, name, contact or place can get into a message by
a slip in a template.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

Language = Literal["zh", "en"]
Family = Literal["alert", "resident", "notice"]
Form = Literal["mail", "chat", "sms"]

LANGUAGES: tuple[Language, ...] = ("zh", "en")
TEMPLATES = Path(__file__).with_name("templates")
# Residents have no chat group with us.
FORMS: Mapping[Family, tuple[Form, ...]] = {
    "alert": ("mail", "chat", "sms"),
    "resident": ("mail", "sms"),
    "notice": ("mail", "chat", "sms"),
}
OTHER = "other"  # an alert of an event that has no words of its own (yet)


@dataclass(frozen=True, slots=True)
class Fields:
    """All that a message may say. `topic`, `street` and `station` are names in the registry, `due` and `day`
    civil times in words, `link` and `stop` addresses of our own pages, `counts` numbers of cases."""

    topic: str = ""
    street: str = ""
    due: str = ""
    link: str = ""
    stop: str = ""
    station: str = ""
    day: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """Subject and text of one message."""

    subject: str
    text: str

    @property
    def whole(self) -> str:
        """Both, for where there is no subject: chats and SMS."""
        return f"{self.subject}\n{self.text}".rstrip("\n")


def language_of(code: str | None) -> Language:
    """The language of messages to whoever reads `code`: Chinese where it is none of ours."""
    return "en" if code == "en" else "zh"


def written(family: Family, kind: str, language: Language, form: Form, said: Fields) -> Letter:
    """The message of this `kind`, in words. Raises ValueError where there is no such message (an alert of an
    unknown kind has the words of `other`)."""
    environment = _environment()
    layout = f"{language}/layout/{family}.{form}.txt"
    names = [f"{language}/{family}/{kind}.txt"]
    if family == "alert":
        names.append(f"{language}/alert/{OTHER}.txt")
    try:
        template = environment.select_template(names)
        text = template.render({"layout": layout, **_closed(said)})
    except TemplateNotFound as error:
        raise ValueError(f"there is no message {family}/{kind} in {language} as {form}") from error
    subject, _, rest = text.partition("\n")
    return Letter(subject.strip(), rest.lstrip("\n"))


def kinds(family: Family, language: Language = "zh") -> list[str]:
    """The kinds of messages of a family that have a template, in alphabetical order."""
    return sorted(path.stem for path in (TEMPLATES / language / family).glob("*.txt"))


def _closed(said: Fields) -> dict[str, Any]:
    return {one.name: getattr(said, one.name) for one in fields(said)}


@cache
def _environment() -> Environment:
    # Plain text: nothing to escape, and subjects can't hold a line break (`EmailMessage` refuses them).
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
