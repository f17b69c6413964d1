"""An OpenAPI document against the server that gave it: requests made from the document alone, and its
examples. What is checked is which answers there are and in which form, not which of them a request gets: ids
of people and codes of the city are in no schema."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
Send = Callable[[Any, Mapping[str, str]], Any]
"""(case, headers) → the answer."""


def send_and_read(case: Any, headers: Mapping[str, str]) -> Any:
    return case.call(headers=dict(headers))


def try_everything(
    url: str,
    *,
    start: int,
    count: int,
    headers: Sequence[Mapping[str, str]] = ({},),
    known: Mapping[str, Sequence[Any]] | None = None,
    send: Mapping[str, Send] | None = None,
) -> tuple[int, dict[str, str]]:
    """Send `count` requests that the document allows or forbids to each operation, drawn from seed `start`.

    Each goes with one of `headers`; about half have a value of `known` (by a parameter's or field's name)
    in place of a made-up one, so that they come past the first look-up. `send`: another way of sending, by
    an operation's label. Returns how many were sent, and by operation what was answered wrongly.
    """
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    schema.config.generation.update(modes=list(schemathesis.GenerationMode))
    wrong: dict[str, str] = {}
    tried = 0

    def attempt(operation: Any) -> None:
        sending = (send or {}).get(operation.label, send_and_read)

        @seed(start)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), data=st.data())
        def answered(case: Any, data: st.DataObject) -> None:
            nonlocal tried
            tried += 1
            if known and data.draw(st.booleans()):
                _put_in(case, known, data)
            answer = sending(case, data.draw(st.sampled_from(list(headers))))
            case.validate_response(answer, checks=CHECKS)

        answered()

    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # fails the test where the document is wrong
        try:
            attempt(operation)
        except (Exception, ExceptionGroup) as error:  # noqa: BLE001 - all operations are tried, then told
            wrong[operation.label] = str(error)[:1200]
    return tried, wrong


def _put_in(case: Any, known: Mapping[str, Sequence[Any]], data: st.DataObject) -> None:
    for place in (case.query, case.path_parameters, case.body):
        if isinstance(place, dict):
            for name in place:
                if name in known:
                    place[name] = data.draw(st.sampled_from(list(known[name])))


def told(wrong: Mapping[str, str]) -> str:
    """What was answered wrongly, to be read by people."""
    return "\n\n".join(f"{label}: {what}" for label, what in wrong.items())


def body_examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str, Any]]:
    """Path, operation, media type and value of every example of a request's body."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                if "example" in content:
                    yield path, operation, media, content["example"]
                for one in content.get("examples", {}).values():
                    yield path, operation, media, one["value"]


def parameter_examples(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Method, path, operation and the examples of its parameters, of every operation without a body."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                shown = {
                    one["name"]: next(iter(one["examples"].values()))["value"]
                    for one in operation.get("parameters", ())
                    if "examples" in one
                }
                yield method, path, operation, shown


def require_as_shown(operation: dict[str, Any], answer: Any) -> None:
    """Fails unless `answer` is a success of a documented kind, with the members of one of its examples."""
    documented = operation["responses"].get(str(answer.status_code), {}).get("content", {})
    assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text[:300]}"
    media = answer.headers["content-type"].partition(";")[0]
    assert media in documented, f"{answer.request.url}: {media}"
    content = documented[media]
    examples = [one["value"] for one in content.get("examples", {}).values()] or [content.get("example")]
    shown = [set(one) for one in examples if isinstance(one, dict)]
    if shown:
        assert set(answer.json()) in shown, answer.request.url
