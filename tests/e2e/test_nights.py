"""Nights in miniature on a real cluster: the two plans of the mission, and what may cross them.

Each prints what was forecast at submission and what was measured. With WM_E2E_REPORTS set, their
pages are copied there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.kube import Cluster, kubectl, shown, wait_for
from wm.artifacts.model import load_card
from wmctl.run.history import Event
from wmctl.run.state import RunState

MINI = ("--set", "scale=mini")
NIGHT = 1500.0
"""Seconds that one may take on a busy machine."""

pytestmark = pytest.mark.timeout(NIGHT + 300)


def forecast(cluster: Cluster, plan: str, *words: str) -> dict[str, float]:
    """What ``wmctl plan`` says, and how fast."""
    began = time.monotonic()
    done = cluster.wmctl("plan", plan, "--on", "kubernetes", "--json", *words)
    assert done.code == 0, done.err
    shown(f"plan {plan}", began)
    return json.loads(done.out)  # type: ignore[no-any-return]


def ended(cluster: Cluster, run: str, ahead: dict[str, float]) -> RunState:
    """The state at the end; every promise of a night is looked at."""
    state = cluster.wait_until_finished(run, NIGHT)
    assert state.finished
    events = cluster.events(run)
    seconds = state.finished.time - events[0].time
    ratio = ahead["seconds"] / seconds
    spent = sum(node.usd for node in state.nodes.values())
    print(  # noqa: T201
        f"[night] {run}: {seconds:.0f} s, forecast {ahead['seconds']:.0f} s ({ratio:.2f}), "
        f"${spent:.5f}, forecast ${ahead['usd']:.5f}, "
        f"{', '.join(f'{n} {v.outcome}' for n, v in state.verdicts.items())}"
    )
    explained = cluster.wmctl("explain", run)
    assert explained.code == 0, explained.out
    if state.terms.deadline:
        assert all(v.time <= state.terms.deadline for v in state.verdicts.values())
    if folder := os.environ.get("WM_E2E_REPORTS"):
        Path(folder, f"{run}.html").write_bytes(cluster.store.get(f"runs/{run}/index.html"))
    return state


def found(cluster: Cluster, run: str, kind: str) -> list[Event]:
    return [event for event in cluster.events(run) if event.event == kind]


def test_overnight_ends_in_a_verdict(cluster: Cluster) -> None:
    ahead = forecast(cluster, "overnight", *MINI)
    run = cluster.submit("overnight", "night", *MINI)
    state = ended(cluster, run, ahead)
    assert state.verdicts["melee"].outcome in ("promote", "hold")
    assert {"rate", "rate-2", "context", "bet"} == set(state.choices)
    assert all(node.attempt <= 1 for node in state.nodes.values())
    swept = state.swept
    assert swept
    assert swept.detail == {"pods": 0, "gpus": 0}


@pytest.fixture(scope="module")
def references(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The three references of best_model, from a weights file; the data set is there then too."""
    words = (*MINI, "--set", "stages.safe.epochs=1", "--only", "safe")
    run = cluster.submit("best_model", "refs", *words)
    assert not cluster.wait_until_finished(run).finished.code  # type: ignore[union-attr]
    card = load_card(cluster.store, cluster.state(run).nodes["safe"].result["model"])
    folder = tmp_path_factory.mktemp("weights")
    (folder / "old.safetensors").write_bytes(cluster.store.get(card.weights.key))
    (folder / "old.json").write_text(json.dumps(card.config))
    names = ["base", "combined", "cloud_fulltrain"]
    for name in names:
        files = (str(folder / "old.safetensors"), "--config", str(folder / "old.json"))
        done = cluster.wmctl("models", "import", *files, "--as", name)
        assert done.code == 0, done.err
    return names


@pytest.mark.long
@pytest.mark.usefixtures("references")
def test_best_model_ends_in_a_verdict(cluster: Cluster) -> None:
    ahead = forecast(cluster, "best_model", *MINI)
    run = cluster.submit("best_model", "best", *MINI)
    state = ended(cluster, run, ahead)
    assert state.verdicts["chess"].outcome in ("promote", "hold")
    gates = {event.name: event.outcome for event in found(cluster, run, "gate")}
    assert gates["the data set is there"] == "pass"
    assert {"scale up to balanced", "more epochs of safe"} <= set(gates)


@pytest.mark.long
def test_overnight_again_is_forecast_from_the_ledger(cluster: Cluster) -> None:
    ahead = forecast(cluster, "overnight", *MINI)
    run = cluster.submit("overnight", "night-again", *MINI)
    state = ended(cluster, run, ahead)
    seconds = state.finished.time - state.since  # type: ignore[union-attr]
    assert ahead["seconds"] / seconds == pytest.approx(1, abs=0.25)


@pytest.mark.long
def test_a_tight_deadline_is_kept_by_shortening(cluster: Cluster) -> None:
    more = (*MINI, "--set", "stages.large.epochs=150", "--set", "stages.large.shorten_to=0.02")
    ahead = forecast(cluster, "overnight", *more, "--set", "deadline=5m")
    run = cluster.submit("overnight", "night-tight", *more, "--set", "deadline=5m", "--accept")
    state = ended(cluster, run, ahead)
    assert state.verdicts["melee"].outcome in ("promote", "hold")
    assert found(cluster, run, "shortened")
    assert not state.over


@pytest.mark.long
def test_at_the_cap_what_there_is_is_judged(cluster: Cluster) -> None:
    more = (*MINI, "--set", "stages.large.epochs=200", "--set", "stages.large.shorten_to=0.01")
    budget = ("--set", "budget=0.0015")
    ahead = forecast(cluster, "overnight", *more, *budget)
    run = cluster.submit("overnight", "night-cap", *more, *budget, "--accept")
    state = ended(cluster, run, ahead)
    assert state.verdicts["melee"].outcome in ("promote", "hold")
    assert any("would cost" in event.text for event in found(cluster, run, "shortened"))
    assert sum(node.usd for node in state.nodes.values()) <= 0.0015


def freeze(run: str, stage: str) -> None:
    """Every process of a stage's pod stands still, its first one too: no heartbeat, no end."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if f"/{run}/{stage}/".encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGSTOP)


@pytest.mark.long
@pytest.mark.usefixtures("node")
def test_a_night_with_trouble_ends_in_a_verdict(cluster: Cluster) -> None:
    more = (*MINI, "--set", "stages.large.epochs=25", "--set", "hang_s=45")
    ahead = forecast(cluster, "overnight", *more)
    run = cluster.submit("overnight", "night-trouble", *more)

    def large() -> str:
        running = [n for n, s in cluster.state(run).nodes.items() if s.phase == "running"]
        return next((name for name in running if name.startswith("large-")), "")

    stage = wait_for(large, NIGHT)
    cluster.wait_for_step(run, stage, 150, 300)
    assert cluster.wmctl("prices", run, "cpu=0.08").code == 0

    [pod] = [p["metadata"]["name"] for p in cluster.pods(run, stage)]
    kubectl("delete", "pod", pod, "--wait=false")  # as a reclaimed node would
    wait_for(lambda: cluster.state(run).nodes[stage].attempt == 2, 120)
    conductors = ("-l", f"wm.dev/run={run},app.kubernetes.io/component=conductor")
    kubectl("delete", "pod", *conductors, "--wait=false")

    cluster.wait_for_step(run, stage, 400, 300)
    freeze(run, stage)
    began = time.monotonic()
    wait_for(lambda: found(cluster, run, "hung"), 180)
    shown("training that stands still", began)

    state = ended(cluster, run, ahead)
    assert state.verdicts["melee"].outcome in ("promote", "hold")
    assert found(cluster, run, "priced")
    assert cluster.codes(run, stage) == [143, 160, 0]
