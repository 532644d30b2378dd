"""From what a real cluster said to what people are told.

The samples were provoked on a real cluster and trimmed; each says in its first line what it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from wm.stage.spec import Kind
from wmctl.launch.base import Observation, StageJob
from wmctl.launch.kubernetes.diagnose import observe

SAMPLES = Path(__file__).parent / "samples"
DEADLINE = 1800.0


class Case(NamedTuple):
    sample: str
    phase: str
    code: int | None
    reason: str
    step: str
    """The last step of the tree: its name and state."""
    text: str = ""
    """Words in its text."""
    advice: str = ""


PULLED, RUNS = "image pulled waiting", "done waiting"
GO_ON = "goes on from the saved state"

CASES = [
    # Waiting: nothing is decided, but people see what for.
    Case("init", "waiting", None, "", PULLED, 'Pulling image "registry.example/python-base'),
    Case("image-away", "waiting", None, "", PULLED, "connection refused", "does not answer"),
    Case("image-5xx", "waiting", None, "", PULLED, "503 Service Unavailable", "does not answer"),
    Case("image-dns", "waiting", None, "", PULLED, "no such host", "does not answer"),
    Case("gpus", "waiting", None, "", "scheduled waiting", "Insufficient nvidia.com/gpu", "wait"),
    Case("train-gpus", "waiting", None, "", "scheduled waiting", "Insufficient", "wait"),
    Case("selector", "waiting", None, "", "scheduled waiting", "affinity/selector", "profiles"),
    Case("quota", "waiting", None, "", "admitted waiting", "exceeded quota: wm", "ask for less"),
    Case("quota-ptj", "waiting", None, "", "admitted waiting", "exceeded quota", "ask for less"),
    Case("suspended", "waiting", None, "", "admitted waiting", "Job suspended", "queue"),
    # Permanent: it ends within two minutes, not at the deadline.
    Case("image-missing", "ended", 64, "ImagePullBackOff", "image pulled failed", "nope:1: not fo"),
    Case("train-image", "ended", 64, "ImagePullBackOff", "image pulled failed", "not found"),
    Case("image-unauthorised", "ended", 64, "ImagePullBackOff", "image pulled failed", "401"),
    Case("image-invalid", "ended", 64, "InvalidImageName", "image pulled failed", "lowercase"),
    Case("image-never", "ended", 64, "ErrImageNeverPull", "image pulled failed", "not present"),
    Case("no-configmap", "ended", 64, "CreateContainerConfigError", "running failed", '"wm-store"'),
    Case("no-secret-volume", "ended", 64, "FailedMount", "image pulled failed", '"wm-store" not'),
    Case("run-as-root", "ended", 64, "CreateContainerConfigError", "running failed", "run as root"),
    Case("no-account", "ended", 64, "FailedCreate", "admitted failed", '"wm-encoder" not found'),
    Case("security", "ended", 64, "FailedCreate", "admitted failed", "violates PodSecurity"),
    Case("security-ptj", "ended", 64, "FailedCreatePod", "admitted failed", "violates PodSecurity"),
    Case("bad-command", "ended", 64, "StartError", "done failed", "no such file", "make build"),
    # Running.
    Case("running", "running", None, "", RUNS),
    Case("train-running", "running", None, "", RUNS),
    Case("workers-running", "running", None, "", RUNS),
    Case("indexed-evicted", "running", None, "", RUNS),
    Case("indexed-evicted-again", "running", None, "", RUNS),
    # Ended by itself.
    Case("exit-0", "ended", 0, "Completed", "done done"),
    Case("train-ok", "ended", 0, "Completed", "done done"),
    Case("workers-ok", "ended", 0, "Completed", "done done"),
    Case("indexed-ok", "ended", 0, "Completed", "done done"),
    Case("exit-65", "ended", 65, "Error", "done failed", "exit code 65: the data"),
    Case("train-65", "ended", 65, "Error", "done failed", "exit code 65"),
    Case("workers-one-fails", "ended", 65, "Error", "done failed", "exit code 65"),
    Case("indexed-65", "ended", 65, "Error", "done failed", "exit code 65"),
    Case("indexed-retried", "ended", 137, "Error", "done failed", "-1-ng87q was killed (SIGKILL)"),
    Case("exit-1", "ended", 1, "Error", "done failed", "No module named 'nope'", "wmctl logs"),
    Case("init-fails", "ended", 3, "Error", "done failed", "exit code 3"),
    # Ended by the cluster.
    Case("oom", "ended", 137, "OOMKilled", "done failed", "limit 6Gi, attempt 2", "memory"),
    Case("oom-child", "ended", 137, "OOMKilled", "done failed", "was OOMKilled"),
    Case("train-oom", "ended", 137, "OOMKilled", "done failed", "was OOMKilled"),
    Case("disk", "ended", 64, "Evicted", "done failed", "exceeds the limit", "resources.disk"),
    Case("evicted", "ended", 143, "Evicted", "done failed", "evicting", GO_ON),
    Case("train-evicted", "ended", 143, "Evicted", "done failed", "evicting", GO_ON),
    Case("preempted", "ended", 143, "Preempted", "done failed", "a higher priority pod", GO_ON),
    Case("deleted-pod", "ended", 143, "Deleted", "done failed", "was deleted", GO_ON),
    Case("train-deleted-pod", "ended", 143, "Deleted", "done failed", "was deleted", GO_ON),
    Case("train-killed", "ended", 137, "Deleted", "done failed", "was deleted", GO_ON),
    Case("deleted-job", "ended", 143, "Deleted", "done failed", "was deleted from the", GO_ON),
    Case("train-deleted", "ended", 143, "Deleted", "done failed", "was deleted from the", GO_ON),
    Case("deadline", "ended", 143, "DeadlineExceeded", "done failed", "ran into the deadline"),
    Case("train-deadline", "ended", 143, "DeadlineExceeded", "done failed", "ran into the dead"),
    Case("train-pod-deadline", "ended", 143, "DeadlineExceeded", "done failed", "the deadline"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.sample for case in CASES])
def test_what_a_real_cluster_said(case: Case) -> None:
    seen = look(case.sample)
    assert (seen.phase, seen.exit_code, seen.reason) == (case.phase, case.code, case.reason)
    last = seen.steps[-1]
    assert f"{last.name} {last.state}" == case.step
    assert case.text in last.text
    assert case.advice in last.advice
    assert [step.state for step in seen.steps[:-1]] == ["done"] * (len(seen.steps) - 1)
    if case.text and case.phase == "ended" and case.code not in (65,):
        assert case.text in seen.message


def test_every_sample_is_looked_at() -> None:
    assert {path.stem for path in SAMPLES.glob("*.yaml")} == {case.sample for case in CASES}


@pytest.mark.parametrize("sample", ["image-missing", "no-configmap", "security", "no-account"])
def test_what_is_permanent_is_given_a_minute_and_ends_within_two(sample: str) -> None:
    since = look(sample).steps[0].since
    assert look(sample, now=since + 45).phase == "waiting"
    assert look(sample, now=since + 120).exit_code == 64


@pytest.mark.parametrize("sample", ["gpus", "image-5xx", "quota", "quota-ptj", "train-gpus"])
def test_what_may_pass_ends_at_the_start_deadline(sample: str) -> None:
    begin = look(sample).steps[0].since
    assert look(sample, now=begin + DEADLINE - 60).phase == "waiting"
    seen = look(sample, now=begin + DEADLINE + 60)
    assert (seen.phase, seen.exit_code) == ("ended", 75)
    assert "did not start within 1800 s" in seen.message
    assert seen.hint == seen.steps[-1].advice != ""


def test_a_queue_has_no_deadline() -> None:
    begin = look("suspended").steps[0].since
    assert look("suspended", now=begin + 100 * DEADLINE).phase == "waiting"


def test_the_steps_of_what_runs() -> None:
    seen = look("train-running")
    names = ["submitted", "admitted", "scheduled", "image pulled", "running", "done"]
    assert [step.name for step in seen.steps] == names
    assert seen.steps[4].since == seen.pods[0].started > seen.steps[0].since


def test_pods_are_told_with_what_a_bill_needs() -> None:
    [pod] = look("preempted").pods
    assert (pod.node, pod.gpus, pod.phase, pod.exit_code) == ("node1", 8, "Failed", 143)
    assert 0 < pod.started < pod.ended < pod.started + 60
    assert pod.image.startswith("registry.example/python-base@sha256:")


def test_without_the_operator_a_job_is_not_taken_up() -> None:
    seen = look("quota-ptj", events=[])
    assert (seen.steps[-1].name, seen.steps[-1].state) == ("admitted", "waiting")
    assert "training operator has not taken it up" in seen.steps[-1].text
    assert "kubectl -n kubeflow get pods" in seen.steps[-1].advice


@pytest.mark.parametrize("sample", ["train-65", "train-ok", "train-oom"])
def test_the_pods_decide_where_the_operator_is_away(sample: str) -> None:
    told = look(sample)
    body = load(sample)["body"]
    del body["status"]["conditions"]
    seen = look(sample, body=body)
    assert (seen.phase, seen.exit_code, seen.reason) == ("ended", told.exit_code, told.reason)


def test_members_that_still_save_are_waited_for() -> None:
    sample = load("workers-running")
    sample["pods"][1]["status"]["containerStatuses"][0]["state"] = terminated(65, sample["now"])
    assert look("workers-running", pods=sample["pods"]).phase == "running"
    grace = sample["pods"][0]["spec"]["terminationGracePeriodSeconds"]
    late = look("workers-running", pods=sample["pods"], now=sample["now"] + grace + 11)
    assert (late.phase, late.exit_code) == ("ended", 65)


def test_of_members_the_first_to_fail_counts_but_the_cluster_goes_first() -> None:
    sample = load("workers-running")
    first, second = sample["pods"]
    first["status"]["containerStatuses"][0]["state"] = terminated(70, sample["now"] - 60)
    second["status"]["containerStatuses"][0]["state"] = terminated(65, sample["now"] - 59)
    assert look("workers-running", pods=sample["pods"]).exit_code == 70
    second["status"]["containerStatuses"][0]["state"] = terminated(
        137, sample["now"] - 59, "OOMKilled"
    )
    seen = look("workers-running", pods=sample["pods"])
    assert (seen.exit_code, seen.reason) == (137, "OOMKilled")


def test_one_member_that_cannot_start_ends_those_that_need_it() -> None:
    runs, image = load("workers-running"), load("train-image")
    pods = [runs["pods"][0], image["pods"][0]]
    assert look("workers-running", pods=pods).exit_code == 64
    parts = load("indexed-evicted-again")
    parts["pods"][0] = load("image-missing")["pods"][0]
    assert look("indexed-evicted-again", pods=parts["pods"]).phase == "running"


def test_a_failed_member_that_kubernetes_tries_again_is_not_the_end() -> None:
    body = load("indexed-retried")["body"]
    del body["status"]["conditions"]
    assert look("indexed-retried", body=body).phase == "running"


def test_retries_that_ended_well_are_forgotten() -> None:
    body = load("indexed-ok")["body"]
    assert look("indexed-retried", body=body).exit_code == 0


def test_the_end_of_a_job_may_be_known_before_the_end_of_its_pods() -> None:
    running, failed = load("train-running"), load("train-65")
    at = failed["now"]
    decided = [c for c in failed["body"]["status"]["conditions"] if c["type"] == "Failed"]
    decided[0]["lastTransitionTime"] = iso(at)
    early = look("train-65", body=failed["body"], pods=running["pods"], now=at + 1)
    assert early.phase == "running"
    nothing = look("train-65", body=failed["body"], pods=[], now=at + 1)
    assert nothing.phase == "waiting"
    late = look("train-65", body=failed["body"], pods=[], now=at + 11)
    assert (late.phase, late.exit_code) == ("ended", 137)
    assert "are gone: Job train-65 has failed" in late.message


def test_a_job_that_was_deleted_is_over_when_its_pods_are() -> None:
    running = load("train-running")["pods"]
    assert look("train-deleted", pods=running, gone=[]).phase == "running"
    seen = look("train-deleted", pods=[], gone=[])
    assert (seen.phase, seen.exit_code, seen.reason) == ("ended", 137, "Deleted")


def test_a_lost_node_is_shown_while_the_pod_seems_to_run() -> None:
    """As the node controller does it: Ready turns False without a reason, and an event."""
    pods, now = load("train-running")["pods"], load("train-running")["now"]
    ready = next(c for c in pods[0]["status"]["conditions"] if c["type"] == "Ready")
    ready |= {"status": "False", "lastTransitionTime": iso(now)}
    seen = look("train-running", pods=pods, events=[not_ready(pods[0]["metadata"]["name"])])
    assert seen.phase == "running"
    assert seen.steps[-1].text == "node node1: Node is not ready"
    assert "kubectl describe node node1" in seen.steps[-1].advice


def test_a_pod_of_a_lost_node_is_given_up_a_minute_after_its_grace() -> None:
    pods, now = load("train-running")["pods"], load("train-running")["now"]
    pods[0]["metadata"]["deletionTimestamp"] = iso(now)
    pods[0]["status"]["conditions"].append(
        {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        }
    )
    assert look("train-running", pods=pods, now=now + 50).phase == "running"
    seen = look("train-running", pods=pods, now=now + 71)
    assert (seen.exit_code, seen.reason) == (137, "NodeLost")
    assert seen.pods[0].phase == "Terminating"


def test_a_code_of_a_process_that_was_thrown_out_is_worth_another_try() -> None:
    gone = load("train-evicted")["gone"]
    gone[0]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 70
    assert look("train-evicted", gone=gone).exit_code == 137


def test_the_cause_of_an_older_kubelet_is_in_an_event() -> None:
    pods = load("image-missing")["pods"]
    state = pods[0]["status"]["containerStatuses"][0]["state"]["waiting"]
    state["message"] = 'Back-off pulling image "registry.example/nope:1"'
    assert look("image-missing", pods=pods).exit_code == 64


def look(sample: str, **changes: Any) -> Observation:
    """Observe a sample, with parts of it replaced."""
    data = load(sample) | changes
    kind: Kind = "arena"
    if sample.startswith(("train", "workers")) or sample.endswith("-ptj"):
        kind = "train"
    elif sample.startswith("indexed"):
        kind = "encode"
    job = StageJob(
        run="demo",
        stage=sample,
        attempt=2,
        kind=kind,
        spec="s3://bucket/spec.json",
        pods=2 if sample.startswith(("workers", "indexed")) else 1,
        resources={"memory": "6Gi"},
    )
    return observe(
        job,
        data["body"],
        data["pods"],
        data["events"],
        data["now"],
        DEADLINE,
        gone=data.get("gone", []),
    )


def load(sample: str) -> dict[str, Any]:
    return yaml.safe_load((SAMPLES / f"{sample}.yaml").read_text())


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def terminated(code: int, at: float, reason: str = "Error") -> dict[str, Any]:
    state = {"exitCode": code, "reason": reason, "startedAt": iso(at - 60), "finishedAt": iso(at)}
    return {"terminated": state}


def not_ready(pod: str) -> dict[str, Any]:
    return {
        "type": "Warning",
        "reason": "NodeNotReady",
        "message": "Node is not ready",
        "involvedObject": {"kind": "Pod", "name": pod},
        "lastTimestamp": "2026-11-22T18:43:00Z",
        "metadata": {},
    }
