"""Why something does not get on: the cluster's words, what they mean, and the way out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wmctl.launch.kubernetes.errors import APPLY


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps an attempt from its next step."""

    reason: str
    """One word of the cluster's: ``Unschedulable``, ``ImagePullBackOff`` …"""
    text: str
    """The cluster's own sentence."""
    advice: str = ""
    permanent: bool = False
    """It stays so until somebody changes something, so waiting is of no use."""
    since: float = 0
    """Seconds since the epoch from which it could have got on; 0 where unknown."""
    patient: bool = False
    """It is in a queue: waiting is what it is meant to do."""


_MEANINGS: tuple[tuple[str, bool, str], ...] = (
    # Pattern, whether it is permanent, advice. The first that matches counts.
    (
        r"exceeded quota",
        False,
        "ask for less, wait for other jobs to end, or raise it: kubectl describe quota",
    ),
    (
        r"violates PodSecurity",
        True,
        "the namespace wants more than Pod Security restricted, which wmctl's pods keep to; "
        "use the namespace of k8s/base",
    ),
    (r"serviceaccount \S+ not found|no PriorityClass", True, f"make it: {APPLY}"),
    (
        r"(maximum|minimum) \S+ usage per|must be less than or equal to",
        True,
        "ask for what the namespace allows: kubectl describe limitrange",
    ),
    (
        r"failed calling webhook",
        False,
        "a webhook of the cluster is away: kubectl get pods -A shows what does not run",
    ),
    (
        r"is being terminated",
        True,
        f"the namespace is being deleted; make it again: {APPLY}",
    ),
    (
        r"untolerated taint.{0,4}node\.kubernetes\.io/(not-ready|unreachable)",
        False,
        "a node does not answer: kubectl get nodes",
    ),
    (
        r"didn't match Pod's node affinity/selector",
        False,
        "no node has the labels of the GPU's profile: see k8s/profiles.yaml and wmctl doctor",
    ),
    (
        r"untolerated taint",
        False,
        "add a toleration for it to the GPU's profile: k8s/profiles.yaml",
    ),
    (r"were unschedulable", False, "the node is cordoned: kubectl uncordon lets pods in again"),
    (
        r"Insufficient \S+|Too many pods",
        False,
        "wait for other pods to end, or ask for less; kubectl describe nodes shows what is taken",
    ),
    (
        r"(configmap|secret) \S+ not found|couldn't find key|references non-existent secret key",
        True,
        f"make it: {APPLY}",
    ),
    (r"image will run as root", True, "use images of make build, which run as user 10001"),
    (
        r"exec: .*(no such file|not found|permission denied)",
        True,
        "the image is not the one for this stage: make build push, then submit again",
    ),
    (
        r"failed to (create|setup|set up) .*sandbox|network plugin|cni",
        False,
        "the node's network or container runtime is in trouble: kubectl describe node",
    ),
)


def problem(reason: str, text: str, *, since: float = 0, advice: str = "") -> Problem:
    """What the cluster's words mean; ``advice`` for those that are not known."""
    text = _short(text)
    for pattern, permanent, known in _MEANINGS:
        if re.search(pattern, text):
            return Problem(reason, text, known, permanent, since)
    return Problem(reason, text, advice, since=since)


def _short(text: str) -> str:
    """Without what the scheduler tried in vain."""
    return re.split(r"\.? (?:no new claims|preemption:)", " ".join(text.split()))[0]
