"""Every message with made-up data, for whoever changes the templates. Pure."""

from lianxin_notifier.wording import FORMS, Fields, Form, Language, Letter, kinds, written

_FIELDS: dict[Language, Fields] = {
    "zh": Fields(
        topic="道路坑洼",
        street="金匮街道",
        due="2026年12月1日 星期二 17:00",
        station="金匮街道代表之家",
        day="2026年12月15日 星期二",
    ),
    "en": Fields(
        topic="Potholes",
        street="金匮街道",
        due="Tuesday, 1 December 2026, 17:00",
        station="金匮街道代表之家",
        day="Tuesday, 15 December 2026",
    ),
}
_LINK = "https://lianxin.example/inbox/0197b3c4"
_TRACKING = "https://opinions.example/t/7QK2-M4XW-9PZ3H"
_STOP = "https://lianxin.example/stop/AZezxA"
_COUNTS = {
    "open": 7,
    "unseen": 3,
    "soon": 2,
    "overdue": 1,
    "new": 4,
    "resolved": 5,
    "satisfied": 3,
    "basically": 1,
    "dissatisfied": 0,
}


def preview_names() -> list[str]:
    """`alert/opinion.assigned`, `notice/digest` …: every message there is."""
    return [f"{family}/{kind}" for family in FORMS for kind in kinds(family)]


def preview(name: str, language: Language, form: Form) -> Letter | None:
    """The message called `name`, as one of `preview_names`; None where it is never sent in that form. Raises
    ValueError where there is no such message."""
    for family, forms in FORMS.items():
        for kind in kinds(family):
            if name == f"{family}/{kind}":
                return (
                    written(family, kind, language, form, _sample(family, language))
                    if form in forms
                    else None
                )
    raise ValueError(f"there is no message {name}")


def _sample(family: str, language: Language) -> Fields:
    said = _FIELDS[language]
    return Fields(
        topic=said.topic,
        street=said.street,
        due=said.due,
        link=_TRACKING if family == "resident" else _LINK,
        stop=_STOP if family == "resident" else "",
        station=said.station,
        day=said.day,
        counts=_COUNTS,
    )
