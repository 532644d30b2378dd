"""Run a reader in worker processes that may crash, hang or be killed without harm to the rest.

multiprocessing.Pool would wait for ever for a worker that dies, and an executor breaks as a whole.
Here every worker has a pipe and a thread of its own that waits for its answer with a time limit;
a worker that fails is killed and replaced, and its one request is answered by a :class:`Rejected`.

The exception is a SIGKILL that is not ours, which on a cluster means that memory ran out. That says
something about the machine, not about the input: a data set must not depend on how much memory its
encoder was given, so such an input is read once more, alone among those that need it, and if the
kernel kills its reader again the whole stage ends as :class:`OutOfMemory`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from encoder.worker import BROKEN, GRACE, OK, READY, TAIL, Reader
from wm.errors import BadConfig
from wm.games.game import Reason, Rejected
from wm.stage.memory import OutOfMemory

T = TypeVar("T")

_LARGEST_ANSWER = 1 << 30
_START = 120.0


class Isolated:
    """``workers`` processes that each run ``reader``; a context manager."""

    def __init__(self, reader: Reader, workers: int, timeout: float, scratch: Path) -> None:
        """``timeout`` in seconds for each request; ``scratch`` holds what workers say on stderr."""
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._window = 4 * workers
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [
            _Worker(reader, timeout, scratch / f"worker-{number}.txt") for number in range(workers)
        ]
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.stop()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def map(
        self,
        work: Callable[[T, Callable[[bytes], bytes]], list[bytes | Rejected]],
        items: Iterable[T],
        elsewhere: Callable[[T], Callable[[], list[bytes | Rejected]] | None] = lambda item: None,
    ) -> Iterator[tuple[T, list[bytes | Rejected]]]:
        """``work(item, ask)`` for every item, in threads, results in the order of the items.

        ``ask(request)`` returns a worker's answer or raises :class:`Rejected`. For an item that is
        worked on ``elsewhere`` that gives a function, which is called when its turn comes. At most
        four items per worker are under way, so memory does not depend on how many there are.
        """
        window: deque[tuple[T, Callable[[], list[bytes | Rejected]], bool]] = deque()
        under_way = 0
        for item in items:
            fetch = elsewhere(item)
            ours = fetch is None
            wait = fetch or self._threads.submit(self._one, work, item).result
            window.append((item, wait, ours))
            under_way += ours
            while under_way >= self._window:
                done, wait, ours = window.popleft()
                under_way -= ours
                yield done, wait()
        while window:
            done, wait, _ = window.popleft()
            yield done, wait()

    def _one(
        self, work: Callable[[T, Callable[[bytes], bytes]], list[bytes | Rejected]], item: T
    ) -> list[bytes | Rejected]:
        worker = self._idle.get()
        try:
            return work(item, worker.ask)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process, started when first needed and again whenever it fails."""

    _starting = threading.Lock()
    _second_try = threading.Lock()

    def __init__(self, reader: Reader, timeout: float, stderr: Path) -> None:
        self._reader = reader
        self._timeout = timeout
        self._stderr = stderr
        self._pipe: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def ask(self, request: bytes) -> bytes:
        """The reader's answer; a worker killed from outside gets a second chance, as the kernel
        may have chosen it for what others did. Raises Rejected, or OutOfMemory."""
        try:
            return self._ask(request)
        except _Died as death:
            if death.signal != signal.SIGKILL:
                raise death.verdict() from death
        try:
            with self._second_try:
                return self._ask(request)
        except _Died as death:
            raise death.verdict() from death

    def stop(self) -> None:
        """Kill the process, so that a request under way fails at once."""
        with self._starting:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Let go of everything; no request may be under way."""
        self._kill()

    def _ask(self, request: bytes) -> bytes:
        pipe = self._pipe or self._start()
        try:
            pipe.send_bytes(request)
            if not pipe.poll(self._timeout):
                self._kill()
                raise Rejected(Reason.TIMEOUT, f"no answer within {self._timeout:g} s")
            answer = pipe.recv_bytes(_LARGEST_ANSWER)
        except (EOFError, OSError) as error:
            raise self._bury() from error
        kind, body = answer[:1], answer[1:]
        if kind == OK:
            return body
        reason, detail = json.loads(body)
        if kind == BROKEN:
            raise BadConfig(
                f"a reader cannot work here: {detail}", hint="install the extra wmctl[encoder]"
            )
        raise Rejected(Reason(reason), detail)

    def _start(self) -> Connection:
        with self._starting:  # of processes, from many threads, one at a time
            if self._closed:
                raise _Died(signal.SIGTERM, "")
            self._pipe, theirs = Pipe()
            arguments = [str(theirs.fileno()), str(self._timeout)]
            # Its own command, as multiprocessing's start would run __main__ again and leave a
            # tracker process behind that holds this process's stderr open.
            with theirs, self._stderr.open("ab") as stderr:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "encoder.worker", *arguments],
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                )
        return self._ready(self._pipe)

    def _ready(self, pipe: Connection) -> Connection:
        """Nothing that goes wrong before the first request is the fault of an input."""
        try:
            pipe.send(self._reader)
            if pipe.poll(_START) and pipe.recv_bytes() == READY:
                return pipe
        except (EOFError, OSError):
            pass
        death = self._bury()
        if death.signal == signal.SIGKILL:
            raise death
        raise RuntimeError(f"a reader's process did not start: {death.said}")

    def _kill(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.wait()
        if pipe is not None:
            pipe.close()

    def _bury(self) -> _Died:
        code = 0
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(GRACE)
        self._kill()
        said = self._stderr.read_text(errors="replace")[-TAIL:] if self._stderr.exists() else ""
        return _Died(max(-code, 0), said)


class _Died(Exception):
    """A worker ended without an answer."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(number, said)
        self.signal = number
        self.said = said

    def verdict(self) -> Rejected | OutOfMemory:
        """What this means for the input that it was reading, or for the stage."""
        if self.signal == signal.SIGKILL:
            return OutOfMemory(
                "out of memory: a reader was killed twice over the same input",
                hint="give the stage more memory, or fewer workers",
            )
        if self.signal == signal.SIGALRM:
            return Rejected(Reason.TIMEOUT, "no answer in time")
        how = f"signal {signal.Signals(self.signal).name}" if self.signal else "an early exit"
        last = self.said.strip().rpartition("\n")[2]
        return Rejected(Reason.PARSER_PANIC, f"its reader ended by {how}: {last}".rstrip(": "))
