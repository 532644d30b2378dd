"""What goes wrong at 3 AM, provoked for real. Each test says what a person is shown, and when.

The times that they print stand in docs/records/; the rows of docs/runbook.md name the same faults.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kube import LONG, Cluster, kubectl, shown, wait_for


def lease_holder(cluster: Cluster, run: str) -> str:
    return str(json.loads(cluster.store.get(f"runs/{run}/lease.json"))["token"])


def last(cluster: Cluster, run: str, stage: str) -> Any:
    """The newest end of an attempt of the stage."""
    ended = [e for e in cluster.events(run) if e.event == "ended" and e.stage == stage]
    return ended[-1] if ended else None


@pytest.mark.long
def test_an_image_that_does_not_exist_ends_the_stage_within_two_minutes(
    cluster: Cluster, small: str, tmp_path: Path
) -> None:
    images = yaml.safe_load(Path("k8s/images/kustomization.yaml").read_text())
    for image in images["images"]:
        if image["name"] == "wm-encoder":
            image["digest"] = "sha256:" + "0" * 64
    broken = tmp_path / "kustomization.yaml"
    broken.write_text(yaml.safe_dump(images))
    began = time.monotonic()
    run = cluster.submit(small, "e2e-image", WM_IMAGES=str(broken))
    state = cluster.wait_until_finished(run, 120)
    shown("image that does not exist", began)
    end = last(cluster, run, "encode")
    assert end.code == 64
    assert "not found" in end.text
    assert state.nodes["encode"].attempt == 1
    assert state.swept
    assert state.swept.detail == {"pods": 0, "gpus": 0}
    # The same plan with images that exist is the same run, and it goes on.
    assert cluster.submit(small, "e2e-image") == run
    assert not cluster.wait_until_finished(run).finished.code  # type: ignore[union-attr]


GPU = ("--set", "stages.train.resources.gpu=fake", "--set", "stages.train.resources.gpus=12")


def test_gpus_that_no_node_has_are_refused_before_anything_starts(
    cluster: Cluster, small: str
) -> None:
    done = cluster.wmctl("submit", small, "--on", "kubernetes", *GPU)
    assert done.code == 64
    assert "no node could ever run train" in done.err
    assert "nvidia.com/gpu" in done.err


def test_gpus_that_no_node_has_are_shown_in_the_schedulers_words(
    cluster: Cluster, small: str
) -> None:
    run = cluster.submit(small, "e2e-gpus", "--accept", *GPU)
    wait_for(lambda: cluster.pods(run, "train"), 90)
    began = time.monotonic()
    words = "Insufficient nvidia.com/gpu"
    wait_for(lambda: words in cluster.wmctl("status", run).out, 60)
    shown("GPU request that no node fits", began)
    assert cluster.wmctl("cancel", run).code == 0
    assert cluster.state(run).finished
    assert not [p for p in cluster.pods(run, "train") if p["status"]["phase"] == "Pending"]


BIG = tuple(
    word
    for one in ("model.hidden=3000", "processes=1", "steps=2")
    for word in ("--set", f"stages.train.{one}")
)
"""A model whose weights alone do not fit into what the tests leave. Where memory is only scarce
a stage is slow for minutes before it runs out: it reads code again that was just dropped."""


def memory(stage: str, most: str, again: str = "") -> tuple[str, ...]:
    """Settings that give a stage little memory, and where ``again`` is given more and more."""
    sets = [f"stages.{stage}.resources.memory={most}"]
    sets += [f"stages.{stage}.resources.memory_max={again}"] if again else []
    return tuple(word for one in sets for word in ("--set", one))


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("encode", memory("encode", "48Mi")),
        pytest.param("train", BIG + memory("train", "700Mi"), marks=pytest.mark.long),
        pytest.param(
            "arena",
            BIG + memory("train", "3Gi") + memory("arena", "400Mi"),
            marks=pytest.mark.long,
        ),
    ],
)
def test_want_of_memory_is_named_and_not_tried_again_in_vain(
    cluster: Cluster, small: str, stage: str, words: tuple[str, ...]
) -> None:
    run = cluster.submit(small, f"e2e-oom-{stage}", *words)
    wait_for(lambda: cluster.state(run).nodes[stage].attempt or cluster.state(run).finished, 180)
    began = time.monotonic()
    state = cluster.wait_until_finished(run, 180)
    shown(f"OOMKilled in {stage}, from its start to the run's end", began)
    end = last(cluster, run, stage)
    assert (end.code, end.detail["reason"]) == (137, "OOMKilled"), end
    assert "memory" in f"{end.text} {end.hint}"
    assert state.nodes[stage].attempt == 1


@pytest.mark.long
def test_want_of_memory_is_tried_again_with_more_where_the_plan_allows_it(
    cluster: Cluster, small: str
) -> None:
    run = cluster.submit(small, "e2e-oom-more", *BIG, *memory("train", "700Mi", "3Gi"))
    state = cluster.wait_until_finished(run, 300)
    assert not state.finished.code  # type: ignore[union-attr]
    started = [e for e in cluster.events(run) if e.event == "started" and e.stage == "train"]
    given = [event.detail["memory"] for event in started]
    assert given == ["700Mi", "1400Mi", "2800Mi", "3Gi"][: len(given)]
    assert len(given) > 1


def evict(pod: str) -> None:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": "wm"},
    }
    path = Path("/tmp") / f"{pod}.json"
    path.write_text(json.dumps(body))
    kubectl("create", "--raw", f"/api/v1/namespaces/wm/pods/{pod}/eviction", "-f", str(path))
    path.unlink()


def delete(pod: str) -> None:
    kubectl("delete", "pod", pod, "--wait=false")


def kill(pod: str) -> None:
    """SIGKILL a training process from inside; PID 1 cannot be killed from there."""
    script = (
        "import os, pathlib\n"
        "for p in pathlib.Path('/proc').glob('[0-9]*'):\n"
        "    if b'trainer.worker' in (p / 'cmdline').read_bytes().split(b'\\0'):\n"
        "        os.kill(int(p.name), 9); break\n"
    )
    kubectl("exec", pod, "--", "python", "-c", script)


@pytest.mark.parametrize(
    ("how", "code", "failures"),
    [
        (delete, 143, 0),
        pytest.param(evict, 143, 0, marks=pytest.mark.long),
        pytest.param(kill, 137, 1, marks=pytest.mark.long),
    ],
)
def test_a_training_that_is_hit_goes_on_from_its_saved_step(
    cluster: Cluster, small: str, how: Any, code: int, failures: int
) -> None:
    run = cluster.submit(small, f"e2e-{how.__name__}", *LONG)
    cluster.wait_for_step(run, "train", 500)
    [pod] = cluster.pods(run, "train")
    began = time.monotonic()
    how(pod["metadata"]["name"])
    wait_for(lambda: cluster.codes(run, "train"), 60)
    shown(f"{how.__name__}: end of the attempt", began)
    cluster.wait_for_step(run, "train", 501)
    shown(f"{how.__name__}: training goes on", began)
    state = cluster.wait_until_finished(run)
    assert not state.finished.code  # type: ignore[union-attr]
    assert cluster.codes(run, "train") == [code, 0], cluster.codes(run, "train")
    assert state.nodes["train"].failures == failures
    resumed = cluster.store.get(f"runs/{run}/train/02/metrics.jsonl").splitlines()[0]
    first = json.loads(resumed)
    assert first["event"] == "resume"
    assert first["step"] >= (500 if code == 143 else 400)


@pytest.mark.long
def test_a_conductor_that_is_killed_at_three_stages_is_followed_by_one_that_goes_on(
    cluster: Cluster, small: str
) -> None:
    run = cluster.submit(small, "e2e-conductor", "--set", "stages.train.steps=2000")
    for stage in ("encode", "train", "arena"):
        wait_for(lambda s=stage: cluster.state(run).nodes[s].phase == "running", 180)
        began, holder = time.monotonic(), lease_holder(cluster, run)
        conductors = kubectl(
            *("get", "pods", "-o", "name", "--field-selector=status.phase=Running"),
            *("-l", f"wm.dev/run={run},app.kubernetes.io/component=conductor"),
        ).split()
        for pod in conductors:
            kubectl("delete", pod, "--grace-period=0", "--force")
        wait_for(lambda h=holder: lease_holder(cluster, run) != h, 180)
        shown(f"conductor killed during {stage}: the next one is at work", began)
    state = cluster.wait_until_finished(run)
    assert not state.finished.code  # type: ignore[union-attr]
    assert {name: node.attempt for name, node in state.nodes.items()} == {
        "encode": 1,
        "train": 1,
        "arena": 1,
    }


@pytest.mark.long
def test_an_operator_that_is_away_is_named_and_waited_for(cluster: Cluster, small: str) -> None:
    scale = ("-n", "kubeflow", "scale", "deployment", "training-operator")
    kubectl(*scale, "--replicas=0")
    try:
        kubectl("-n", "kubeflow", "wait", "--for=delete", "pod", "--all", "--timeout=60s")
        run = cluster.submit(small, "e2e-operator")
        wait_for(lambda: cluster.state(run).nodes["train"].phase == "running", 90)
        began = time.monotonic()
        wait_for(lambda: "operator" in cluster.wmctl("status", run).out, 60)
        shown("operator away", began)
    finally:
        kubectl(*scale, "--replicas=1")
    assert not cluster.wait_until_finished(run).finished.code  # type: ignore[union-attr]


def test_a_wrong_bucket_is_refused_at_once(cluster: Cluster, small: str) -> None:
    began = time.monotonic()
    done = cluster.wmctl("submit", small, "--on", "kubernetes", WM_STORE="s3://no-such-bucket/wm")
    shown("wrong bucket name", began)
    assert done.code != 0
    assert "no-such-bucket" in done.err


@pytest.mark.long
def test_a_cancelled_run_goes_on_when_it_is_submitted_again(cluster: Cluster, small: str) -> None:
    run = cluster.submit(small, "e2e-cancel", *LONG)
    cluster.wait_for_step(run, "train", 300)
    began = time.monotonic()
    done = cluster.wmctl("cancel", run)
    shown("cancelled", began)
    assert done.code == 0, done.err
    assert cluster.codes(run, "train") == [143]
    assert cluster.state(run).finished.code == 143  # type: ignore[union-attr]
    assert cluster.submit(small, "e2e-cancel", *LONG) == run
    state = cluster.wait_until_finished(run)
    assert not state.finished.code  # type: ignore[union-attr]
    assert cluster.codes(run, "train") == [143, 0]
