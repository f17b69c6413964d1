"""The peer that intake is measured against: a general HTTP-to-Kafka proxy, which is Apache Camel, configured.

One request is one record: `netty-http` takes the POST, `kafka` writes its body with acks=all and answers when
the broker has acknowledged it. Nothing is checked, sealed or derived. Strimzi's Kafka Bridge would be the
nearer peer, but Maven found no version of it (2026-11-25).

Only this benchmark needs it: the jars are fetched when it runs, once for a user, by Maven or jgo as Kafka's
are, and checked against `proxy-jars.txt`.
"""

import http.client
import tempfile
from pathlib import Path

from lianxin_contracts import topics
from lianxin_local.jars import Jar, Unavailable, cache, check, manifest, resolvers
from lianxin_local.java import find_java
from lianxin_local.problem import say

MANIFEST = Path(__file__).with_name("proxy-jars.txt")
VERSION = "4.14.0"
NAME = f"Apache Camel {VERSION} (netty-http to kafka)"
PATH = "/opinions"
ROUTE = """
- route:
    id: proxy
    from:
      uri: netty-http:http://127.0.0.1:{port}{path}
      parameters:
        httpMethodRestrict: POST
        disconnect: false
      steps:
        - removeHeaders:
            pattern: "*"
        - to:
            uri: kafka:{topic}
            parameters:
              brokers: {bootstrap}
              requestRequiredAcks: all
              enableIdempotence: true
        - removeHeaders:
            pattern: "*"
        - setHeader:
            name: CamelHttpResponseCode
            constant: "202"
        - setBody:
            constant: "{{}}"
"""


def ensure_proxy_jars() -> Path:
    """The directory with every jar of the proxy, each as its checksum says; fetches them where they are not.
    Raises `Problem` where a jar is not the one that was pinned, SystemExit where they can't be had."""
    jars, directory = manifest(MANIFEST), cache().parent / f"camel-{VERSION}"
    if not directory.exists():
        _fetch(jars, directory)
    check(jars, directory)
    return directory


def _fetch(jars: list[Jar], directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    say(f"fetching {NAME} ({len(jars)} jars, 31 MB), once for this user")
    why = []
    for name, by in resolvers():
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=directory.parent) as scratch:
            draft = Path(scratch) / "jars"
            draft.mkdir()
            try:
                by(jars, draft)
            except Unavailable as error:
                why.append(f"{name}: {error}")
                continue
            check(jars, draft)
            draft.rename(directory)
            return
    raise SystemExit(f"can't fetch the proxy ({'; '.join(why)}); --no-proxy measures without it")


def proxy_command(directory: Path, port: int, bootstrap: str) -> list[str]:
    """What starts the proxy on `port`, its route written into `directory`. Fetches its jars if need be."""
    route = directory / "proxy.camel.yaml"
    route.write_text(ROUTE.format(port=port, path=PATH, topic=topics.INBOUND, bootstrap=bootstrap))
    return [
        str(find_java().command),
        "-Xmx512m",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        f"-Dcamel.main.routesIncludePattern=file:{route}",
        "-cp",
        f"{ensure_proxy_jars()}/*",
        "org.apache.camel.main.Main",
    ]


def proxies(port: int, body: bytes) -> bool:
    """Whether a POST to the proxy is answered with 202, so written."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        return connection.getresponse().status == 202
    except OSError:
        return False
    finally:
        connection.close()
