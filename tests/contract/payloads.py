"""Hypothesis strategies for payload models, taken from their type hints, and all (topic, type) pairs."""

import types
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from lianxin_contracts import topics
from lianxin_contracts.codec import MODELS
from lianxin_contracts.envelope import Event

EVERY_TYPE = [(topic, type_) for topic, models in MODELS.items() for type_ in models]

texts = st.text(max_size=40)
words = st.text(min_size=1, max_size=40)
EPOCH, LATEST = datetime(1970, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
moments = st.datetimes(EPOCH, LATEST, timezones=st.just(UTC))
# JSON numbers are read as 64-bit integers and as finite doubles.
integers = st.integers(-(2**63), 2**63 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def payloads(model: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any instance of `model`: every field is generated, and those with a default are sometimes left out."""
    hints = get_type_hints(model, include_extras=True)
    fields = msgspec.structs.fields(model)
    required = {field.name: _values(hints[field.name]) for field in fields if field.required}
    optional = {field.name: _values(hints[field.name]) for field in fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: model(**values))


def _values(hint: Any, limits: msgspec.Meta | None = None) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _values(arguments[0], arguments[1])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_values, arguments))
    if origin is dict:
        return st.dictionaries(texts, _values(arguments[1]), max_size=3)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(_values(arguments[0]), max_size=3).map(tuple)
        return st.tuples(*map(_values, arguments))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return payloads(hint)
    return _plain(hint, limits)


def _plain(hint: Any, limits: msgspec.Meta | None) -> st.SearchStrategy[Any]:
    if hint is float and limits is not None:
        return st.floats(limits.ge, limits.le)
    if hint is str and limits is not None:
        return st.text(min_size=limits.min_length or 0, max_size=60)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: texts,
        int: integers,
        float: numbers,
        bool: st.booleans(),
        datetime: moments,
        date: st.dates(),
        type(None): st.none(),
    }
    return plain[hint]


@st.composite
def events(draw: st.DrawFn, topic: str, type_: str) -> Event:
    """Any event of one type, as it may travel on `topic`."""
    return Event(
        id=draw(words),
        source=draw(words),
        type=type_,
        subject=draw(texts),
        time=draw(moments),
        recordedtime=draw(moments),
        data=draw(payloads(MODELS[topic][type_])),
        causationid=draw(st.none() | texts),
        sequence=draw(st.integers(1, 2**62)) if topic == topics.LIFECYCLE else None,
        traceparent=draw(st.none() | texts),
        continues=topic == topics.LIFECYCLE and draw(st.booleans()),
    )


any_event = st.sampled_from(EVERY_TYPE).flatmap(
    lambda which: st.tuples(st.just(which[0]), events(topic=which[0], type_=which[1]))
)
