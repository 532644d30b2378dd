"""The demo plan on a cluster: both games, from raw files to two verdicts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.support.kube import Cluster, kubectl
from tests.support.tiny import run, wmctl
from wm.store import open_store
from wmctl.run.find import find_run

RUN_WITHIN = 900


@pytest.fixture(scope="module")
def demo(cluster: Cluster) -> str:
    """A finished run of the demo on the cluster."""
    began = time.monotonic()
    name = cluster.submit("demo", "demo")
    assert time.monotonic() - began < 30, "submit should return at once"
    cluster.wait_until_finished(name, RUN_WITHIN)
    print(f"demo on the cluster: {time.monotonic() - began:.0f} s")  # noqa: T201
    return name


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same plan, run on this machine; WM_E2E_DEMO names a store where that was done."""
    if known := os.environ.get("WM_E2E_DEMO"):
        return Path(known)
    store = tmp_path_factory.mktemp("home") / "store"
    done = run(wmctl(store, "submit", "demo"), timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    return store


@pytest.mark.timeout(RUN_WITHIN + 60)
def test_it_ends_in_two_verdicts(cluster: Cluster, demo: str) -> None:
    state = cluster.state(demo)
    assert state.finished
    assert state.finished.code is None or state.finished.code == 0, state.finished
    assert {n: v.outcome for n, v in state.verdicts.items()} == {
        "chess": "promote",
        "melee": "promote",
    }
    assert all(node.attempt == 1 for node in state.nodes.values())


@pytest.mark.timeout(RUN_WITHIN)
def test_its_weights_are_those_of_the_same_run_at_home(
    cluster: Cluster, demo: str, at_home: Path
) -> None:
    assert weights(cluster.store.url, demo) == weights(str(at_home), None)


def test_kubectl_and_wmctl_show_the_same_lines(cluster: Cluster, demo: str) -> None:
    seen = 0
    for pod in cluster.pods(demo):
        labels = pod["metadata"]["labels"]
        stage = labels.get("wm.dev/stage", "conductor")
        theirs = kubectl("logs", pod["metadata"]["name"]).splitlines()
        ours = cluster.wmctl("logs", demo, stage).out.splitlines()
        assert theirs == ours, stage
        seen += bool(theirs)
    assert seen == 9, "eight stages and the conductor"


def test_lineage_names_the_images(cluster: Cluster, demo: str) -> None:
    images = json.loads(cluster.wmctl("report", demo, "--json").out)["images"]
    assert len(images) == 9, "eight stages and the conductor"
    assert all("@sha256:" in image for image in images.values()), images
    page = cluster.store.get(f"runs/{demo}/index.html").decode()
    assert all(image.partition("@")[2] in page for image in images.values())


def test_nothing_of_it_holds_a_machine(cluster: Cluster, demo: str) -> None:
    swept = cluster.state(demo).swept
    assert swept
    assert swept.detail == {"pods": 0, "gpus": 0}
    phases = {pod["status"]["phase"] for pod in cluster.pods(demo)}
    assert phases <= {"Succeeded"}, phases


def test_submitting_again_is_the_same_run(cluster: Cluster, demo: str) -> None:
    assert cluster.submit("demo", "demo") == demo


def test_gc_clears_the_cluster_and_leaves_the_store(cluster: Cluster, demo: str) -> None:
    before = {entry.key for entry in cluster.store.list("")}
    done = cluster.wmctl("gc", demo)
    assert done.code == 0, done.err
    kinds = "all,pytorchjobs,configmaps,secrets"
    assert kubectl("get", kinds, "-l", f"wm.dev/run={demo}", "-o", "name") == ""
    assert {entry.key for entry in cluster.store.list("")} == before
    assert cluster.wmctl("report", demo).code == 0
    assert cluster.wmctl("logs", demo, "train-mlp").out


def weights(store: str, run: str | None) -> dict[str, str]:
    """Train stage -> SHA-256 of the weights that it published."""
    opened = open_store(store)
    spec = find_run(opened, run)
    found = {}
    for entry in opened.list("models/"):
        if entry.key.endswith("/model.json"):
            card = json.loads(opened.get(entry.key))
            if card["run"] == spec.run:
                found[card["stage"]] = card["weights"]["sha256"]
    assert len(found) == 4, found
    return found
