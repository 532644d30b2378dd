"""A real cluster, as the end-to-end tests use it: ``wmctl`` and ``kubectl`` as people call them.

``make e2e`` sets WM_E2E after it has deployed the dev overlay to the cluster of KUBECONFIG; without
it the tests are skipped. Any cluster will do. Faults of the node itself need its process ids:
WM_E2E_PIDS names a folder with the files ``kubelet``, ``kube-apiserver`` and so on.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from wm.store import Store, open_store
from wmctl.run.fold import read_state
from wmctl.run.history import Event, History
from wmctl.run.spec import read_spec
from wmctl.run.state import RunState

NAMESPACE = "wm"
BUCKET = "wm-dev"
NODE_PORT = 30833

LONG = ("--set", "stages.train.steps=4000", "--set", "stages.train.checkpoint_every=100")
"""A training of the small plan that lasts long enough to be hit in the middle."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cluster:
    """The namespace with the dev overlay, and a corner of its store for this session."""

    environment: dict[str, str]
    """For ``wmctl`` on this machine."""
    store: Store
    mark: str
    """Makes the names of this session's runs its own."""

    def wmctl(self, *words: str, timeout: float = 300, **environment: str) -> Done:
        """Run ``wmctl`` to its end."""
        command = [sys.executable, "-c", "from wmctl.cli import main; main()", *words]
        return _run(command, timeout, self.environment | environment)

    def submit(self, plan: str, name: str, *words: str, **environment: str) -> str:
        """Submit a plan under a name of its own; returns the run."""
        name = f"name={name}-{self.mark}"
        done = self.wmctl(
            "submit", plan, "--on", "kubernetes", "--set", name, *words, **environment
        )
        assert done.code == 0, done.out + done.err
        return done.out.split()[0]

    def events(self, run: str) -> list[Event]:
        """The run's history so far."""
        return History(self.store, run).events

    def state(self, run: str) -> RunState:
        """What the history says."""
        return read_state(read_spec(self.store, run), self.events(run))

    def codes(self, run: str, stage: str) -> list[int | None]:
        """Exit codes of the stage's attempts in order."""
        events = self.events(run)
        return [e.code for e in events if e.event == "ended" and e.stage == stage]

    def wait_until_finished(self, run: str, seconds: float = 300) -> RunState:
        """The state at the run's end."""
        wait_for(lambda: self.state(run).finished, seconds, lambda: self.wmctl("status", run).out)
        return self.state(run)

    def wait_for_step(self, run: str, stage: str, step: int, seconds: float = 120) -> None:
        """Until a training has made ``step`` updates, by its heartbeat."""

        def reached() -> bool:
            attempt = self.state(run).nodes[stage].attempt
            with contextlib.suppress(Exception):
                key = f"runs/{run}/{stage}/{attempt:02d}/heartbeat.json"
                return bool(json.loads(self.store.get(key))["done"] >= step)
            return False

        wait_for(reached, seconds, lambda: self.wmctl("status", run).out)

    def pods(self, run: str, stage: str = "") -> list[dict[str, Any]]:
        """Pods of the run, or of one of its stages."""
        labels = f"wm.dev/run={run}" + (f",wm.dev/stage={stage}" if stage else "")
        answer = kubectl("get", "pods", "-l", labels, "-o", "json")
        items: list[dict[str, Any]] = json.loads(answer)["items"]
        return items


def kubectl(*words: str, timeout: float = 120, check: bool = True) -> str:
    """What ``kubectl`` prints."""
    done = _run(["kubectl", "-n", NAMESPACE, *words], timeout, {})
    assert done.code == 0 or not check, done.out + done.err
    return done.out


def wait_for(
    look: Callable[[], Found], seconds: float, picture: Callable[[], str] = lambda: ""
) -> Found:
    """The first answer that is not false; the picture says what was there instead."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds:.0f} s\n{picture()}")


def shown(what: str, began: float) -> None:
    """Print how long it took until a person could see it."""
    print(f"[shown] {what}: {time.monotonic() - began:.0f} s")  # noqa: T201


@contextlib.contextmanager
def stopped(process: str) -> Iterator[None]:
    """A process of the control plane or node stands still meanwhile."""
    pid = int((Path(os.environ["WM_E2E_PIDS"]) / process).read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def store_stopped() -> Iterator[None]:
    """The dev store's process stands still meanwhile: connections are taken and not answered."""
    processes = Path("/proc").glob("[0-9]*/cmdline")
    [pid] = [int(p.parent.name) for p in processes if _command(p).startswith(b"weed\0mini")]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def connected(folder: Path, mark: str) -> Iterator[Cluster]:
    """The cluster, its store reached from here with the credentials that its pods have."""
    secret = json.loads(kubectl("get", "secret", "wm-store", "-o", "json"))["data"]
    credentials = folder / "credentials"
    credentials.write_bytes(b64decode(secret["credentials"]))
    config = json.loads(kubectl("get", "configmap", "wm-store", "-o", "json"))["data"]
    with _endpoint() as endpoint:
        environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": config.get("AWS_DEFAULT_REGION", "us-east-1"),
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "WM_STORE": f"s3://{BUCKET}/e2e-{mark}",
        }
        os.environ.update(environment)
        yield Cluster(environment, open_store(environment["WM_STORE"]), mark)


@contextlib.contextmanager
def _endpoint() -> Iterator[str]:
    """The store's address from here: the node's port, or else one that kubectl forwards."""
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")
    try:
        socket.create_connection((node, NODE_PORT), timeout=2).close()
    except OSError:
        pass
    else:
        yield f"http://{node}:{NODE_PORT}"
        return
    forward = subprocess.Popen(
        ["kubectl", "-n", NAMESPACE, "port-forward", "service/wm-store", ":8333"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert forward.stdout is not None
        port = forward.stdout.readline().split(" -> ")[0].rpartition(":")[2]
        yield f"http://127.0.0.1:{port}"
    finally:
        forward.kill()
        forward.wait()


def _command(path: Path) -> bytes:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        return path.read_bytes()
    return b""


def _run(command: list[str], timeout: float, environment: dict[str, str]) -> Done:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=os.environ | environment
    )
    return Done(done.returncode, done.stdout, done.stderr)
