"""A namespace in memory, with the methods of :class:`wmctl.launch.kubernetes.api.Api` that write
and read objects. What a real cluster does with them is for the end-to-end tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from wmctl.launch.kubernetes.errors import ApiUnreachable
from wmctl.launch.kubernetes.kinds import PODS, Kind, kind_of

Body = dict[str, Any]


class FakeApi:
    """Objects by kind and name; deleting an object deletes its pods too."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Body] = {}
        self.calls: list[str] = []
        self.logs: dict[str, str] = {}
        self.away = False

    def get(self, kind: Kind, name: str) -> Body | None:
        self._ask(f"get {kind.plural} {name}")
        return self.objects.get((kind.plural, name))

    def list(self, kind: Kind, labels: str = "", fields: str = "") -> tuple[list[Body], str]:
        self._ask("")
        wanted = [part.partition("=")[::2] for part in labels.split(",") if part]
        found = [
            body
            for (plural, _), body in self.objects.items()
            if plural == kind.plural
            and all(
                k in (own := body["metadata"].get("labels", {})) and (not v or own[k] == v)
                for k, v in wanted
            )
        ]
        return found, "1"

    def watch(self, kind: Kind, labels: str, version: str, seconds: float) -> Iterator[Body]:
        """Changes, as the difference of lists."""
        until, known = time.monotonic() + seconds, {}
        for body in self.list(kind, labels)[0]:
            known[body["metadata"]["name"]] = repr(body)
        while time.monotonic() < until:
            now = {b["metadata"]["name"]: b for b in self.list(kind, labels)[0]}
            for name, body in now.items():
                if known.get(name) != repr(body):
                    known[name] = repr(body)
                    yield {"type": "MODIFIED", "object": _versioned(body)}
            for name in set(known) - set(now):
                del known[name]
                yield {"type": "DELETED", "object": _versioned({"metadata": {"name": name}})}
            time.sleep(0.01)

    def apply(self, body: Body, *, dry_run: bool = False) -> Body:
        kind, name = kind_of(body), body["metadata"]["name"]
        self._ask(f"apply {kind.plural} {name}")
        metadata = {"uid": f"uid-{name}", "creationTimestamp": _now(), **body["metadata"]}
        made = body | {"metadata": metadata}
        if not dry_run:
            self.objects[kind.plural, name] = made
        return made

    def delete(self, kind: Kind, name: str, **options: Any) -> bool:
        self._ask(f"delete {kind.plural} {name}")
        for key in [k for k in self.objects if k[0] == "pods" and k[1].startswith(f"{name}-")]:
            del self.objects[key]
        return self.objects.pop((kind.plural, name), None) is not None

    def events(self, name: str) -> list[Body]:
        self._ask("")
        return []

    def log(self, pod: str, container: str = "", **options: Any) -> str:
        self._ask(f"log {pod}")
        return self.logs[pod]

    def add_pod(self, owner: Body, phase: str, state: Body, *, suffix: str = "-0") -> str:
        """A pod of a job, in a state of its container."""
        name = owner["metadata"]["name"] + suffix
        self.objects[PODS.plural, name] = {
            "metadata": {
                "name": name,
                "labels": owner["metadata"]["labels"],
                "creationTimestamp": _now(),
            },
            "spec": {"nodeName": "node", "containers": [{"name": "c", "image": "i"}]},
            "status": {
                "phase": phase,
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "True",
                        "lastTransitionTime": _now(),
                    }
                ],
                "containerStatuses": [{"name": "c", "imageID": "i@sha256:0", "state": state}],
            },
        }
        return name

    def _ask(self, what: str) -> None:
        if self.away:
            raise ApiUnreachable("the API server does not answer")
        if what:
            self.calls.append(what)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _versioned(body: Body) -> Body:
    return body | {"metadata": body["metadata"] | {"resourceVersion": "2"}}
