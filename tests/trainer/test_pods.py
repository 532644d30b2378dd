"""Two pods that train together, as two stages of this machine with the cluster's environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.s3 import free_ports
from tests.support.training import finish, publish_chess, settings, start, wait_for, write_spec
from trainer.config import TrainConfig
from trainer.pods import torchrun_options
from wm.errors import BadConfig, Exit
from wm.stage import Outcome, StageSpec
from wm.stage.spec import member_prefix
from wm.store import Store, open_store

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.skipif(sys.platform != "linux", reason="stages die with their parent there"),
]

Process = subprocess.Popen[str]

LONG: dict[str, Any] = {
    "steps": 240,
    "checkpoint_every": 40,
    "validate_every": 240,
    "log_every": 5,
}


def test_two_pods_stop_together_and_go_on_to_the_bits_of_one(tmp_path: Path, s3_url: str) -> None:
    """Each downloads the data into a scratch folder of its own; one of them is told to stop."""
    alone, apart = open_store(str(tmp_path / "alone")), open_store(s3_url)
    config = settings(publish_chess(alone), pods=2, **LONG)
    publish_chess(apart)
    whole = write_spec(alone, config)
    assert finish(start(tmp_path / "alone", whole))[0] == Exit.OK

    first = write_spec(apart, config)
    pods = start_pods(s3_url, first, tmp_path)
    wait_for(pods[0], "step 50 of 240")
    pods[1].terminate()
    ended = [finish(pod) for pod in pods]
    assert [code for code, _ in ended] == [Exit.PREEMPTED] * 2, ended
    messages = {outcome(apart, first, member).message for member in range(2)}
    assert len(messages) == 1
    assert "its state is saved" in messages.pop()

    second = write_spec(apart, config, attempt=2)
    pods = start_pods(s3_url, second, tmp_path)
    ended = [finish(pod) for pod in pods]
    assert [code for code, _ in ended] == [Exit.OK] * 2, ended
    log, quiet = (log for _, log in ended)
    assert "going on from runs/r/train/01/checkpoints/step-" in log
    assert "WARNING" not in log + quiet
    assert "step 240 of 240" not in quiet
    assert "pod 1 of 2; pod 0 has the training's log" in quiet
    assert outcome(apart, second, 1).result == {}
    assert outcome(apart, second, 0).result["model"] == outcome(alone, whole, 0).result["model"]


@pytest.mark.parametrize("killed", [0, 1])
def test_a_pod_that_is_killed_ends_the_other_at_once(
    store: Store, tmp_path: Path, killed: int
) -> None:
    """The first holds the place where they meet, so the two cases differ."""
    spec = write_spec(store, settings(publish_chess(store), pods=2, **LONG | {"steps": 10**6}))
    pods = start_pods(store.url, spec, tmp_path)
    wait_for(pods[0], "step 50 of")
    pods[killed].kill()
    begun = time.monotonic()

    code, log = finish(pods[1 - killed])

    assert code == Exit.HANG, log
    assert time.monotonic() - begun < 60
    assert outcome(store, spec, 1 - killed).message == "another pod of this training is gone"
    assert "Traceback" not in log
    finish(pods[killed])


def test_pod_0_says_why_another_pod_ended(store: Store, tmp_path: Path) -> None:
    spec = write_spec(store, settings(publish_chess(store), pods=2, **LONG | {"steps": 10**6}))
    pods = start_pods(store.url, spec, tmp_path)
    wait_for(pods[0], "step 50 of")
    os.kill(worker(pods[1]), signal.SIGKILL)

    ended = [finish(pod) for pod in pods]

    assert [code for code, _ in ended] == [Exit.KILLED] * 2, ended
    told = outcome(store, spec, 0).message
    assert told == "pod 1: a training process was ended by signal 9"


def test_a_pod_waits_for_the_others_so_long_and_no_longer(store: Store, tmp_path: Path) -> None:
    spec = write_spec(store, settings(publish_chess(store), pods=2, first_step_s=4))

    code, log = finish(start_pods(store.url, spec, tmp_path, members=1)[0])

    assert code == Exit.HANG, log
    assert "the other pods of this training did not come within 4 s" in log


def test_pods_need_a_place_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig.model_validate(settings("datasets/chess/f00d", pods=2))
    assert torchrun_options(config, "r")[:1] == ["--standalone"]
    monkeypatch.setenv("WM_MEMBER", "0")

    with pytest.raises(BadConfig, match="PET_RDZV_ENDPOINT does not say where they meet"):
        torchrun_options(config, "r")


def start_pods(url: str, spec: StageSpec, tmp_path: Path, members: int = 2) -> list[Process]:
    """The attempt's first pods, with what an elastic PyTorchJob puts into their environment."""
    (port,) = free_ports(1)
    pods = []
    for member in range(members):
        scratch = tmp_path / f"scratch-{spec.attempt}-{member}"
        scratch.mkdir()
        environment = {
            "WM_MEMBER": str(member),
            "TMPDIR": str(scratch),
            "PET_RDZV_BACKEND": "c10d",
            "PET_RDZV_ENDPOINT": f"127.0.0.1:{port}",
            "PET_NNODES": "2:2",
            "PET_NPROC_PER_NODE": "1",
            "PET_MAX_RESTARTS": "3",
        }
        pods.append(start(url, spec, **environment))
    return pods


def worker(pod: Process) -> int:
    """The training process of a pod."""
    ids = subprocess.run(
        ["pgrep", "--session", str(pod.pid), "-f", "trainer.worker"],
        capture_output=True,
        text=True,
        check=True,
    )
    return max(map(int, ids.stdout.split()))


def outcome(store: Store, spec: StageSpec, member: int) -> Outcome:
    """What a pod left."""
    data = store.get(f"{member_prefix(spec.prefix, member)}/outcome.json")
    return Outcome.model_validate_json(data)
