"""Who may do what in the namespace: all that wmctl will ask of the API server, and no more."""

from __future__ import annotations

from wmctl.doctor.check import Trouble
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.errors import APPLY, Forbidden
from wmctl.launch.kubernetes.kinds import (
    CONFIGMAPS,
    EVENTS,
    JOBS,
    LIMIT_RANGES,
    NODES,
    PODS,
    PYTORCHJOBS,
    QUOTAS,
    Kind,
)

ALL = ("get", "list", "watch", "create", "patch", "delete")
LOOK = ("get", "list", "watch")

Rights = tuple[tuple[Kind, str, tuple[str, ...]], ...]
"""Kind, subresource, verbs."""

USER: Rights = (
    (CONFIGMAPS, "", ALL),
    (JOBS, "", ALL),
    (PYTORCHJOBS, "", ALL),
    (PODS, "", LOOK),
    (PODS, "log", ("get",)),
    (EVENTS, "", ("list",)),
    (QUOTAS, "", ("get", "list")),
    (LIMIT_RANGES, "", ("get", "list")),
    (NODES, "", ("get", "list")),
)
"""What ``k8s/base/users.yaml`` grants."""

CONDUCTOR: Rights = (
    (JOBS, "", ("list", "watch", "create", "patch", "delete")),
    (PYTORCHJOBS, "", ("list", "watch", "create", "patch", "delete")),
    (PODS, "", ("list", "watch")),
    (PODS, "log", ("get",)),
    (EVENTS, "", ("list",)),
    (CONFIGMAPS, "", ("get",)),
)
"""What ``k8s/base/conductor.yaml`` grants."""


def mine(api: Api) -> str:
    """Whether who asks may submit, watch, cancel and collect runs."""
    if missing := _missing(api, USER, ""):
        raise Trouble(
            f"you may not {missing}; who administers the cluster can grant it: "
            f"kubectl -n {api.namespace} create rolebinding wm-user-NAME --role=wm-user "
            "--user=NAME, and for nodes the cluster role wm-user-nodes"
        )
    return "you may submit, watch, cancel and collect runs"


def conductors(api: Api) -> str:
    """Whether the conductor's service account may do what a conductor does."""
    user = f"system:serviceaccount:{api.namespace}:wm-conductor"
    try:
        missing = _missing(api, CONDUCTOR, user)
    except Forbidden:
        return "not looked at: you may not ask what others may do, which is as it should be"
    if missing:
        raise Trouble(f"the conductor may not {missing}; grant it: {APPLY}")
    return f"{user} may do what a conductor does"


def _missing(api: Api, rights: Rights, user: str) -> str:
    """``create pytorchjobs.kubeflow.org, get pods/log``; empty when nothing is."""
    missing = []
    for kind, subresource, verbs in rights:
        name = "/".join(filter(None, (kind.resource, subresource)))
        refused = [v for v in verbs if not api.can_i(v, kind, subresource, user=user)]
        if refused:
            missing.append(f"{'/'.join(refused)} {name}")
    return ", ".join(missing)
