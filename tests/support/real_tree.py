"""Blows to the whole tree of `python -m trainer`: parent, torchrun and workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.support.blows import last_step
from tests.support.rough import Rough, Tally
from wm.errors import Exit
from wm.stage import StageSpec
from wm.stage.parent import PARENT

EARLY = 5.0
"""Seconds from the start of an attempt within which one random moment in five lies."""
WINDOW = 3.0
"""Seconds from the first step of an attempt within which the others lie."""


def disturb_for_real(t: Rough, kills: int, tally: Tally) -> None:
    """Deal blows to the processes of `python -m trainer`, and let it end."""
    t.folder.mkdir()
    dealt = 0
    while dealt < kills and not t.model(t.store):
        spec, path = t.spec(), t.folder / f"real-{t.number}.txt"
        how = tally.draw.choice(["the parent", "node loss", "node loss", "a worker", "SIGTERM"])
        hit = ""
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trainer", "--spec", address := _address(t, spec)],
                stdout=log,
                stderr=log,
                env=os.environ | {PARENT: str(os.getpid())},
            )
        seconds = tally.draw.uniform(0, EARLY)
        if tally.draw.random() > 0.2:
            while process.poll() is None and not last_step(path.read_text()):
                time.sleep(0.02)
            seconds = tally.draw.uniform(0, WINDOW)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            hit = _strike(process, address, how)
            dealt += 1
        code = process.wait()
        _see_them_gone(address)
        text = path.read_text()
        wanted = {"": Exit.OK, "SIGTERM": Exit.PREEMPTED, "a worker": Exit.KILLED}
        assert code in (Exit.OK, wanted.get(hit, -signal.SIGKILL)), (code, hit, text)
        t.check(text)
        if hit == "SIGTERM" and last_step(text):
            t.saved = True
            tally.fresh["saved and left", "real: SIGTERM"] += 1
        elif hit:
            tally.note(t, text, f"real: {hit}")
    t.finish()


def _strike(process: subprocess.Popen[bytes], address: str, how: str) -> str:
    """Kill as ``how`` says; how it was done in the end, as there may be no worker yet."""
    members = _members(address)
    if how == "a worker" and len(members) < 3:
        how = "the parent"
    if how == "SIGTERM":
        process.terminate()
        return how
    for member in {"the parent": [process.pid], "a worker": members[-1:]}.get(how, members):
        with suppress(ProcessLookupError):  # a member that ends with another
            os.kill(member, signal.SIGKILL)
    return how


def _see_them_gone(address: str) -> None:
    deadline = time.monotonic() + 20
    while members := _members(address):
        assert time.monotonic() < deadline, f"{members} outlive their parent"
        time.sleep(0.02)


def _address(t: Rough, spec: StageSpec) -> str:
    return f"{t.store.url}/{spec.prefix}/spec.json"


def _members(address: str) -> list[int]:
    """Parent, torchrun and workers of an attempt, in order of their start."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if address.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return sorted(found)
