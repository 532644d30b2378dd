"""The process that runs a reader: ``python -m encoder.worker FD TIMEOUT``, see ``isolate``."""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from wm.games.game import Reason, Rejected

Reader = Callable[[bytes], bytes]
"""One request in, one answer out. May raise Rejected, panic, hang or die."""

MEMORY = 4 << 30
"""Bytes of memory a worker may allocate: a compression bomb must not take the pod with it."""

GRACE = 5
"""Seconds after its time limit at which a worker ends itself, should nobody be left to kill it."""

OK, REJECTED, BROKEN = b"+", b"-", b"!"
"""First byte of an answer: the reader's own; a reason and detail; the reader cannot work here."""

READY = b"ready"
"""Sent once, before the first request."""

STDERR = 2
TAIL = 400
"""Longest detail, characters."""


def serve(pipe: Connection, timeout: float) -> None:
    """Receive the reader, then answer requests until the pipe ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: the parent decides
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(EOFError, OSError):
        reader: Reader = pipe.recv()
        pipe.send_bytes(READY)
        while True:
            request = pipe.recv_bytes()
            os.ftruncate(STDERR, 0)
            # The kernel's alarm needs neither a parent nor the interpreter's lock.
            signal.alarm(math.ceil(timeout) + GRACE)
            answer = _answer(reader, request)
            signal.alarm(0)
            pipe.send_bytes(answer)


def _answer(reader: Reader, request: bytes) -> bytes:
    try:
        return OK + reader(request)
    except Rejected as rejected:
        return REJECTED + json.dumps([rejected.reason, rejected.detail]).encode()
    except ImportError as error:
        return BROKEN + json.dumps(["", str(error)]).encode()
    except MemoryError:
        reason, detail = Reason.UNREADABLE, f"needs more than {MEMORY >> 30} GiB to read"
    except Exception as error:  # noqa: BLE001  # whatever a reader trips over costs one input
        reason, detail = Reason.UNREADABLE, f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001  # Rust panics are no Exception
        reason, detail = Reason.PARSER_PANIC, f"{type(error).__name__}: {error}"
    return REJECTED + json.dumps([reason, detail[:TAIL]]).encode()


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), float(sys.argv[2]))
