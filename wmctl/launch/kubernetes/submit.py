"""A run handed to a cluster: what it will be given there, and the two objects that set it off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wm.errors import BadConfig
from wm.stage.spec import attempt_prefix
from wm.store import Store
from wm.store.lease import Lease, Owner
from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.fit import could_fit
from wmctl.launch.kubernetes.kinds import CONFIGMAPS, JOBS, NODES, PYTORCHJOBS
from wmctl.launch.kubernetes.names import conductor_name, owner_name
from wmctl.launch.kubernetes.platform import Platform, load_images, write_platform
from wmctl.launch.kubernetes.render import render, render_conductor, render_owner
from wmctl.launch.kubernetes.workload import is_over
from wmctl.launch.profiles import Profile
from wmctl.plan.model import Plan
from wmctl.plan.node import Node
from wmctl.run.conductor import LEASE_TTL
from wmctl.run.fold import read_state
from wmctl.run.history import EventKind, History
from wmctl.run.spec import RunSpec
from wmctl.run.terms import Terms

REACHABLE = ("made:", "raw:", "s3://")
"""Beginnings of sources that a pod can read."""
SOON = 60.0
"""Seconds that an earlier conductor may take to end, and its Job to go."""

Body = dict[str, Any]


def make_platform(
    store: Store,
    plan: Plan,
    nodes: Sequence[Node],
    *,
    namespace: str,
    images: Path,
    profiles: Mapping[str, Profile],
    queue: str | None,
) -> Platform:
    """What the run needs to know of its cluster; BadConfig or InputMissing for what it lacks."""
    for name, data in plan.data.items():
        if not data.source.startswith(REACHABLE):
            raise BadConfig(
                f"data {name}: pods cannot read {data.source}",
                hint=f"upload it: wmctl data push {data.source} {data.game}/{name}, then "
                f"--data {name}=raw:{data.game}/{name}",
            )
    wants_gpus = any(node.resources.gpu for node in nodes)
    platform = Platform(
        namespace=namespace,
        store=store.url,
        images=load_images(images),
        profiles=dict(profiles) if wants_gpus else {},
        queue=queue,
        version=version("wmctl"),
    )
    for node in nodes:
        if node.resources.gpu:
            platform.profile(node.resources.gpu, node.label)
    return platform


def manifests(spec: RunSpec, platform: Platform) -> Iterator[Body]:
    """Every object of the run: its owner, its conductor, and each stage's first attempt."""
    yield render_owner(spec, platform)
    yield render_conductor(spec.run, platform, None)
    for job in first_jobs(spec, platform.store):
        yield render(job, platform, None)


def first_jobs(spec: RunSpec, store: str) -> Iterator[StageJob]:
    """The first attempt of every stage."""
    for node in spec.nodes:
        cpus = node.resources.cpus or float(node.cpus)
        yield StageJob(
            run=spec.run,
            stage=node.name,
            attempt=1,
            kind=node.kind,
            spec=f"{store}/{attempt_prefix(spec.run, node.name, 1)}/spec.json",
            pods=node.pods,
            processes=node.processes,
            resources=node.resources.model_copy(update={"cpus": cpus}),
        )


def check_cluster(api: Api, spec: RunSpec, platform: Platform) -> None:
    """BadConfig for a stage that would wait for ever: no node has what one of its pods asks for,
    or nothing there knows PyTorchJobs."""
    if any(node.kind == "train" for node in spec.nodes):
        api.list(PYTORCHJOBS)  # raises where the cluster does not know them
    nodes, _ = api.list(NODES)
    for body in list(manifests(spec, platform))[1:]:
        reasons = could_fit(_pod_spec(body), nodes)
        if reasons:
            stage = body["metadata"]["labels"].get("wm.dev/stage", "the conductor")
            raise BadConfig(
                f"no node could ever run {stage}: {'; '.join(reasons)}",
                hint="ask for less in the plan (resources), or add such a node; "
                "--accept submits all the same",
            )


def launch(api: Api, store: Store, spec: RunSpec, platform: Platform, terms: Terms) -> bool:
    """Hand the run to the cluster; False where a conductor is at work on it already."""
    conductor = api.get(JOBS, conductor_name(spec.run))
    if conductor is not None and not is_over(conductor):
        if read_state(spec, History(store, spec.run).events).finished is None:
            return False
        _wait(api, spec.run, "end", is_over)  # it has done its work and is about to go
    _check_owner(api, spec.run, platform.store)
    write_platform(store, spec.run, platform)
    with Lease.acquire(store, f"runs/{spec.run}/lease.json", Owner.here(), LEASE_TTL):
        # Entered here and not by the conductor, which takes seconds to come: who looks meanwhile
        # is not to see the end of an earlier submission.
        history = History(store, spec.run)
        kind: EventKind = "resumed" if history.events else "submitted"
        history.append(kind, detail=terms.model_dump(mode="json"))
    owner = api.apply(render_owner(spec, platform))
    if conductor is not None:  # of an earlier submission
        api.delete(JOBS, conductor_name(spec.run))
        _wait(api, spec.run, "go", lambda body: False)
    api.apply(render_conductor(spec.run, platform, owner["metadata"]["uid"]))
    return True


def _check_owner(api: Api, run: str, store: str) -> None:
    """The same plan on the same day gives the same name in another store too."""
    owner = api.get(CONFIGMAPS, owner_name(run))
    if owner and (other := owner["data"]["store"]) != store:
        raise BadConfig(
            f"the cluster has a run {run} already, which keeps its things in {other}",
            hint=f"wmctl --store {other} gc {run} clears it away; or give the plan another name",
        )


def _wait(api: Api, run: str, what: str, done: Callable[[Body], bool]) -> None:
    """Until the conductor's Job is gone or ``done``."""
    name = conductor_name(run)
    until = time.monotonic() + SOON
    while (body := api.get(JOBS, name)) is not None and not done(body):
        if time.monotonic() > until:
            raise BadConfig(
                f"the earlier conductor {name} does not {what}",
                hint=f"see kubectl describe job {name}; then submit again",
            )
        time.sleep(0.2)


def _pod_spec(body: Body) -> Body:
    spec = body["spec"]
    if "pytorchReplicaSpecs" in spec:
        [spec] = spec["pytorchReplicaSpecs"].values()
    found: Body = spec["template"]["spec"]
    return found
