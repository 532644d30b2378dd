from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import RESULTS, small_run
from wm.artifacts.result import ArenaResult, Interval, Pairing, PlayerRow
from wm.stage.spec import Outcome, StageSpec, attempt_prefix
from wm.store import Store, open_store
from wm.store.lease import Lease, Owner
from wmctl.launch.base import Observation, Pod, StageJob
from wmctl.run.conductor import Conductor
from wmctl.run.history import Event, History
from wmctl.run.spec import RunSpec


def arena_result() -> ArenaResult:
    elo = Interval(value=50, low=10, high=90, n=100)
    names = ["train/winner", "train/loser"]
    pairing = Pairing(
        a=names[0], b=names[1], units=100, wins=60, draws=0, losses=40, score=0.6, elo=elo
    )
    return ArenaResult(
        game="chess",
        judge="chess-pairs",
        primary="elo",
        players=[PlayerRow(name=name) for name in names],
        pairings=[pairing],
        settings={},
    )


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
    assert store.get("runs/r/enc/01/log.txt") == b"last words\n"


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
