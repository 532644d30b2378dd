"""What the objects of a run are called and how they are labelled."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from wm.errors import BadConfig
from wm.stage.spec import Kind

Part = Literal["encoder", "trainer", "evaluator", "conductor"]
"""What runs in a pod: names its image, service account and container."""

PARTS: dict[Kind, Part] = {"encode": "encoder", "train": "trainer", "arena": "evaluator"}

LONGEST = 52
"""A name leaves room for what controllers append: ``-worker-99``, ``-99-x7k2p``."""

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def object_name(run: str, stage: str, attempt: int) -> str:
    """``demo-1122-k3f9-train-chess-01``: the same for the same attempt, always.

    A name that would be too long loses its end to a hash of all of it; the attempt stays.
    """
    return _fitted(f"{run}-{stage}", f"-{attempt:02d}")


def conductor_name(run: str) -> str:
    """Name of the run's conductor; no stage's, whose names end in a number."""
    return _fitted(run, "-conductor")


def owner_name(run: str) -> str:
    """Name of the object that owns every other object of the run."""
    return check_name(f"wm-{run}")


def run_labels(run: str, part: str, component: str, version: str) -> dict[str, str]:
    """Labels of every object of a run. ``wm.dev/run`` is what finds them."""
    return {
        "app.kubernetes.io/name": part,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "wm",
        "app.kubernetes.io/instance": run,
        "app.kubernetes.io/managed-by": "wmctl",
        "app.kubernetes.io/version": _label_value(version),
        "wm.dev/run": run,
    }


def labels(run: str, stage: str, attempt: int, kind: Kind, version: str) -> dict[str, str]:
    """Labels of an attempt's job and of its pods."""
    return run_labels(run, PARTS[kind], kind, version) | {
        "wm.dev/stage": stage,
        "wm.dev/attempt": str(attempt),
    }


def check_name(name: str) -> str:
    """The name itself; raises :class:`BadConfig` unless it is an RFC 1035 label."""
    if not _LABEL.fullmatch(name):
        raise BadConfig(
            f"{name!r} cannot name an object on a cluster",
            hint="small letters, digits and -, first a letter, last no -, at most 63 in all",
        )
    return name


def _fitted(head: str, tail: str) -> str:
    if len(head) + len(tail) > LONGEST:
        digest = hashlib.sha256(head.encode()).hexdigest()[:8]
        head = head[: LONGEST - len(tail) - 9].rstrip("-") + "-" + digest
    return check_name(head + tail)


def _label_value(text: str) -> str:
    """``1.4.0.dev1+g3e9d`` holds a sign that labels must not."""
    return re.sub(r"[^-.\w]", "-", text, flags=re.ASCII)[:63].strip("-._")
