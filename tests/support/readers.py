"""Readers that misbehave, for workers to run: they must be importable, as product readers are."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import numpy as np

from encoder.batch import pack_games
from encoder.read import GameReader
from wm.games.game import Game, Reason, Rejected
from wm.games.melee.schema import FRAME


class PanicException(BaseException):
    """As pyo3 raises it: no Exception."""


def misbehave(request: bytes) -> bytes:
    """Does what the request says, else echoes it."""
    if request == b"panic":
        raise PanicException("called `Option::unwrap()` on a `None` value")
    if request == b"abort":
        os.write(2, b"thread panicked\nfatal runtime error\n")
        os.abort()
    if request == b"exit":
        os._exit(3)
    if request == b"hang":
        time.sleep(600)
    if request == b"killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if request == b"bomb":
        bytearray(6 << 30)
    if request == b"trip":
        raise KeyError("stage")
    if request == b"reject":
        raise Rejected(Reason.TOO_SHORT, "3 frames")
    if request == b"no library":
        raise ImportError("No module named 'peppi_py'")
    return request


def killed_once(request: bytes) -> bytes:
    """Dies of SIGKILL the first time; the request is the path of a mark."""
    mark = request.decode()
    if not os.path.exists(mark):  # noqa: PTH110
        open(mark, "w").close()  # noqa: PTH123
        os.kill(os.getpid(), signal.SIGKILL)
    return b"read"


@dataclass(frozen=True)
class BadReplays:
    """The ordinary reader, but for replays whose names say otherwise."""

    reader: GameReader

    def __call__(self, request: bytes) -> bytes:
        if b"garbage.slp" in request:
            return b"not a batch"
        if b"infinite.slp" in request:
            frames = np.zeros(200, FRAME)
            frames["f32"][7] = np.inf
            facts = dict.fromkeys(("stage", "character0", "character1", "port0", "port1"), 1)
            game = Game("ab" * 16, {"frames": frames}, facts | {"version": 31600})
            return pack_games("melee", [game])
        for name in (b"panic", b"abort", b"killed", b"hang"):
            if name + b".slp" in request:
                misbehave(name)
        return self.reader(request)


@dataclass(frozen=True)
class BadGame:
    """The ordinary reader, but dies of any piece that holds ``poison``."""

    reader: GameReader
    poison: bytes

    def __call__(self, request: bytes) -> bytes:
        if self.poison in request:
            os.abort()
        return self.reader(request)
