"""Where a run's conductor is, asked of the cluster: the one thing that the store cannot say."""

from __future__ import annotations

import time

from wm.errors import WmError
from wm.store import Store
from wm.store.lease import read_lease
from wmctl.launch.base import Observation, StageJob, Step
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.diagnose import observe
from wmctl.launch.kubernetes.kinds import JOBS, PODS
from wmctl.launch.kubernetes.names import conductor_name
from wmctl.launch.kubernetes.platform import read_platform

START_DEADLINE = 1e9
"""Nothing ends a conductor that waits; it is shown for as long as it does."""


def find_conductor(store: Store, run: str) -> Observation | None:
    """What holds up the conductor of a run on a cluster; None while it holds the run's lease."""
    lease = read_lease(store, f"runs/{run}/lease.json")
    if lease and not lease.is_free(time.time()):
        return None
    platform = read_platform(store, run)
    job = StageJob(run=run, stage="conductor", attempt=1, kind="arena", spec="")
    try:
        api = Api.connect(platform.namespace)
        name = conductor_name(run)
        body = api.get(JOBS, name)
        pods, _ = api.list(PODS, f"wm.dev/run={run},app.kubernetes.io/component=conductor")
        pods = sorted(pods, key=lambda p: p["metadata"]["creationTimestamp"])[-1:]
        events = [e for n in (name, *(p["metadata"]["name"] for p in pods)) for e in api.events(n)]
    except WmError as error:
        step = Step(name="submitted", state="waiting", text=error.message, advice=error.hint)
        return Observation(job=job, phase="waiting", steps=[step])
    if body is None:
        advice = "submit the plan again"
        step = Step(name="submitted", state="failed", text=f"there is no job {name}", advice=advice)
        return Observation(job=job, phase="ended", steps=[step])
    return observe(job, body, pods, events, time.time(), START_DEADLINE)
