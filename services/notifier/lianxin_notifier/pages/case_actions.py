"""The forms of a case: which are offered to whom at which stage, and what a sent form asks for. Pure.

Who may do what is the router's to decide; a form that is not offered is not forbidden by that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from lianxin_chassis.pages import Language
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.inbound import MAX_TEXT, Outcome
from lianxin_contracts.registry import Mandate, Policy, Snapshot
from lianxin_notifier.actions import ERASURE_REASONS, Action, ActionRequest
from lianxin_notifier.casefile import CaseFile
from lianxin_notifier.inbox import Opinion
from lianxin_notifier.pages.lines import topic_name
from lianxin_notifier.pages.rendering import TEXTS, known, text
from lianxin_notifier.people import Person

Kind = Literal["text", "select", "date", "line", "photos", "confirm"]
Options = Sequence[tuple[str, str]]
_OPEN = ("triage", "assigned", "accepted", "in_progress")
_HANDLED = ("accepted", "in_progress")
# At most so many deputies are offered; more nobody reads through.
MOST_OFFERED = 60


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. `options` of a select are (value, words)."""

    name: str
    kind: Kind
    label: str
    required: bool = False
    options: Options = ()
    most: int = MAX_TEXT


@dataclass(frozen=True, slots=True)
class Form:
    """One action. `main` ones are shown at once, the rest is folded."""

    action: Action
    title: str
    fields: tuple[Field, ...] = ()
    main: bool = False
    hint: str = ""


def forms_of(
    opinion: Opinion, file: CaseFile, person: Person, language: Language, city: Snapshot, today: date
) -> list[Form]:
    """What is offered to `person` on this case, the likely first. `today` is the city's civil date."""
    make = _Forms(opinion, file, language, city, today)
    if person.is_deputy:
        return make.of_holder() if opinion.holder == person.id else []
    return make.of_staff(person) if person.answers_for(opinion.grid) else []


class _Forms:
    def __init__(
        self, opinion: Opinion, file: CaseFile, language: Language, city: Snapshot, today: date
    ) -> None:
        self._opinion = opinion
        self._file = file
        self._language = language
        self._city = city
        self._today = today

    def of_holder(self) -> list[Form]:
        stage = self._opinion.stage
        forms: list[Form] = []
        if stage == "assigned":
            forms.append(self._form("accept", main=True))
        if stage in _HANDLED:
            forms += self._handling()
        if stage in ("assigned", *_HANDLED):
            forms += [self._transfer(), self._return()]
        if self._file.has_contact and not self._opinion.erased and stage in (
            "assigned", *_HANDLED, "resolved",
        ):  # fmt: skip
            forms.append(self._form("reveal_contact", hint="hint.reveal_contact"))
        return forms

    def of_staff(self, person: Person) -> list[Form]:
        forms: list[Form] = []
        if self._opinion.stage in _OPEN:
            forms += self._deciding(person)
        if not self._opinion.erased and person.may("staff", "supervisor"):
            forms += self._releasing()
        if not self._opinion.erased and person.may("administrator"):
            forms.append(self._erasing())
        return forms

    def _erasing(self) -> Form:
        word = self._t("erase_word")
        label = text("field.confirm", self._language, word=word)
        confirm = Field("confirm", "confirm", label, True, most=len(word))
        reasons = self._codes("reason", ERASURE_REASONS)
        return self._form(
            "erase", self._select("reason", "field.reason", reasons), confirm, hint="hint.erase"
        )

    def _deciding(self, person: Person) -> list[Form]:
        forms: list[Form] = []
        waits_here = self._opinion.stage == "triage" and person.is_of_station(self._opinion.station)
        if person.may("staff") or waits_here:
            topics = [
                (topic.id, topic_name(topic.id, self._language, self._city))
                for topic in self._city.topics.values()
                if topic.parent is not None
            ]
            fields = (
                self._select("to", "field.assign_to", self._deputies(), required=False),
                self._select("topic", "field.topic", topics, required=False),
                Field("grid", "line", self._t("field.grid"), most=15),
                self._text("field.note", required=False),
            )
            forms.append(self._form("assign", *fields, main=True, hint="hint.assign"))
        if person.may("supervisor", "administrator"):
            forms.append(self._form("supervise", self._text("field.note", required=False), main=not forms))
        return forms

    def _releasing(self) -> list[Form]:
        publish = self._form("publish", self._text("field.publish"), hint="hint.publish")
        return [publish, self._form("unpublish")] if self._file.released else [publish]

    def _handling(self) -> list[Form]:
        paused = self._file.paused is not None
        forms = [
            self._form("progress", self._text("field.progress"), self._photos(), main=not paused),
            self._form(
                "resolve",
                self._select("outcome", "field.outcome", self._codes("outcome", get_args(Outcome))),
                self._text("field.resolve"),
                self._photos(required=self._needs_evidence()),
                main=not paused,
                hint="hint.resolve",
            ),
            self._answer(),
            self._hand_over(),
        ]
        if paused:
            return [self._form("resume", main=True), *forms]
        until = Field("until", "date", self._t("field.until"))
        reasons = self._codes("reason", self._policy().pause_reasons)
        pausing = (
            self._select("reason", "field.reason", reasons),
            until,
            self._text("field.note", required=False),
        )
        return [*forms, self._form("pause", *pausing)]

    def _answer(self) -> Form:
        orders = [
            (child, self._city.departments[to].name if to in self._city.departments else to)
            for child, to in self._file.children.items()
        ]
        fields = [self._text("field.answer")]
        if orders:
            fields.append(self._select("child", "field.child", orders, required=False))
        return self._form("answer", *fields)

    def _hand_over(self) -> Form:
        departments = [(one.id, one.name) for one in self._city.departments.values()]
        return self._form(
            "hand_over",
            self._select("to", "field.department", departments),
            self._select("role", "field.role", self._codes("role", ("main", "assist"))),
            self._text("field.note", required=False),
        )

    def _transfer(self) -> Form:
        return self._form(
            "transfer",
            self._select("to", "field.deputy", self._deputies()),
            self._text("field.note", required=False),
            hint="hint.transfer",
        )

    def _return(self) -> Form:
        reasons = self._codes("reason", self._policy().return_reasons)
        return self._form(
            "return",
            self._select("reason", "field.reason", reasons),
            self._text("field.note", required=False),
        )

    def _deputies(self) -> list[tuple[str, str]]:
        """Other deputies with a mandate for the case's place and topic, by name; and those whom routing
        considered."""
        grid, topic = self._opinion.grid, self._opinion.topic
        held = {m.deputy for m in self._city.mandates.values() if covers(m, grid, topic, self._today)}
        if self._file.explained is not None:
            held |= {one.deputy for one in self._file.explained.candidates}
        names = [
            (deputy.id, f"{deputy.name}（{deputy.id}）")
            for id_ in held
            if id_ != self._opinion.holder and (deputy := self._city.deputies.get(id_)) is not None
        ]
        return sorted(names, key=lambda one: one[1])[:MOST_OFFERED]

    def _policy(self) -> Policy:
        return self._city.policies.get(self._file.policy or "") or Policy("opinion")

    def _codes(self, kind: str, codes: Sequence[str]) -> list[tuple[str, str]]:
        return [(code, known(f"{kind}.{code}", self._language, code)) for code in codes]

    def _form(self, action: Action, *fields: Field, main: bool = False, hint: str = "") -> Form:
        words = self._t(hint) if hint else ""
        return Form(action, self._t(f"action.{action}"), fields, main, words)

    def _photos(self, *, required: bool = False) -> Field:
        return Field("evidence", "photos", self._t("field.evidence"), required)

    def _needs_evidence(self) -> bool:
        topic = self._city.topics.get(self._opinion.topic or "")
        return topic is not None and topic.evidence

    def _text(self, label: str, *, required: bool = True) -> Field:
        return Field("text", "text", self._t(label), required)

    def _select(self, name: str, label: str, options: Options, *, required: bool = True) -> Field:
        return Field(name, "select", self._t(label), required, options)

    def _t(self, key: str) -> str:
        return text(key, self._language)


def covers(mandate: Mandate, grid: str | None, topic: str | None, on: date) -> bool:
    """Whether `mandate` holds on day `on` for this place and topic; a topic's code covers those below it."""
    if on < mandate.since or (mandate.until is not None and on >= mandate.until):
        return False
    if grid is None or not grid.startswith(mandate.areas):
        return False
    return not mandate.topics or any((topic or "").startswith(code) for code in mandate.topics)


_FIELDS = ("text", "reason", "outcome", "to", "role", "child", "grid", "topic")


def asked_of(fields: Mapping[str, str], city: Snapshot) -> ActionRequest:
    """What a sent form asks for. Raises 422 for what no form of ours sends, and for an erasure whose word was
    not typed: it can't be taken back."""
    if (
        fields.get("action") == "erase"
        and fields.get("confirm", "").lower() not in TEXTS["erase_word"].values()
    ):
        raise ProblemError(422, "not_confirmed_by_word", "The word was not typed", field="confirm")
    body: dict[str, Any] = {name: fields[name] for name in ("action", *_FIELDS) if name in fields}
    if "evidence" in fields:
        body["evidence"] = fields["evidence"].split()
    if "until" in fields:
        body["until"] = _end_of(fields["until"], city)
    try:
        return msgspec.convert(body, ActionRequest)
    except msgspec.ValidationError as error:
        raise ProblemError(422, "invalid", "A field is missing or wrong", str(error)) from error


def _end_of(civil: str, city: Snapshot) -> datetime:
    """The last second of a civil day of the city."""
    try:
        on = date.fromisoformat(civil)
    except ValueError:
        raise ProblemError(422, "invalid", "A field is missing or wrong", "`until` is no date") from None
    return datetime.combine(on, time(23, 59, 59), ZoneInfo(city.city.zone)).astimezone(UTC)
