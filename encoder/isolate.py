"""Run a reader in worker processes that may crash, hang or be killed without harm to the rest.

multiprocessing.Pool would wait for ever for a worker that dies, and an executor breaks as a whole.
Here every worker has a pipe and a thread of its own that waits for its answer with a time limit;
a worker that fails is killed and replaced, and its one request is answered by a :class:`Rejected`.
"""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import queue
import resource
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from wm.errors import BadConfig
from wm.games.game import Reason, Rejected

Reader = Callable[[bytes], bytes]
"""Runs in a worker: one request in, one answer out. May raise Rejected, panic, hang or die."""

T = TypeVar("T")

MEMORY = 4 << 30
"""Bytes of memory a worker may allocate: a compression bomb must not take the pod with it."""

_GRACE = 5
"""Seconds after its time limit at which a worker ends itself, should nobody be left to kill it."""

_LARGEST_ANSWER = 1 << 30
_TAIL = 400
_OK, _REJECTED, _BROKEN = b"+", b"-", b"!"


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
    ) -> Iterator[tuple[T, list[bytes | Rejected]]]:
        """``work(item, ask)`` for every item, in threads, results in the order of the items.

        ``ask(request)`` returns a worker's answer or raises :class:`Rejected`. At most four items
        per worker are under way, so memory does not depend on how many there are.
        """
        window: deque[tuple[T, Future[list[bytes | Rejected]]]] = deque()
        for item in items:
            window.append((item, self._threads.submit(self._one, work, item)))
            if len(window) >= self._window:
                done, future = window.popleft()
                yield done, future.result()
        while window:
            done, future = window.popleft()
            yield done, future.result()

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

    _context = multiprocessing.get_context("spawn")
    _starting = threading.Lock()

    def __init__(self, reader: Reader, timeout: float, stderr: Path) -> None:
        self._reader = reader
        self._timeout = timeout
        self._stderr = stderr
        self._pipe: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._closed = False

    def ask(self, request: bytes) -> bytes:
        """The reader's answer; a worker killed from outside gets a second chance, as the kernel
        may have chosen it for what others did."""
        try:
            return self._ask(request)
        except _Died as death:
            if death.signal != signal.SIGKILL:
                raise death.verdict() from death
        try:
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
        if kind == _OK:
            return body
        reason, detail = json.loads(body)
        if kind == _BROKEN:
            raise BadConfig(
                f"a reader cannot work here: {detail}", hint="install the extra wmctl[encoder]"
            )
        raise Rejected(Reason(reason), detail)

    def _start(self) -> Connection:
        with self._starting:  # of processes, from many threads, one at a time
            if self._closed:
                raise _Died(signal.SIGTERM, "")
            self._pipe, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_serve,
                args=(theirs, self._reader, self._timeout, str(self._stderr)),
                daemon=True,
            )
            process.start()
            self._process = process
            theirs.close()
        return self._pipe

    def _kill(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()

    def _bury(self) -> _Died:
        process = self._process
        if process is not None:
            process.join(_GRACE)
        code = process.exitcode if process is not None else None
        self._kill()
        said = self._stderr.read_text(errors="replace")[-_TAIL:] if self._stderr.exists() else ""
        return _Died(-code if code is not None and code < 0 else 0, said)


class _Died(Exception):
    """A worker ended without an answer."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(number, said)
        self.signal = number
        self.said = said

    def verdict(self) -> Rejected:
        """What this means for the input that it was reading."""
        if self.signal == signal.SIGKILL:
            return Rejected(Reason.UNREADABLE, "its reader was killed twice (out of memory?)")
        if self.signal == signal.SIGALRM:
            return Rejected(Reason.TIMEOUT, "no answer in time")
        how = f"signal {signal.Signals(self.signal).name}" if self.signal else "an early exit"
        last = self.said.strip().rpartition("\n")[2]
        return Rejected(Reason.PARSER_PANIC, f"its reader ended by {how}: {last}".rstrip(": "))


def _serve(pipe: Connection, reader: Reader, timeout: float, stderr: str) -> None:
    """The life of a worker: it ends when the pipe does."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: the parent decides
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log = os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 2)
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = pipe.recv_bytes()
            os.ftruncate(log, 0)
            os.lseek(log, 0, os.SEEK_SET)
            # The kernel's alarm needs neither a parent nor the interpreter's lock.
            signal.alarm(math.ceil(timeout) + _GRACE)
            answer = _answer(reader, request)
            signal.alarm(0)
            pipe.send_bytes(answer)


def _answer(reader: Reader, request: bytes) -> bytes:
    try:
        return _OK + reader(request)
    except Rejected as rejected:
        return _REJECTED + json.dumps([rejected.reason, rejected.detail]).encode()
    except ImportError as error:
        return _BROKEN + json.dumps(["", str(error)]).encode()
    except MemoryError:
        reason, detail = Reason.UNREADABLE, f"needs more than {MEMORY >> 30} GiB to read"
    except Exception as error:  # noqa: BLE001  # whatever a reader trips over costs one input
        reason, detail = Reason.UNREADABLE, f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001  # Rust panics are no Exception
        reason, detail = Reason.PARSER_PANIC, f"{type(error).__name__}: {error}"
    return _REJECTED + json.dumps([reason, detail[:_TAIL]]).encode()
