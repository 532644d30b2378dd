"""From a run to the objects that a cluster is asked for: pure functions, plain dicts."""

from __future__ import annotations

from typing import Any

from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.arena import render_arena
from wmctl.launch.kubernetes.render.conductor import render_conductor
from wmctl.launch.kubernetes.render.encode import render_encode
from wmctl.launch.kubernetes.render.meta import sealed
from wmctl.launch.kubernetes.render.owner import render_owner
from wmctl.launch.kubernetes.render.train import render_train

__all__ = ["render", "render_conductor", "render_owner"]

_KINDS = {"encode": render_encode, "train": render_train, "arena": render_arena}


def render(
    job: StageJob,
    platform: Platform,
    owner_uid: str | None,
    *,
    active_deadline_s: int | None = None,
) -> dict[str, Any]:
    """The object that is one attempt of a stage.

    ``owner_uid`` is the uid of the run's owner object, None before there is one.
    ``active_deadline_s`` lets the cluster itself end the attempt that many seconds after it took
    it up, waiting included: a second guard. Raises :class:`wm.errors.BadConfig` for what no
    cluster would take.
    """
    return sealed(_KINDS[job.kind](job, platform, owner_uid, active_deadline_s))
