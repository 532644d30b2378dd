"""Whether the kernel killed a process of this container for want of memory, and what was used.

The exit code alone hides it: the killed process may be a child whose parent ends by another code.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from wm.errors import Exit, WmError

OOM_KILLED = "OOMKilled"
"""The word that Kubernetes has for it."""

_HINTS = {
    "encode": "raise resources.memory, or lower workers or shard_mb",
    "train": "raise resources.memory, or lower batch or the size of the model",
    "arena": "raise resources.memory",
}


class OutOfMemory(WmError):
    """The kernel killed a process for want of memory (137)."""

    code = Exit.KILLED


class MemoryWatch:
    """Counts the kernel's out-of-memory kills in this process's control group from now on.

    Where there is no control group (not Linux, or hidden), none is ever seen.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._group = _group(root)
        self._before = self._count()

    def killed(self) -> bool:
        """Whether one happened since."""
        return self._count() > self._before

    def error(self, kind: str) -> OutOfMemory:
        """What to tell of it, for a stage of this kind."""
        limit = self._limit()
        at = f"at the container's limit of {limit / 1e9:.1f} GB" if limit else "by the kernel"
        return OutOfMemory(f"out of memory: a process was killed {at}", hint=_HINTS[kind])

    def _count(self) -> int:
        return max(oom_kills(self._read(name)) for name in ("memory.events", "memory.oom_control"))

    def _limit(self) -> int | None:
        names = ("memory.max", "memory.limit_in_bytes")
        return next(filter(None, (limit_bytes(self._read(name)) for name in names)), None)

    def _read(self, name: str) -> str:
        try:
            return (self._group / name).read_text() if self._group else ""
        except OSError:
            return ""


def oom_kills(text: str) -> int:
    """Kills that ``memory.events`` (v2) or ``memory.oom_control`` (v1) counts."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdecimal():
            return int(value)
    return 0


def limit_bytes(text: str) -> int | None:
    """The limit in ``memory.max`` (v2) or ``memory.limit_in_bytes`` (v1); None for no limit."""
    value = text.strip()
    no_limit = 1 << 62  # v1 writes the largest multiple of a page
    return int(value) if value.isdecimal() and int(value) < no_limit else None


def group_paths(text: str) -> list[str]:
    """From ``/proc/self/cgroup``: folders below ``/`` where this process's memory may be counted.

    A container sees its own group at the mount's root although the file may name the host's path.
    """
    found = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory" or "memory" in controllers.split(","):
            found += [f"sys/fs/cgroup/memory{path}", "sys/fs/cgroup/memory"]
        elif not controllers:
            found += [f"sys/fs/cgroup{path}", "sys/fs/cgroup"]
    return found


def peak_mb() -> float:
    """Largest resident memory of one process of the stage so far, in MB (10^6 bytes)."""
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kibibytes elsewhere
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(max(own, children) * (1.024 if unit == 1e3 else 1.0) / unit, 1)


def _group(root: Path) -> Path | None:
    try:
        paths = group_paths((root / "proc/self/cgroup").read_text())
    except OSError:
        return None
    names = ("memory.events", "memory.oom_control")
    return next((root / p for p in paths if any((root / p / n).exists() for n in names)), None)
