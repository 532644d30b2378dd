"""Clearing a finished run away from its cluster. The store keeps everything that it made."""

from __future__ import annotations

import time
from collections.abc import Iterator

from wm.errors import BadConfig
from wmctl.launch.kubernetes.api import Api, Body
from wmctl.launch.kubernetes.errors import NotServed
from wmctl.launch.kubernetes.kinds import CONFIGMAPS, JOBS, PODS, PYTORCHJOBS, Kind
from wmctl.launch.kubernetes.names import owner_name

OURS = "app.kubernetes.io/managed-by=wmctl"
KINDS = (CONFIGMAPS, JOBS, PYTORCHJOBS, PODS)
"""Where objects of a run are looked for."""
GONE_WITHIN = 180.0
"""Seconds that pods may take to end and objects to go."""


def runs_on(api: Api) -> dict[str, int]:
    """Run -> objects that the namespace holds of it."""
    counts: dict[str, int] = {}
    for _, body in _objects(api, f"{OURS},wm.dev/run"):
        run = body["metadata"]["labels"]["wm.dev/run"]
        counts[run] = counts.get(run, 0) + 1
    return counts


def clear(api: Api, run: str) -> int:
    """Delete everything of a run, its owner first; returns how many objects there were.

    Objects that lost their owner, or never had one, are found by their label.
    """
    label = f"wm.dev/run={run}"
    found = len(list(_objects(api, label)))
    api.delete(CONFIGMAPS, owner_name(run), propagation="Foreground")
    until = time.monotonic() + GONE_WITHIN
    while left := list(_objects(api, label)):
        if time.monotonic() > until:
            names = ", ".join(body["metadata"]["name"] for _, body in left)
            raise BadConfig(
                f"still there after {GONE_WITHIN:.0f} s: {names}",
                hint=f"a node that is away cannot say that its pods have ended: kubectl describe "
                f"pod -l {label}",
            )
        for kind, body in left:
            if kind is not PODS and "deletionTimestamp" not in body["metadata"]:
                api.delete(kind, body["metadata"]["name"])
        time.sleep(0.5)
    return found


def _objects(api: Api, labels: str) -> Iterator[tuple[Kind, Body]]:
    for kind in KINDS:
        try:
            items, _ = api.list(kind, labels)
        except NotServed:
            continue  # a cluster without the training operator has no PyTorchJobs
        yield from ((kind, body) for body in items)
