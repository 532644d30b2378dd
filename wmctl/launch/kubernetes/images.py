"""Why an image cannot be pulled: for good, or until the registry is back."""

from __future__ import annotations

import re

from wmctl.launch.kubernetes.problems import Problem

REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""What a container waits for when it waits for its image."""

_PUSH = "push it: make build push REGISTRY=…, then submit again"
_AWAY = "the registry does not answer; it is tried again until the start deadline"

_ON_THE_WAY = re.compile(
    r'^(Back-off pulling image "[^"]*": )?(ErrImagePull: )?(rpc error: code = \w+ desc = )?'
    r'(failed to pull and unpack image "[^"]*": )?(failed to resolve reference "[^"]*": )?'
)
"""What every layer says before it passes on the words of the one below."""

_CAUSES: tuple[tuple[str, bool, str], ...] = (
    # Trouble on the way comes first: its words may contain any of those below.
    (
        r"status code \[?[^]]*\]?: (429|5\d\d)|\b50[0234]\b|toomanyrequests|QPS exceeded|timeout|"
        r"no such host|connection (refused|reset)|network is unreachable|\bEOF\b|no route to host",
        False,
        _AWAY,
    ),
    (
        r"\b40[13]\b|[uU]nauthorized|[dD]enied|authorization failed|no basic auth|[fF]orbidden",
        True,
        "let the cluster log in to the registry: kubectl create secret docker-registry, "
        "and name it as the pull secret",
    ),
    (r"not found|\b404\b|unknown", True, _PUSH),
    (r"no match for platform|exec format", True, "build it for the nodes' kind of processor"),
    (r"x509|certificate", True, "let the nodes' container runtime trust the registry's authority"),
)


def pull_problem(reason: str, text: str, since: float) -> Problem:
    """``reason`` and ``text`` as a container's waiting state gives them; ``since`` is when the
    node got the pod."""
    text = _ON_THE_WAY.sub("", " ".join(text.split()))
    if reason == "InvalidImageName":
        return Problem(reason, text, "correct the image's name; make push writes it", True, since)
    if reason == "ErrImageNeverPull":
        advice = "load it on the node, or let it be pulled (imagePullPolicy: IfNotPresent)"
        return Problem(reason, text, advice, True, since)
    for pattern, permanent, advice in _CAUSES:
        if re.search(pattern, _without_names(text)):
            return Problem(reason, text, advice, permanent, since)
    return Problem(reason, text, _AWAY, since=since)


def _without_names(text: str) -> str:
    """Without quoted names and digests: an image may be called ``error-404``."""
    return re.sub(r'"[^"]*"|sha256:[0-9a-f]+', "", text)
