"""The proxy of docker-compose.yml, run with its own file before servers that answer everything: what is
public passes, and what tells about the inside does not."""

import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.deploy.compose import ROOT
from tests.support.durable import skip_or_fail
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

CONFIG = ROOT / "deploy" / "compose" / "proxy" / "nginx.conf"
INSIDE = ("/metrics", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/readyz", "/livez", "/")
DISGUISED = (
    "/v1/../metrics",
    "/v1/%2e%2e/metrics",
    "/v1/..%2fmetrics",
    "//metrics",
    "/%6detrics",
    "/V1/../metrics",
)


class Everything(BaseHTTPRequestHandler):
    """Answers whatever comes with what it saw."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {"path": self.path, "from": self.headers.get("X-Forwarded-For"), "bytes": len(body)}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The address of each service's door."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        skip_or_fail("no nginx: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("proxy")
    behind = ThreadingHTTPServer(("127.0.0.1", 0), Everything)
    threading.Thread(target=behind.serve_forever, daemon=True).start()
    ports = {name: free_port() for name in ("8000", "8002", "8003")}
    text = re.sub(r"http://\w+-api:8000", f"http://127.0.0.1:{behind.server_port}", CONFIG.read_text("utf-8"))
    text = re.sub(r"listen (\d+);", lambda found: f"listen 127.0.0.1:{ports[found[1]]};", text)
    text = text.replace("/tmp/", f"{folder}/")
    (folder / "nginx.conf").write_text(text)
    spawned = Spawned(
        [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"], folder / "log"
    )
    addresses = {
        "intake": f"http://127.0.0.1:{ports['8000']}",
        "notifier": f"http://127.0.0.1:{ports['8002']}",
        "metrics": f"http://127.0.0.1:{ports['8003']}",
    }
    try:
        eventually(lambda: httpx.get(f"{addresses['metrics']}/v1/definitions").status_code == 200)
        yield addresses
    finally:
        spawned.kill()
        behind.shutdown()


@pytest.mark.parametrize(
    ("service", "path"),
    [
        *(("intake", path) for path in (
            "/v1/opinions", "/v1/opinions:batch", "/v1/events", "/v1/stations?q=x",
            "/v1/topics", "/sw.js",
            "/open311/v2/services.json", "/s/S0100", "/t/ABCD-EFGH", "/qr/S0100.svg",
            "/qr/S0100.pdf?paper=a3", "/qr/region/320213021.pdf",
        )),
        *(("notifier", path) for path in (
            "/v1/inbox?deputy=D1", "/v1/alerts/stream", "/v1/cases/x/actions", "/v1/commands/x",
            "/inbox", "/duty/S0100", "/signin", "/signin/a.b", "/signin/oidc/callback?code=x", "/signout",
            "/signins", "/station", "/stop/AZezxA", "/supervision", "/triage", "/preferences", "/devices",
            "/sw.js", "/push-worker.js",
        )),
        *(("metrics", path) for path in (
            "/v1/reports/day", "/v1/reports/closure?by=topic", "/v1/definitions",
        )),
    ],
)  # fmt: skip
def test_what_is_public_passes_as_it_was_asked(doors: dict[str, str], service: str, path: str):
    answer = httpx.get(doors[service] + path)

    assert answer.status_code == 200
    assert answer.json()["path"] == path


@pytest.mark.parametrize("service", ["intake", "notifier", "metrics"])
@pytest.mark.parametrize("path", INSIDE)
def test_what_tells_about_the_inside_does_not_pass(doors: dict[str, str], service: str, path: str):
    assert httpx.get(doors[service] + path).status_code == 404


@pytest.mark.parametrize("path", DISGUISED)
def test_nor_does_it_in_disguise(doors: dict[str, str], path: str):
    host, port = doors["intake"].removeprefix("http://").split(":")
    with socket.create_connection(
        (host, int(port)), timeout=10
    ) as raw:  # as written: no client tidies the path
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        said = raw.makefile("rb").read()

    assert said.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


def test_nobody_chooses_the_address_that_limits_are_counted_by(doors: dict[str, str]):
    answer = httpx.get(f"{doors['intake']}/v1/topics", headers={"X-Forwarded-For": "203.0.113.9"})

    assert answer.json()["from"] == "127.0.0.1"


def test_a_large_batch_is_left_to_the_service_to_judge(doors: dict[str, str]):
    answer = httpx.post(f"{doors['intake']}/v1/opinions:batch", content=b"x" * 3_000_000, timeout=30)

    assert answer.json()["bytes"] == 3_000_000


def test_codes_in_paths_reach_no_log():
    text = CONFIG.read_text("utf-8")

    assert "access_log off;" in text
    assert "error_log /dev/stderr crit;" in text
