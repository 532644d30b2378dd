"""Errors that people see, and the exit codes that machines read.

Every stage process ends with one of :class:`Exit` (or 128 + N for an uncaught signal N). An error
that a person can act on is a :class:`WmError`: one sentence that names the thing, one hint that
names the way out, and the exit code. Anything else that escapes a stage is a bug and ends in 70.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class Exit(IntEnum):
    """The exit-code contract. 64-75 are permanent, 128 and above may be tried again."""

    OK = 0
    BAD_CONFIG = 64
    BAD_DATA = 65
    INPUT_MISSING = 66
    STORE_UNREACHABLE = 69
    BUG = 70
    ATTEMPTS_EXHAUSTED = 75
    KILLED = 137
    PREEMPTED = 143
    HANG = 160
    DEVICE_FAULT = 161


EXPLANATIONS: dict[int, str] = {
    Exit.OK: "done",
    Exit.BAD_CONFIG: "the configuration is wrong; correct the plan and submit again",
    Exit.BAD_DATA: "the data cannot be used; see rejects.jsonl or the message for the reasons",
    Exit.INPUT_MISSING: "an input does not exist; check its path or key",
    Exit.STORE_UNREACHABLE: "the store could not be read or written; check its address, "
    "credentials and free space, then submit again",
    Exit.BUG: "an internal error; the traceback is in the stage's log, please report it",
    Exit.ATTEMPTS_EXHAUSTED: "every allowed attempt failed; see the log of the last one",
    Exit.KILLED: "killed, most often for want of memory; lower the batch or raise the memory",
    Exit.PREEMPTED: "stopped from outside after saving its state; submit again to go on",
    Exit.HANG: "no progress within the stall time-out; a new attempt goes on from its state",
    Exit.DEVICE_FAULT: "the accelerator failed; a new attempt goes on from the last checkpoint",
}


def explain(code: int) -> str:
    """One sentence for an exit code, with the way out."""
    if code in EXPLANATIONS:
        return EXPLANATIONS[code]
    if code > 128:
        return f"ended by signal {code - 128}; submit again to go on from its last state"
    return "ended with an exit code outside the contract; see the stage's log"


def retryable(code: int) -> bool:
    """Whether a new attempt may succeed where one ended with ``code``."""
    return code >= 128


class WmError(Exception):
    """What went wrong, the way out, and the exit code.

    ``message`` is one clear sentence that names the thing; ``hint`` says what to do about it.
    """

    code: int = Exit.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadConfig(WmError):
    """A plan, spec or setting is wrong (64)."""

    code = Exit.BAD_CONFIG


class BadData(WmError):
    """Data is damaged, of the wrong shape, or empty (65)."""

    code = Exit.BAD_DATA


class InputMissing(WmError):
    """A named input does not exist (66)."""

    code = Exit.INPUT_MISSING


class StoreUnreachable(WmError):
    """The store could not be read or written after retries (69)."""

    code = Exit.STORE_UNREACHABLE


class Preempted(WmError):
    """Stopped from outside; the state is saved (143)."""

    code = Exit.PREEMPTED


class Hang(WmError):
    """No progress within the stall time-out (160)."""

    code = Exit.HANG


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong: ``key: what is wrong with it``."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
