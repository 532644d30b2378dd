"""What the API server refuses, in words that name the way out.

Every answer that is no success becomes one of these. :class:`ApiTrouble` may pass by itself: the
conductor waits and tries again. Everything else stays wrong until somebody changes something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wm.errors import BadConfig, InputMissing, WmError
from wmctl.launch.base import PlatformAway
from wmctl.launch.kubernetes.kinds import Kind

APPLY = "kubectl apply --server-side -k k8s/overlays/dev (or your own overlay)"
"""How everything that wmctl expects in a namespace gets there."""


class ApiTrouble(PlatformAway):
    """The API server cannot do it now; a later try may succeed."""


class ApiUnreachable(ApiTrouble):
    """The API server does not answer."""


class Gone(ApiTrouble):
    """What a watch asked to continue from is forgotten: list again."""


class Unauthorised(BadConfig):
    """The API server does not know who asks."""


class Forbidden(BadConfig):
    """Who asks may not do that."""


class QuotaExceeded(ApiTrouble):
    """The namespace's quota leaves no room for it now."""


class NotServed(BadConfig):
    """The cluster does not know this kind of object."""


class NoNamespace(InputMissing):
    """The namespace does not exist, or is being deleted."""


class Rejected(BadConfig):
    """The API server or a webhook finds the object wrong."""


class Conflict(BadConfig):
    """Somebody else has changed what wmctl wrote."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of the API server, for people."""

    verb: str
    """In the words of RBAC: ``get``, ``list``, ``watch``, ``create``, ``patch``, ``delete``."""
    kind: Kind
    namespace: str
    name: str = ""

    @property
    def what(self) -> str:
        """``jobs.batch demo-train-01 in namespace wm``."""
        words = [self.kind.resource, self.name]
        if self.kind.namespaced:
            words.append(f"in namespace {self.namespace}")
        return " ".join(filter(None, words))


def refusal(request: Request, status: int, body: str) -> WmError:
    """The error for an answer of the API server that is no success."""
    words = _words(body) or f"HTTP status {status}"
    if status in (429, 500, 502, 503, 504):
        return _trouble(request, status, words)
    make = _REFUSALS.get(status, _rejected)
    return make(request, words)


def _words(body: str) -> str:
    """The message of a ``Status`` object, or the body as it is (proxies answer in plain text)."""
    try:
        status: dict[str, Any] = json.loads(body)
        return str(status.get("message", ""))
    except (ValueError, AttributeError):
        return " ".join(body.split())[:300]


def _trouble(request: Request, status: int, words: str) -> ApiTrouble:
    if match := re.search(r'failed calling webhook "([^"]+)"', words):
        return ApiTrouble(
            f"the webhook {match[1]} does not answer, so that nothing can be done to "
            f"{request.what}: {words}",
            hint="see whether its operator runs: kubectl get pods -A",
        )
    return ApiTrouble(
        f"the API server could not {request.verb} {request.what}: {words} (HTTP {status})",
        hint="it is tried again; see the API server's health: kubectl get --raw /readyz",
    )


def _unauthorised(request: Request, words: str) -> WmError:
    return Unauthorised(
        f"the API server does not accept the credentials ({words})",
        hint="log in to the cluster again, then try: kubectl auth whoami",
    )


def _forbidden(request: Request, words: str) -> WmError:
    if "exceeded quota" in words:
        return QuotaExceeded(
            f"{request.what} does not fit the namespace's quota: {words}",
            hint="ask for less, wait for other jobs to end, or raise the ResourceQuota; "
            f"kubectl -n {request.namespace} describe quota shows what is used",
        )
    if "is being terminated" in words:
        return _terminating(request)
    if "violates PodSecurity" in words or "cannot " not in words:
        return _rejected(request, words)
    asked = re.search(r'User "([^"]+)" cannot (\w+) resource "([^"]+)"', words)
    user, verb, resource = asked.groups() if asked else ("you", request.verb, request.kind.plural)
    where = f" in namespace {request.namespace}" if request.kind.namespaced else ""
    if user.startswith("system:serviceaccount:"):
        hint = f"grant it: {APPLY}"
        return Forbidden(f"the service account {user} may not {verb} {resource}{where}", hint)
    bind = f"kubectl -n {request.namespace} create rolebinding wm-user-NAME --role=wm-user"
    if not request.kind.namespaced:
        bind = "kubectl create clusterrolebinding wm-user-NAME --clusterrole=wm-user-nodes"
    hint = f"who administers the cluster can grant it: {bind} --user={user}"
    return Forbidden(f"{user} may not {verb} {resource}{where}", hint)


def _missing(request: Request, words: str) -> WmError:
    if re.search(r'^namespaces "[^"]+" not found', words):
        return NoNamespace(
            f"namespace {request.namespace} does not exist",
            hint=f"make it: {APPLY}",
        )
    if re.search(r'"[^"]*" not found', words):
        return InputMissing(f"{request.what} does not exist")
    operator = "the Kubeflow training operator" if "kubeflow" in request.kind.group else "it"
    return NotServed(
        f"the cluster does not serve {request.kind.resource}/"
        f"{request.kind.api_version.rpartition('/')[2]}",
        hint=f"install {operator}, or see what is there: kubectl api-resources",
    )


def _terminating(request: Request) -> WmError:
    return NoNamespace(
        f"namespace {request.namespace} is being deleted",
        hint=f"wait until it is gone and make it again: {APPLY}",
    )


def _gone(request: Request, words: str) -> WmError:
    return Gone(f"the watch of {request.kind.resource} has to begin anew: {words}")


def _conflict(request: Request, words: str) -> WmError:
    return Conflict(
        f"somebody else changed {request.what}: {words}",
        hint=f"undo that change, or delete it (kubectl -n {request.namespace} delete "
        f"{request.kind.resource} {request.name}) and try again",
    )


def _rejected(request: Request, words: str) -> WmError:
    return Rejected(
        f"the API server refuses to {request.verb} {request.what}: {words}",
        hint="wmctl submit --dry-run=client prints what it was given",
    )


_REFUSALS: dict[int, Callable[[Request, str], WmError]] = {
    401: _unauthorised,
    403: _forbidden,
    404: _missing,
    409: _conflict,
    410: _gone,
}
