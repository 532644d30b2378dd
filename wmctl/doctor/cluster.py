"""A cluster, before a run is handed to it: every check, in the order in which a run would fail."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from wm.store import open_store
from wmctl.doctor import operator, rights, room, storage
from wmctl.doctor.check import Row, Trouble, look, look_at
from wmctl.doctor.inside import Inside
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.platform import Platform, load_images
from wmctl.launch.kubernetes.submit import make_platform, manifests
from wmctl.launch.profiles import Profile, known_profiles
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.plan.references import model_finder
from wmctl.run.spec import draft


class Examination:
    """Checks that build on what earlier ones found; what they need and do not find they skip."""

    def __init__(
        self,
        store: str,
        plan: str | None,
        *,
        namespace: str,
        images: Path,
        profiles: Path,
        queue: str | None,
    ) -> None:
        self._store, self._plan, self._namespace = store, plan, namespace
        self._images, self._profiles, self._queue = images, profiles, queue
        self._platform: Platform | None = None
        self._demands: Sequence[room.Demand] = ()

    def rows(self) -> Iterator[Row]:
        """Make every check."""
        yield from look_at(storage.checks(self._store))
        yield look("images", self._load_images)
        if self._plan:
            yield look("plan", self._load_plan)
        reached = look("cluster", self._reach)
        yield reached
        if not reached.passed:
            return
        api = Api.connect(self._namespace)
        yield look("clock", lambda: _clock(api))
        there = look("namespace", lambda: _namespace(api))
        yield there
        if not there.passed:
            return
        yield look("training operator", lambda: operator.answers(api))
        yield look("your rights", lambda: rights.mine(api))
        yield look("conductor's rights", lambda: rights.conductors(api))
        yield look("quota", lambda: room.quota(api, self._demands))
        yield look("nodes", lambda: room.nodes(api, self._demands, self._known_profiles()))
        if self._platform:
            yield from Inside(api, self._platform).rows()

    def _reach(self) -> str:
        api = Api.connect(self._namespace)
        return f"Kubernetes {api.server_version()}"

    def _load_images(self) -> str:
        self._platform = Platform(
            namespace=self._namespace,
            store=self._store,
            images=load_images(self._images),
            version=version("wmctl"),
        )
        return f"named by digest in {self._images}"

    def _load_plan(self) -> str:
        store = open_store(self._store)
        plan = load_plan(self._plan or "")
        nodes = resolve(plan, model_finder(store))
        platform = make_platform(
            store,
            plan,
            nodes,
            namespace=self._namespace,
            images=self._images,
            profiles=self._known_profiles(),
            queue=self._queue,
        )
        _, *jobs = manifests(draft(plan, nodes), platform)  # the first is the owner
        self._demands = [room.demand(job) for job in jobs]
        return f"{plan.name} has {len(nodes)} stages, and pods can read its data"

    def _known_profiles(self) -> dict[str, Profile]:
        return known_profiles(self._profiles)


def _clock(api: Api) -> str:
    skew = api.server_time() + 0.5 - time.time()  # its clock shows whole seconds
    if abs(skew) > storage.SKEW:
        raise Trouble(f"the cluster's clock is off by {skew:.0f} s; set one of the two by NTP")
    return f"the cluster's clock and this one differ by {abs(skew):.0f} s"


def _namespace(api: Api) -> str:
    """Whether an object could be made there; asked so because reading namespaces is a right that
    few have."""
    metadata = {"name": "wm-doctor", "namespace": api.namespace}
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, dry_run=True)
    return f"{api.namespace} is there"
