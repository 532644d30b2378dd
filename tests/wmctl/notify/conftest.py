"""A real web server that answers as a test says, and a run whose events are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from wm.store import Store, open_store
from wmctl.notify import Notifier, Webhook
from wmctl.run.history import Event, History
from wmctl.run.spec import RunSpec

RUN = "demo-1122-k3f9"
SPEC = RunSpec.model_construct(run=RUN)
SECRET = "T0SECRET"
PATH = f"/services/{SECRET}/hook?key={SECRET}"


class Site(ThreadingHTTPServer):
    """Answers with what is first in ``answers``, else with ``always``.

    An answer is a status, a status with headers, ``hang``, ``close`` or ``odd`` (a broken header).
    """

    daemon_threads, block_on_close = True, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}{PATH}"
        self.answers: list[Any] = []
        self.always: Any = 200
        self.requests: list[tuple[str, Message, bytes]] = []
        self.over = threading.Event()
        self.came = threading.Condition()

    def wait(self, count: int) -> list[str]:
        """Bodies of the requests, once there are so many."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, 10), self.requests
        return [body.decode() for _, _, body in self.requests]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.came:
            self.server.requests.append((self.path, self.headers, body))
            self.server.came.notify_all()
            answers = self.server.answers
            answer = answers.pop(0) if answers else self.server.always
        if answer == "hang":
            self.server.over.wait(10)
        elif answer == "odd":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n")
        elif answer != "close":
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


class Run:
    """Events as a conductor writes and tells them; pauses are noted down and take no time."""

    def __init__(self, store: Store, url: str, form: str = "plain") -> None:
        self.store, self.url, self.form = store, url, form
        self.history = History(store, RUN)
        self.pauses: list[float] = []
        self.slowest: list[float] = []
        """Seconds that each tell took."""

    def notifier(self, store: Store | None = None, link: Any = "", **options: Any) -> Notifier:
        options = {"sleep": self._sleep} | options
        return Notifier(store or self.store, SPEC, Webhook(self.url, self.form), link, **options)

    def happen(self, notifier: Notifier | None, kind: str, **fields: Any) -> Event:
        event = self.history.append(kind, **fields)  # type: ignore[arg-type]
        if notifier:
            before = time.perf_counter()
            notifier.tell(event)
            self.slowest.append(time.perf_counter() - before)
        return event

    def gates(self, notifier: Notifier | None, *names: str) -> None:
        """People are told of each; between them happens what they are not told."""
        for name in names:
            self.happen(notifier, "started", stage=name, attempt=1)
            self.happen(notifier, "gate", name=name, outcome="pass", text=name)

    def _sleep(self, bell: threading.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        time.sleep(0)


@pytest.fixture
def run(store: Store, site: Site) -> Run:
    return Run(store, site.url)


def said(*names: str) -> list[str]:
    """Bodies of the messages for gates of these names."""
    return [f"{RUN}: gate {name}" for name in names]
