"""A client of the alerts' stream, as an open inbox is one."""

import contextlib
import http.client
import json
import socket
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.notifier.running import Running
from tests.notifier.small_city import READ
from tests.notifier.waiting import eventually


@dataclass(frozen=True)
class Received:
    event: str
    id: str | None
    data: dict[str, Any]


class EventStream:
    """Reads in a thread until closed. `with` it."""

    def __init__(self, api: Running, deputy: str, last: int | None = None) -> None:
        headers = {"Authorization": f"Bearer {READ}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.received: list[Received] = []
        self.comments = 0
        connection = http.client.HTTPConnection("127.0.0.1", api.port)
        connection.connect()
        self._socket: socket.socket = connection.sock
        connection.request("GET", f"/v1/alerts/stream?{urlencode({'deputy': deputy})}", headers=headers)
        self._response = connection.getresponse()
        assert self._response.status == 200
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "EventStream":
        self._thread.start()
        eventually(lambda: self.received)
        assert self.received[0].event == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the other side may have closed it
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def numbers(self) -> list[int]:
        """The ids of the alerts so far."""
        return [int(one.id) for one in self.received if one.event == "alert" and one.id is not None]

    def alerts_of(self, opinion: str) -> list[dict[str, Any]]:
        return [one.data for one in list(self.received) if one.event == "alert" and one.data["id"] == opinion]

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with contextlib.suppress(OSError, http.client.HTTPException):  # closed
            while raw := self._response.readline():
                line = raw.decode().rstrip("\r\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    data = json.loads(fields["data"])
                    self.received.append(Received(fields.get("event", ""), fields.get("id"), data))
                    fields = {}
