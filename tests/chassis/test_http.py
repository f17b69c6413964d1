"""Health, problems, traces and logs: the same in every process."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from lianxin_chassis import logs, problems
from lianxin_chassis.health import health_routes
from lianxin_chassis.problems import MEDIA_TYPE, ProblemError
from lianxin_chassis.settings import Settings
from lianxin_chassis.tracing import child, new_traceparent


class Body(BaseModel):
    phone: int


def app_with(**checks: Any) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.include_router(health_routes(checks))

    @app.get("/limited")
    async def limited() -> None:
        raise ProblemError(429, "slow_down", "Too many", headers={"Retry-After": "3"}, limit=5)

    @app.get("/t/{code}")
    async def broken(code: str) -> None:
        raise RuntimeError(f"secret of {code}")

    @app.post("/body")
    async def body(given: Body) -> int:
        return given.phone

    return app


async def ask(app: FastAPI, method: str, path: str, **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path, **more)


async def test_a_process_is_ready_when_every_check_is_true_and_names_what_is_not() -> None:
    ready = await ask(app_with(a=lambda: True), "GET", "/readyz")
    assert ready.status_code == 200
    waiting = await ask(
        app_with(a=lambda: True, b=lambda: "reading the registry", c=lambda: False), "GET", "/readyz"
    )
    assert waiting.status_code == 503
    assert waiting.json()["waiting_for"] == {"b": "reading the registry", "c": "not ready"}


async def test_a_process_that_waits_is_alive() -> None:
    assert (await ask(app_with(a=lambda: False), "GET", "/livez")).status_code == 200


async def test_prometheus_is_told_whether_a_process_is_ready() -> None:
    for holds in (False, True):
        answer = await ask(app_with(a=lambda: True, b=lambda holds=holds: holds), "GET", "/metrics")
        assert f"lianxin_ready {float(holds)}" in answer.text


async def test_metrics_are_prometheus_text() -> None:
    answer = await ask(app_with(), "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "lianxin_consumer_lag" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/limited", {}, 429, "slow_down"),
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("POST", "/limited", {}, 405, "method_not_allowed"),
        (
            "POST",
            "/body",
            {"content": b"{", "headers": {"content-type": "application/json"}},
            400,
            "malformed",
        ),
        ("POST", "/body", {"json": {"phone": "none of yours"}}, 422, "invalid"),
        ("GET", "/t/ABCD", {}, 500, "internal"),
    ],
)
async def test_every_error_is_a_problem_document(
    method: str, path: str, more: dict[str, Any], status: int, code: str
) -> None:
    answer = await ask(app_with(), method, path, **more)
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (status, code, status)
    assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_problem_keeps_its_headers_and_its_own_members() -> None:
    answer = await ask(app_with(), "GET", "/limited")
    assert (answer.headers["retry-after"], answer.json()["limit"]) == ("3", 5)


async def test_a_wrong_field_is_named_and_its_content_is_not_repeated() -> None:
    answer = await ask(app_with(), "POST", "/body", json={"phone": "13800000000x"})
    assert answer.json()["errors"][0]["at"] == ["body", "phone"]
    assert "13800000000x" not in answer.text


async def test_an_unexpected_error_shows_a_reference_and_neither_secret_nor_path_is_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("test", "1")
    answer = await ask(app_with(), "GET", "/t/ABCDEFGH")
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert answer.json()["reference"] == line["reference"]
    assert "secret" not in answer.text
    assert line["route"] == "/t/{code}"
    assert "ABCDEFGH" not in json.dumps(line)


def test_logs_are_json_lines_with_service_and_instance(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("router", "r-1", "info")
    logs.get_logger("x").info("hello", number=1)
    logs.get_logger("x").debug("not this")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["service"], told["instance"], told["event"], told["number"]) == ("router", "r-1", "hello", 1)


def test_a_child_span_stays_in_its_trace_and_a_malformed_one_begins_anew() -> None:
    parent = new_traceparent()
    assert child(parent)[:35] == parent[:35]
    assert child(parent) != parent
    for bad in (None, "", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01"):
        assert len(child(bad)) == 55
        assert child(bad) != bad


def test_settings_come_from_the_environment_and_the_database_is_the_services_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIANXIN_KAFKA_BOOTSTRAP", "kafka:9092")
    monkeypatch.setenv("LIANXIN_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("LIANXIN_KAFKA_SASL_USERNAME", "router")
    monkeypatch.setenv("LIANXIN_KAFKA_SASL_PASSWORD", "hidden")
    settings = Settings(service="router")
    client = settings.kafka_client()
    assert (settings.database_name, client["bootstrap_servers"]) == ("lianxin_router", "kafka:9092")
    assert (client["sasl_plain_username"], client["sasl_plain_password"]) == ("router", "hidden")
    assert "hidden" not in repr(settings)
