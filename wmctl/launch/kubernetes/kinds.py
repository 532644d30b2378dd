"""The kinds of Kubernetes objects that wmctl reads and writes, and where the API serves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API."""

    api_version: str
    """``v1``, ``batch/v1`` …"""
    kind: str
    """``Job``: what a manifest says."""
    plural: str
    """``jobs``: what paths and roles say."""
    namespaced: bool = True

    @property
    def group(self) -> str:
        """API group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """``jobs.batch``: what kubectl and error messages say."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Path below the API server's address."""
        parts = ["", "apis" if self.group else "api", self.api_version]
        if self.namespaced:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *filter(None, (name, subresource))])


PODS = Kind("v1", "Pod", "pods")
CONFIGMAPS = Kind("v1", "ConfigMap", "configmaps")
SECRETS = Kind("v1", "Secret", "secrets")
SERVICES = Kind("v1", "Service", "services")
SERVICE_ACCOUNTS = Kind("v1", "ServiceAccount", "serviceaccounts")
EVENTS = Kind("v1", "Event", "events")
QUOTAS = Kind("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGES = Kind("v1", "LimitRange", "limitranges")
NODES = Kind("v1", "Node", "nodes", namespaced=False)
NAMESPACES = Kind("v1", "Namespace", "namespaces", namespaced=False)
JOBS = Kind("batch/v1", "Job", "jobs")
PYTORCHJOBS = Kind("kubeflow.org/v1", "PyTorchJob", "pytorchjobs")

KINDS = (
    PODS,
    CONFIGMAPS,
    SECRETS,
    SERVICES,
    SERVICE_ACCOUNTS,
    EVENTS,
    QUOTAS,
    LIMIT_RANGES,
    NODES,
    NAMESPACES,
    JOBS,
    PYTORCHJOBS,
)


def kind_of(body: dict[str, Any]) -> Kind:
    """The kind of a manifest."""
    for kind in KINDS:
        if (kind.api_version, kind.kind) == (body["apiVersion"], body["kind"]):
            return kind
    raise ValueError(f"{body['apiVersion']} {body['kind']} is not a kind that wmctl writes")
