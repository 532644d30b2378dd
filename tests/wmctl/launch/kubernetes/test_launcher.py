from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.fake_api import FakeApi
from tests.support.runs import small_run
from wmctl.launch.base import Observation, PlatformAway, StageJob
from wmctl.launch.kubernetes.kinds import JOBS, PODS
from wmctl.launch.kubernetes.launcher import KubernetesLauncher
from wmctl.launch.kubernetes.platform import Platform

PLATFORM = Platform(
    store="s3://games/wm",
    images=dict.fromkeys(("encoder", "trainer", "evaluator", "conductor"), "r/i@sha256:0"),
    version="0",
)
RUNNING = {"running": {"startedAt": "2026-11-22T03:00:05Z"}}


def terminated(code: int) -> dict[str, object]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": "2026-11-22T03:00:05Z",
            "finishedAt": "2026-11-22T03:00:09Z",
        }
    }


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def launcher(api: FakeApi) -> Iterator[KubernetesLauncher]:
    with KubernetesLauncher(api, PLATFORM, small_run(), "uid") as made:  # type: ignore[arg-type]
        yield made


def job(stage: str = "enc", attempt: int = 1) -> StageJob:
    spec = f"s3://games/wm/runs/r/{stage}/{attempt:02d}/spec.json"
    return StageJob(run="r", stage=stage, attempt=attempt, kind="encode", spec=spec)


def see(
    launcher: KubernetesLauncher, ready: Callable[[Observation], bool], which: StageJob
) -> Observation:
    """The observation for which it is true, as soon as the mirror shows it."""
    until, seen = time.monotonic() + 10, []
    while time.monotonic() < until:
        seen = launcher.observe([which])
        if seen and ready(seen[0]):
            return seen[0]
        time.sleep(0.02)
    raise AssertionError(seen)


def test_starting_twice_is_starting_once(api: FakeApi, launcher: KubernetesLauncher) -> None:
    launcher.start(job())
    launcher.start(job())
    assert [c for c in api.calls if "apply" in c] == ["apply jobs r-enc-01"]
    assert api.objects["jobs", "r-enc-01"]["metadata"]["ownerReferences"][0]["uid"] == "uid"


def test_a_job_is_followed_to_its_end(api: FakeApi, launcher: KubernetesLauncher) -> None:
    launcher.start(job())
    assert see(launcher, lambda o: o.phase == "waiting", job()).steps[0].name == "submitted"
    body = api.objects["jobs", "r-enc-01"]
    name = api.add_pod(body, "Running", RUNNING)
    assert see(launcher, lambda o: o.phase == "running", job()).pods[0].node == "node"
    api.logs[name] = "last words\n"
    api.add_pod(body, "Failed", terminated(70))
    body["status"] = {
        "conditions": [{"type": "Failed", "status": "True", "reason": "FailedIndexes"}]
    }
    ended = see(launcher, lambda o: o.phase == "ended", job())
    assert (ended.exit_code, ended.output) == (70, "last words\n")


def test_what_it_never_heard_of_is_left_out(launcher: KubernetesLauncher) -> None:
    assert launcher.observe([job()]) == []


def test_what_somebody_deleted_has_ended(api: FakeApi, launcher: KubernetesLauncher) -> None:
    launcher.start(job())
    see(launcher, lambda o: "r-enc-01" in launcher._shown, job())
    del api.objects["jobs", "r-enc-01"]
    ended = see(launcher, lambda o: o.phase == "ended", job())
    assert (ended.exit_code, ended.reason) == (137, "Deleted")


def test_stopping_deletes_what_runs_and_keeps_what_has_ended(
    api: FakeApi, launcher: KubernetesLauncher
) -> None:
    for stage, state in (("enc", terminated(0)), ("other", RUNNING)):
        launcher.start(job(stage))
        api.add_pod(api.objects["jobs", f"r-{stage}-01"], "Running", state)
    see(launcher, lambda o: o.phase == "running", job("other"))
    launcher.stop(job("enc"))
    launcher.stop(job("other"))
    assert [c for c in api.calls if "delete" in c] == ["delete jobs r-other-01"]


def test_a_sweep_ends_what_still_runs_and_says_what_is_left(
    api: FakeApi, launcher: KubernetesLauncher
) -> None:
    launcher.start(job("enc"))
    launcher.start(job("done"))
    api.add_pod(api.objects["jobs", "r-enc-01"], "Running", RUNNING)
    api.add_pod(api.objects["jobs", "r-done-01"], "Succeeded", terminated(0))
    conductor = {"metadata": {"name": "r-conductor", "labels": {"wm.dev/run": "r"}}}
    api.objects["jobs", "r-conductor"] = conductor
    api.add_pod(conductor, "Running", RUNNING)
    see(launcher, lambda o: o.phase == "running", job("enc"))
    while not any("conductor" in b["metadata"]["name"] for b in launcher._mirror.objects(PODS)):
        time.sleep(0.02)
    assert [pod.name for pod in launcher.sweep()] == ["r-enc-01-0"]
    assert [c for c in api.calls if "delete" in c] == ["delete jobs r-enc-01"]
    until = time.monotonic() + 10
    while launcher.sweep() and time.monotonic() < until:
        time.sleep(0.02)
    assert launcher.sweep() == []
    assert {b["metadata"]["name"] for b in launcher._mirror.objects(JOBS)} >= {"r-conductor"}


def test_an_api_that_is_away_is_said_when_starting_and_forgiven_when_stopping(
    api: FakeApi, launcher: KubernetesLauncher
) -> None:
    launcher.start(job())
    api.away = True
    launcher.stop(job())
    with pytest.raises(PlatformAway):
        launcher.start(job(attempt=2))
