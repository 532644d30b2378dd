"""Where to kill a training, and what a kill has hit, as far as the store and the log tell."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.forks import PATIENCE, Prepare
from wm.stage import StageSpec
from wm.store import Store
from wm.store.directory import DirectoryStore
from wm.store.s3 import S3Store

WHOLE = {"state.safetensors", "state.json", "manifest.json"}


@dataclass(frozen=True)
class Hold:
    """A place in an attempt's dealings with its store where it stands still, to be killed there."""

    key: str
    """Regular expression of the object's key."""
    call: str = "put"
    """``put`` or ``delete``: before it begins. ``sync``: within a put to a directory, where its
    bytes, or then its name, are about to be made safe."""
    nth: int = 0
    """Such calls that are let pass before."""


def hold(marker: Path, at: Hold) -> Prepare:
    """Let the attempt make the file ``marker`` at that place, and wait there for its end."""
    return partial(_hold, marker, at)


def _hold(marker: Path, at: Hold, rank: int) -> None:
    passed, writing = [0], [""]

    def come(call: str, key: str) -> None:
        if call != at.call or not re.search(at.key, key):
            return
        if passed[0] == at.nth:
            marker.touch()
            time.sleep(PATIENCE)
        passed[0] += 1

    def told(do: Callable[..., Any], name: str) -> Callable[..., Any]:
        def doing(store: Any, key: str, *args: Any, **options: Any) -> Any:
            come(name, key)
            writing[0] = key
            return do(store, key, *args, **options)

        return doing

    sync = os.fsync

    def syncing(descriptor: int) -> None:
        come("sync", writing[0])
        sync(descriptor)

    os.fsync = syncing
    for kind in (DirectoryStore, S3Store):
        for name in ("put", "delete"):
            setattr(kind, name, told(getattr(kind, name), name))


@dataclass
class Relay:
    """Between boto and an S3 server: stands still in the middle of an upload, where it is told to.

    The server has half of the object's bytes then, and gets no more of them.
    """

    port: int
    endpoint: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    """Set while an upload stands still; it ends with its client."""
    _key: str | None = None
    _passes: int = 0

    def hold(self, key: str | None, nth: int = 0) -> None:
        """Stop the next upload to a path that matches this regular expression, or a later one;
        None: none."""
        self.held.clear()
        self._key, self._passes = key, nth

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            answers = threading.Thread(target=_pump, args=(server, client), daemon=True)
            answers.start()
            with suppress(OSError):  # one of them was killed
                while (data := client.recv(1 << 16)) and not self._stops(data, client, server):
                    server.sendall(data)
            for side in (server, client):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            answers.join()

    def _stops(self, data: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Whether a request that begins with ``data`` is to be stopped; returns after its end."""
        line = re.match(rb"PUT (\S+) HTTP", data)
        if line is None or self._key is None or not re.search(self._key, line[1].decode()):
            return False
        if self._passes:
            self._passes -= 1
            return False
        self._key = None
        while b"\r\n\r\n" not in data:
            data += client.recv(1 << 16)
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length, head
        server.sendall(head + b"\r\n\r\n")
        while len(body) < int(length[1]) // 2:
            body += client.recv(1 << 16)
        server.sendall(body[: int(length[1]) // 2])
        self.held.set()
        while client.recv(1 << 16):
            pass
        return True


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A :class:`Relay` to the server at ``port`` of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Relay(port, f"http://127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            with suppress(OSError):  # the listener was closed
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=made._serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)


def checkpoints(store: Store) -> dict[str, set[str]]:
    """Folder of each checkpoint, whole or not -> names of its files."""
    found: dict[str, set[str]] = {}
    for entry in store.list("runs/"):
        folder, _, name = entry.key.rpartition("/")
        if "/checkpoints/" in folder:
            found.setdefault(folder, set()).add(name)
    return found


def step_of(folder: str) -> int:
    """Updates behind a checkpoint."""
    return int(folder.rpartition("-")[2])


def last_step(log: str) -> int:
    """The last update of which a log tells, 0 for none; needs log_every 1."""
    return max((int(step) for step in re.findall(r" step (\d+) of ", log)), default=0)


def what_was_hit(store: Store, spec: StageSpec, log: str) -> str:
    """What an attempt was doing when it was killed; needs log_every 1."""
    if model := [entry.key for entry in store.list("models/")]:
        carded = any(key.endswith("/model.json") for key in model)
        return "after the model" if carded else "in the model, before its card"
    done, found, config = last_step(log), checkpoints(store), spec.config
    whole = sorted((f for f, names in found.items() if names == WHOLE), key=step_of)
    mine = {
        f: n for f, n in found.items() if f.startswith(f"{spec.prefix}/") and step_of(f) == done
    }
    if done == 0:
        return "before the first step"
    if any("manifest.json" not in names for names in mine.values()):
        return "in a checkpoint, before its manifest"
    old = [f for f in found if mine and step_of(f) < done]
    if len(old) >= config["keep"]:
        damaged = len(whole) <= config["keep"]
        return (
            "in the deletion of an old one" if damaged else "after the manifest, before a deletion"
        )
    last = done == config["steps"]
    validated = log.rfind("held out") > log.rfind(f"step {done} of ")
    if (done % config["validate_every"] == 0 or last) and not validated:
        return "in a validation"
    if (done % config["checkpoint_every"] == 0 or last) and not mine:
        return "at a checkpoint, before its first file"
    return "in a step, or nothing else to be seen"
