"""The training operator: whether the cluster knows PyTorchJobs, and its webhook answers."""

from __future__ import annotations

from wmctl.doctor.check import Trouble
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.errors import Rejected


def answers(api: Api) -> str:
    """Offer, as a dry run, a PyTorchJob that the operator's webhook refuses.

    It is the operator itself that answers, so the refusal shows that it runs; a good job would
    also be let through where nobody is there to check it.
    """
    container = {"name": "not-pytorch", "image": "example.com/none"}
    master = {"replicas": 1, "template": {"spec": {"containers": [container]}}}
    body = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "wm-doctor", "namespace": api.namespace},
        "spec": {"pytorchReplicaSpecs": {"Master": master}},
    }
    try:
        api.apply(body, dry_run=True)
    except Rejected as error:
        if "denied the request" in error.message:
            return "the training operator answers, and checks PyTorchJobs"
        raise
    raise Trouble(
        "PyTorchJobs are known but nobody checks them; see whether the training operator runs: "
        "kubectl -n kubeflow get pods"
    )
