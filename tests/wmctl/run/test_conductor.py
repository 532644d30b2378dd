from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import RESULTS, arena_result, small_run
from wm.stage.chunks import read_log
from wm.stage.spec import Outcome, StageSpec, attempt_prefix
from wm.store import Store, open_store
from wm.store.lease import Lease, Owner
from wmctl.launch.base import Observation, PlatformAway, Pod, StageJob
from wmctl.run.cancel import ask_to_cancel
from wmctl.run.conductor import Conductor
from wmctl.run.history import Event, History
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState


class ScriptedLauncher:
    """Stages that end at once, with the codes that a test says; then well."""

    detached = False

    def __init__(self, store: Store, codes: dict[str, list[int]] | None = None) -> None:
        self.store = store
        self.codes = codes or {}
        self.started: list[str] = []
        self.ended: list[Observation] = []

    def start(self, job: StageJob) -> None:
        self.started.append(job.name)
        code = self.codes.get(job.stage, [0]).pop(0) if self.codes.get(job.stage) else 0
        prefix = attempt_prefix(job.run, job.stage, job.attempt)
        StageSpec.model_validate_json(self.store.get(f"{prefix}/spec.json"))
        if code == 0:
            if job.stage == "arena":
                key = RESULTS["arena"]["result"]
                self.store.put(key, arena_result().model_dump_json().encode())
            outcome = Outcome(code=0, result=RESULTS[job.stage], started=0, ended=1)
            self.store.put(f"{prefix}/outcome.json", outcome.model_dump_json().encode())
        self.ended.append(
            Observation(job=job, phase="ended", exit_code=code, output="last words\n")
        )

    def observe(self, jobs: Sequence[StageJob]) -> list[Observation]:
        names = {job.name for job in jobs}
        return [seen for seen in self.ended if seen.job.name in names]

    def stop(self, job: StageJob) -> None:
        assert job.name in {seen.job.name for seen in self.ended}

    def trouble(self) -> str:
        return ""

    def sweep(self) -> list[Pod]:
        return []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def conduct(
    store: Store,
    spec: RunSpec,
    launcher: ScriptedLauncher,
    tell: Callable[[Event], None] = lambda event: None,
) -> int:
    with Lease.acquire(store, "lease.json", Owner.here(), 60) as lease:
        return Conductor(spec, store, launcher, cpus=4, tell=tell).run(lease)


def outline(store: Store) -> list[str]:
    return [f"{e.event} {e.stage or e.outcome}".strip() for e in History(store, "r").events]


WHOLE = [
    "submitted",
    "started enc",
    "ended enc",
    "started train-winner",
    "started train-loser",
    "ended train-winner",
    "ended train-loser",
    "started arena",
    "ended arena",
    "verdict promote",
    "finished",
]


def test_a_run_is_conducted_to_its_verdict(store: Store) -> None:
    assert conduct(store, small_run(), ScriptedLauncher(store)) == 0
    assert outline(store) == WHOLE


def test_a_killed_attempt_is_tried_again_and_its_output_kept(store: Store) -> None:
    launcher = ScriptedLauncher(store, {"enc": [137]})
    assert conduct(store, small_run(), launcher) == 0
    assert launcher.started[:2] == ["r-enc-01", "r-enc-02"]
    assert read_log(store, "runs/r/enc/01") == b"last words\n"


def test_an_exit_code_of_zero_without_an_outcome_is_no_success(store: Store) -> None:
    launcher = ScriptedLauncher(store)
    launcher.start = lambda job: launcher.ended.append(  # type: ignore[method-assign]
        Observation(job=job, phase="ended", exit_code=0)
    )
    assert conduct(store, small_run(), launcher) == 70


@pytest.mark.parametrize("dies_at", range(1, len(WHOLE)))
def test_a_conductor_that_dies_anywhere_is_followed_by_one_that_goes_on(
    store: Store, dies_at: int
) -> None:
    class Death(BaseException):
        pass

    told: list[Event] = []

    def die(event: Event) -> None:
        told.append(event)
        if len(told) == dies_at:
            raise Death

    with pytest.raises(Death):
        conduct(store, small_run(), ScriptedLauncher(store), die)
    assert conduct(store, small_run(), ScriptedLauncher(store)) == 0
    events = History(store, "r").events
    well = [e.stage for e in events if e.event == "ended" and e.code == 0]
    assert sorted(well) == ["arena", "enc", "train-loser", "train-winner"]
    assert sum(e.event == "verdict" for e in events) == 1


def test_every_attempt_has_its_spec_before_it_starts(store: Store) -> None:
    conduct(store, small_run(), ScriptedLauncher(store))
    spec = StageSpec.model_validate_json(store.get("runs/r/train-winner/01/spec.json"))
    assert spec.config["data"] == "datasets/chess/ab"
    assert spec.config["labels"] == "winner"


def test_progress_sees_every_state(store: Store) -> None:
    phases: list[Any] = []
    with Lease.acquire(store, "lease.json", Owner.here(), 60) as lease:
        Conductor(
            small_run(),
            store,
            ScriptedLauncher(store),
            cpus=4,
            tick=lambda state: phases.append([n.phase for n in state.nodes.values()]),
        ).run(lease)
    assert phases[0] == ["waiting"] * 4
    assert phases[-1] == ["done"] * 4


class PatientLauncher(ScriptedLauncher):
    """Stages that run until they are asked to stop."""

    def start(self, job: StageJob) -> None:
        self.ended = [Observation(job=job, phase="running")]

    def stop(self, job: StageJob) -> None:
        self.ended = [Observation(job=job, phase="ended", exit_code=143)]


def test_what_is_shown_last_of_an_interrupted_run_is_how_it_was_left(store: Store) -> None:
    shown: list[str] = []
    lease = Lease.acquire(store, "runs/r/lease.json", Owner.here(), 60)

    def interrupt(event: Event) -> None:
        if event.event == "started":
            conductor.interrupted.set()

    with lease:
        conductor = Conductor(
            small_run(),
            store,
            PatientLauncher(store),
            cpus=1,
            tell=interrupt,
            tick=lambda state: shown.append(state.nodes["enc"].phase),
        )
        assert conductor.run(lease) == 143
    assert shown[-2:] == ["running", "waiting"]


class Cluster(ScriptedLauncher):
    """Stages that outlive their conductor; each is as the test last said."""

    detached = True

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.stopped: list[str] = []
        self.away = False
        self.left: list[list[Pod]] = []

    def start(self, job: StageJob) -> None:
        if self.away:
            raise PlatformAway("the API server does not answer")
        super().start(job)

    def stop(self, job: StageJob) -> None:
        self.stopped.append(job.name)

    def trouble(self) -> str:
        return "no news since 03:00:00 UTC" if self.away else ""

    def sweep(self) -> list[Pod]:
        return self.left.pop(0) if self.left else []


def test_a_detached_run_ends_with_a_look_at_what_is_left(store: Store) -> None:
    launcher = Cluster(store)
    launcher.left = [[Pod(name="p", gpus=8)], [Pod(name="p", gpus=8)], []]
    assert conduct(store, small_run(), launcher) == 0
    swept = [e for e in History(store, "r").events if e.event == "swept"]
    assert [e.detail for e in swept] == [{"pods": 0, "gpus": 0}]
    assert not launcher.left


def test_pods_that_do_not_go_are_named_with_the_gpus_they_hold(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmctl.run.conductor.SWEEP_FOR", 0.0)
    launcher = Cluster(store)
    launcher.left = [[Pod(name="stuck", gpus=8)]]
    conduct(store, small_run(), launcher)
    [swept] = [e for e in History(store, "r").events if e.event == "swept"]
    assert "stuck" in swept.text
    assert swept.detail == {"pods": 1, "gpus": 8}


def test_a_detached_conductor_leaves_its_stages_at_work_and_the_next_one_goes_on(
    store: Store,
) -> None:
    launcher = Cluster(store)
    launcher.start = lambda job: launcher.ended.append(  # type: ignore[method-assign]
        Observation(job=job, phase="running")
    )

    def interrupt(event: Event) -> None:
        if event.event == "started":
            conductor.interrupted.set()

    with Lease.acquire(store, "lease.json", Owner.here(), 60) as lease:
        conductor = Conductor(small_run(), store, launcher, cpus=4, tell=interrupt)
        assert conductor.run(lease) == 143
    assert not launcher.stopped
    assert outline(store) == ["submitted", "started enc"]

    # Meanwhile the stage ends; nobody was there to see it.
    outcome = Outcome(code=0, result=RESULTS["enc"], started=0, ended=1)
    store.put("runs/r/enc/01/outcome.json", outcome.model_dump_json().encode())
    seen = launcher.ended[0].model_copy(update={"phase": "ended", "exit_code": 0})
    successor = Cluster(store)
    successor.ended = [seen]
    with Lease.acquire(store, "lease.json", Owner.here(), 60) as lease:
        conductor = Conductor(small_run(), store, successor, cpus=4)
        assert conductor.run(lease, submitted=False) == 0
    assert [line for line in outline(store) if "enc" in line] == ["started enc", "ended enc"]
    assert "resumed" not in outline(store)


def test_an_attempt_that_the_platform_never_heard_of_is_made_anew(store: Store) -> None:
    History(store, "r").append("submitted")
    history = History(store, "r")
    history.append("started", stage="enc", attempt=1, detail={"memory": "1Gi"})
    launcher = Cluster(store)
    with Lease.acquire(store, "lease.json", Owner.here(), 60) as lease:
        assert Conductor(small_run(), store, launcher, cpus=4).run(lease, submitted=False) == 0
    assert launcher.started[0] == "r-enc-02"


def test_a_platform_that_is_away_costs_time_and_no_attempt(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmctl.run.conductor.START_AGAIN", 0.0)
    launcher = Cluster(store)
    launcher.away = True
    looks: list[str] = []

    def tick(state: RunState) -> None:
        looks.append(state.nodes["enc"].phase)
        launcher.away = len(looks) < 4

    with Lease.acquire(store, "lease.json", Owner.here(), 60) as lease:
        assert Conductor(small_run(), store, launcher, cpus=4, tick=tick).run(lease) == 0
    assert launcher.started.count("r-enc-01") == 1
    assert [e.attempt for e in History(store, "r").events if e.stage == "enc"] == [1, 1]


def test_what_a_cut_off_node_left_in_the_store_is_believed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmctl.run.conductor.OUTCOMES_EVERY", 0.0)

    class CutOff(Cluster):
        def observe(self, jobs: Sequence[StageJob]) -> list[Observation]:
            return [Observation(job=job, phase="running") for job in jobs]

    assert conduct(store, small_run(), CutOff(store)) == 0
    assert outline(store)[:-2] == WHOLE[:-1]


def test_the_platforms_word_for_want_of_memory_counts_more_than_an_outcome(store: Store) -> None:
    class Hidden(Cluster):
        def start(self, job: StageJob) -> None:
            prefix = attempt_prefix(job.run, job.stage, job.attempt)
            outcome = Outcome(code=70, message="a worker vanished", started=0, ended=1)
            self.store.put(f"{prefix}/outcome.json", outcome.model_dump_json().encode())
            killed = Observation(
                job=job,
                phase="ended",
                exit_code=70,
                reason="OOMKilled",
                message="out of memory at 1Gi",
            )
            self.ended.append(killed)

    assert conduct(store, small_run(), Hidden(store)) == 137
    [end] = [e for e in History(store, "r").events if e.event == "ended"]
    assert (end.code, end.text, end.detail["reason"]) == (137, "out of memory at 1Gi", "OOMKilled")


def test_a_wish_to_cancel_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmctl.run.conductor.CANCEL_EVERY", 0.0)
    launcher = PatientLauncher(store)

    def wish(event: Event) -> None:
        if event.event == "started":
            ask_to_cancel(store, "r")

    with Lease.acquire(store, "runs/r/lease.json", Owner.here(), 60) as lease:
        assert Conductor(small_run(), store, launcher, cpus=1, tell=wish).run(lease) == 143
    assert outline(store)[-4:] == ["cancelled", "verdict stop", "ended enc", "finished"]
