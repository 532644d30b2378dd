"""An HTTP server on loopback that lists and watches as a Kubernetes API server does, and fails on
demand. The real client talks to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

from kubernetes.client.configuration import Configuration

Body = dict[str, Any]
TOKEN = "a-secret-token"  # what must never be printed


class Fault(Enum):
    """What goes wrong with one request."""

    GONE = auto()
    """410 as the answer."""
    GONE_EVENT = auto()
    """410 as an ERROR event of a watch that began well."""
    DROP = auto()
    """The connection is closed in the middle of a line."""
    SILENT = auto()
    """A watch that tells nothing and does not end."""
    GARBAGE = auto()
    """A line that is no JSON."""
    ERROR = auto()
    """500."""
    UNAUTHORISED = auto()
    """401."""


@dataclass
class ApiServer:
    """Objects of one kind, their history, and planned faults."""

    host: str = ""
    requests: list[str] = field(default_factory=list)
    """Method and path with query of every request, with the fault it met."""
    bodies: list[Body] = field(default_factory=list)
    """What was sent."""
    content_types: list[str] = field(default_factory=list)
    """The media types of that."""
    answers: list[tuple[int, Body | str]] = field(default_factory=list)
    """Status and body of the next answers, before anything else is looked at."""
    away: bool = False
    """Nobody is there; see :meth:`leave`."""
    _objects: dict[str, Body] = field(default_factory=dict)
    _history: list[tuple[int, Body]] = field(default_factory=list)
    _version: int = 100
    _faults: list[tuple[Fault, str]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def configuration(self) -> Configuration:
        """How the official client reaches it."""
        return Configuration(host=self.host, api_key={"BearerToken": f"Bearer {TOKEN}"})

    def put(self, name: str, **status: Any) -> None:
        """Add an object or change it."""
        with self._changed:
            self._version += 1
            known = self._objects.get(name)
            uid = known["metadata"]["uid"] if known else f"uid-{self._version}"
            metadata = {"name": name, "uid": uid, "resourceVersion": str(self._version)}
            self._objects[name] = {"metadata": metadata, "status": status}
            self._tell("MODIFIED" if known else "ADDED", self._objects[name])

    def remove(self, name: str) -> None:
        """Delete an object."""
        with self._changed:
            self._version += 1
            body = self._objects.pop(name)
            version = {"resourceVersion": str(self._version)}
            self._tell("DELETED", body | {"metadata": body["metadata"] | version})

    def leave(self) -> None:
        """From now on every connection is closed without an answer."""
        with self._changed:
            self.away = True
            self._changed.notify_all()

    def fail(self, fault: Fault, *, times: int = 1, request: str = "") -> None:
        """Let the next requests fail whose path with query contains ``request``."""
        self._faults += [(fault, request)] * times

    def take(self, line: str) -> Fault | None:
        """The fault for a request, if one is planned."""
        with self._changed:
            match = next((plan for plan in self._faults if plan[1] in line), None)
            if match:
                self._faults.remove(match)
            self.requests.append(f"{line} {match[0].name}" if match else line)
            return match[0] if match else None

    def list(self) -> Body:
        """The answer to a list."""
        with self._changed:
            version = {"resourceVersion": str(self._version)}
            return {"metadata": version, "items": list(self._objects.values())}

    def since(self, version: int, wait: float) -> list[tuple[int, Body]]:
        """Changes after a version; waits for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > version or self.away, timeout=wait)
            return [change for change in self._history if change[0] > version]

    def sleep(self) -> None:
        """Until the server goes away."""
        with self._changed:
            self._changed.wait_for(lambda: self.away)

    def _tell(self, what: str, body: Body) -> None:
        self._history.append((self._version, {"type": what, "object": body}))
        self._changed.notify_all()


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """A server that answers until the end of the block."""
    state = ApiServer()
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.host = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.leave()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: ApiServer

    def do_GET(self) -> None:
        fault = self._take()
        query = parse_qs(urlparse(self.path).query)
        if self._refused(fault):
            return
        if "watch" in query:
            self._watch(int(query["resourceVersion"][0]), float(query["timeoutSeconds"][0]), fault)
        else:
            self._answer(200, self.state.list())

    def do_PATCH(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or "{}")
        self.state.bodies.append(body)
        self.state.content_types.append(self.headers["Content-Type"])
        if not self._refused(self._take()):
            self._answer(200, body)

    do_POST = do_DELETE = do_PATCH  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing: tests fail on unexpected output."""

    def _take(self) -> Fault | None:
        return self.state.take(f"{self.command} {self.path}")

    def _refused(self, fault: Fault | None) -> bool:
        """Whether the request got its answer here."""
        if self.state.away:
            self.close_connection = True
        elif self.headers["Authorization"] != f"Bearer {TOKEN}" or fault is Fault.UNAUTHORISED:
            self._answer(401, _status(401, "Unauthorized"))
        elif fault is Fault.ERROR:
            self._answer(500, _status(500, "etcdserver: request timed out"))
        elif fault is Fault.GONE:
            self._answer(410, _status(410, "too old resource version"))
        elif self.state.answers:
            self._answer(*self.state.answers.pop(0))
        else:
            return False
        return True

    def _watch(self, version: int, seconds: float, fault: Fault | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        if fault is Fault.SILENT:
            self.state.sleep()
            self.close_connection = True
        elif fault is Fault.DROP:
            self._chunk('{"type": "MODI')
            self.close_connection = True
        else:
            if fault is Fault.GONE_EVENT:
                self._chunk(json.dumps({"type": "ERROR", "object": _status(410, "too old")}) + "\n")
            if fault is Fault.GARBAGE:
                self._chunk("this is no event\n")
            self._events(version, time.monotonic() + seconds)

    def _events(self, version: int, end: float) -> None:
        while not self.state.away and (left := end - time.monotonic()) > 0:
            changes = self.state.since(version, left)
            for _, event in changes:
                line = json.dumps(event, ensure_ascii=False) + "\n"
                self._chunk(line[: len(line) // 2])  # in two pieces, as networks do
                self._chunk(line[len(line) // 2 :])
            version = changes[-1][0] if changes else version
        self._chunk("")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        try:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def _answer(self, status: int, body: Body | str) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _status(code: int, message: str) -> Body:
    return {"kind": "Status", "code": code, "message": message}
