"""The Kubernetes API in plain dicts: what wmctl needs of it, with errors for people.

Configuration and authentication come from the official client; its typed models do not, for they
know no PyTorchJob. Nothing here waits for ever: every call has a
time-out, and a watch ends by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import urllib3
from kubernetes.client.configuration import Configuration

from wm.errors import InputMissing
from wmctl.launch.kubernetes.connection import (
    CONNECT,
    Connection,
    configured,
    read_all,
    read_lines,
    unreachable,
)
from wmctl.launch.kubernetes.errors import NoNamespace, Request, refusal
from wmctl.launch.kubernetes.events import event_time
from wmctl.launch.kubernetes.kinds import EVENTS, PODS, Kind, kind_of

FIELD_MANAGER = "wmctl"
READ = 30.0
"""Seconds between two bytes of an answer."""
Body = dict[str, Any]
Bodies = list[Body]
_VERSION = Request("get", Kind("v1", "Version", "version", namespaced=False), "")


class Api:
    """One namespace of a cluster (and what belongs to none), as one user sees it.

    Every method raises :class:`~wmctl.launch.kubernetes.errors.ApiTrouble` for what may pass by
    itself and another :class:`~wm.errors.WmError` for what will not. Threads may share it.
    """

    def __init__(self, configure: Callable[[], Configuration], namespace: str) -> None:
        """``configure`` says where the server is and who we are; it is asked again now and then."""
        self.namespace = namespace
        self._connection = Connection(configure)

    @classmethod
    def connect(cls, namespace: str) -> Api:
        """As the pod's service account inside a cluster, else as kubectl would.

        Sends nothing yet: a cluster that is away is noticed by the first call.
        """
        configured()  # what is missing is missed now
        return cls(configured, namespace)

    def get(self, kind: Kind, name: str) -> Body | None:
        """The object of that name, or None."""
        try:
            return self._json("GET", Request("get", kind, self.namespace, name))
        except NoNamespace:
            raise
        except InputMissing:
            return None

    def list(self, kind: Kind, labels: str = "", fields: str = "") -> tuple[Bodies, str]:
        """Objects that a label and a field selector choose, and the version to watch from."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        answer = self._json("GET", Request("list", kind, self.namespace), query)
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    def apply(self, body: Body, *, dry_run: bool = False) -> Body:
        """Server-side apply: make the object be as ``body`` says; returns what the server has.

        Without force: the objects of a run are wmctl's alone, so a conflict says that a person or
        another controller changed one, which is worth an error rather than a fight.
        """
        kind, name = kind_of(body), body["metadata"]["name"]
        query = {"fieldManager": FIELD_MANAGER, "dryRun": "All" if dry_run else ""}
        request = Request("patch", kind, self.namespace, name)
        return self._json("PATCH", request, query, body, "application/apply-patch+yaml")

    def delete(
        self,
        kind: Kind,
        name: str,
        *,
        grace: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
    ) -> bool:
        """Delete an object; False when it is not there. ``grace`` in seconds; 0 kills."""
        options: Body = {"propagationPolicy": propagation}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            self._json("DELETE", Request("delete", kind, self.namespace, name), body=options)
        except NoNamespace:
            raise
        except InputMissing:
            return False
        return True

    def watch(self, kind: Kind, labels: str, version: str, seconds: float) -> Iterator[Body]:
        """Changes since ``version`` as ``{"type": …, "object": …}``, bookmarks included.

        Ends after ``seconds``, on the server's side. Raises
        :class:`~wmctl.launch.kubernetes.errors.Gone` when ``version`` is too old.
        """
        request = Request("watch", kind, self.namespace)
        query = {
            "watch": "true",
            "labelSelector": labels,
            "resourceVersion": version,
            "timeoutSeconds": f"{seconds:.0f}",
            "allowWatchBookmarks": "true",
        }
        response = self._send("GET", request, query, read=seconds + CONNECT)
        try:
            for line in read_lines(response):
                event = _parse(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise refusal(request, status.get("code", 500), json.dumps(status))
                yield event
        finally:
            response.close()

    def log(
        self,
        pod: str,
        container: str = "",
        *,
        tail: int | None = None,
        limit_bytes: int | None = None,
    ) -> str:
        """What a container has printed so far, or its last ``tail`` lines."""
        query = {"container": container, "tailLines": tail, "limitBytes": limit_bytes}
        request = Request("get", PODS, self.namespace, pod)
        with self._send("GET", request, query, subresource="log") as response:
            return read_all(response).decode(errors="replace")

    def events(self, name: str) -> Bodies:
        """Events about objects of that name, oldest first."""
        items, _ = self.list(EVENTS, fields=f"involvedObject.name={name}")
        return sorted(items, key=event_time)

    def can_i(self, verb: str, kind: Kind, subresource: str = "", *, user: str = "") -> bool:
        """Whether RBAC lets this user (or ``user``, if this one may ask that) do it."""
        attributes = {"verb": verb, "resource": kind.plural, "group": kind.group}
        if kind.namespaced:
            attributes["namespace"] = self.namespace
        if subresource:
            attributes["subresource"] = subresource
        return self._review(attributes, user)

    def server_version(self) -> str:
        """``v1.34.4``."""
        return str(self._json("GET", _VERSION, path="/version")["gitVersion"])

    def server_time(self) -> float:
        """The API server's clock in seconds since the epoch (resolution: one second)."""
        with self._send("GET", _VERSION, path="/version") as response:
            return parsedate_to_datetime(response.headers["Date"]).timestamp()

    def _review(self, attributes: dict[str, str], user: str) -> bool:
        spec: Body = {"resourceAttributes": attributes}
        review = Kind(
            "authorization.k8s.io/v1",
            "SubjectAccessReview" if user else "SelfSubjectAccessReview",
            "subjectaccessreviews" if user else "selfsubjectaccessreviews",
            namespaced=False,
        )
        if user:
            spec |= {"user": user, "groups": _groups(user)}
        body = {"apiVersion": review.api_version, "kind": review.kind, "spec": spec}
        answer = self._json("POST", Request("create", review, self.namespace), body=body)
        return bool(answer["status"].get("allowed"))

    def _json(
        self,
        method: str,
        request: Request,
        query: dict[str, Any] | None = None,
        body: Body | None = None,
        content: str = "application/json",
        path: str = "",
    ) -> Body:
        with self._send(method, request, query, body, content, path=path) as response:
            return _parse(read_all(response))

    def _send(
        self,
        method: str,
        request: Request,
        query: dict[str, Any] | None = None,
        body: Body | None = None,
        content: str = "application/json",
        *,
        read: float = READ,
        path: str = "",
        subresource: str = "",
    ) -> urllib3.BaseHTTPResponse:
        """A successful answer, its body not read yet."""
        path = path or request.kind.path(self.namespace, request.name, subresource)
        parameters = [(k, v) for k, v in (query or {}).items() if v not in ("", None)]
        response = self._connection.send(method, path, parameters, body, content, read)
        if response.status < 300:
            return response
        with response:
            words = read_all(response).decode(errors="replace")
        raise refusal(request, response.status, words)


def _parse(data: str | bytes) -> Body:
    try:
        parsed: Body = json.loads(data)
    except ValueError as error:
        raise unreachable(error) from error
    return parsed


def _groups(user: str) -> list[str]:
    """Groups that a service account belongs to; a review does not look them up itself."""
    match user.split(":"):
        case ["system", "serviceaccount", namespace, _]:
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
            return [*groups, "system:authenticated"]
    return ["system:authenticated"]
