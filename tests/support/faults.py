"""An HTTP proxy on loopback that fails on demand, between boto and an S3 server."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

OLD_DATE = "Thu, 01 Jan 2015 00:00:00 GMT"


class Fault(Enum):
    """What goes wrong with one request."""

    INTERNAL = (500, "InternalError")
    SLOW_DOWN = (503, "SlowDown")
    SKEWED = (403, "RequestTimeTooSkewed")
    EXPIRED = (403, "ExpiredToken")
    DENIED = (403, "AccessDenied")
    NO_UPLOAD = (404, "NoSuchUpload")
    BAD_DIGEST = (400, "BadDigest")
    CUT = "the connection is reset in the middle of the request's body"
    DAMAGED = "the answer's last byte is another"
    TRUNCATED = "the answer ends in the middle of its body"
    RESET = "the connection is reset in the middle of the answer's body"
    UNHEARD = "the server carries the request out, and its answer is lost"


@dataclass
class FaultyProxy:
    """Passes requests on to ``port``, except for those that :meth:`fail` has planned."""

    port: int
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    """Method and path of every request that came, with the fault it met."""
    received: int = 0
    """Bytes of request bodies that came, whatever became of them."""
    _planned: list[tuple[Fault, str]] = field(default_factory=list)
    _due: tuple[int, Callable[[], None]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, fault: Fault, *, times: int = 1, request: str = "") -> None:
        """Let the next ``times`` requests fail whose "METHOD /path" matches ``request``."""
        with self._lock:
            self._planned += [(fault, request)] * times

    def heal(self) -> None:
        """Forget what was planned."""
        with self._lock:
            self._planned.clear()

    def take(self, line: str) -> Fault | None:
        """The fault for a request, if one is planned."""
        with self._lock:
            match = next((plan for plan in self._planned if re.search(plan[1], line)), None)
            if match:
                self._planned.remove(match)
            self.requests.append(f"{line} {match[0].name}" if match else line)
            return match[0] if match else None

    def after(self, received: int, call: Callable[[], None]) -> None:
        """Call once when that many bytes have come, before any more are taken."""
        self._due = received, call

    def came(self, count: int) -> None:
        """Count bytes of a request's body."""
        with self._lock:
            self.received += count
            if self._due and self.received >= self._due[0]:
                call, self._due = self._due[1], None
                call()


@contextmanager
def faulty_proxy(port: int, listen: int = 0) -> Iterator[FaultyProxy]:
    """A proxy to the server at ``port`` of this machine; ``listen``: its own port, 0 for any."""
    proxy = FaultyProxy(port)
    server = _Server(("127.0.0.1", listen), _Handler)
    server.proxy = proxy
    proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: FaultyProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are this proxy's trade; anything else is told."""
        if not isinstance(sys.exception(), OSError | http.client.HTTPException):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        proxy = cast(_Server, self.server).proxy
        fault = proxy.take(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length", 0))
        body = self._body(proxy, length // 2 if fault is Fault.CUT else length)
        if fault is Fault.CUT or len(body) < length:
            self._reset()
            return
        if fault and isinstance(fault.value, tuple):
            self._refuse(*fault.value)
            return
        status, headers, data = self._forward(proxy.port, body)
        if fault is Fault.UNHEARD:
            self._reset()
            return
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if fault is Fault.DAMAGED:
            data = data[:-1] + bytes([data[-1] ^ 1])
        broken = fault in (Fault.TRUNCATED, Fault.RESET)
        self.wfile.write(data[: len(data) // 2] if broken else data)
        self.close_connection = broken
        if fault is Fault.RESET:
            self._reset()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _body(self, proxy: FaultyProxy, length: int) -> bytes:
        """The request's first ``length`` bytes, or fewer where the client is gone."""
        body = bytearray()
        while len(body) < length and (chunk := self.rfile.read1(min(65536, length - len(body)))):
            body += chunk
            proxy.came(len(chunk))
        return bytes(body)

    def _refuse(self, status: int, code: str) -> None:
        xml = f"<Error><Code>{code}</Code><Message>planned</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Date", OLD_DATE)
        self.send_header("Content-Length", str(len(xml)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(xml)

    def _forward(self, port: int, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", port)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            data = answer.read()
        finally:
            upstream.close()
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() != "transfer-encoding"]
        if not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(data))))
        return answer.status, headers, data

    def _reset(self) -> None:
        with contextlib.suppress(OSError):  # The client may have been killed.
            self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
