from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import Script, small_run
from wm.stage.spec import Heartbeat, attempt_prefix
from wm.store import Store, open_store
from wmctl.launch.base import Observation, Pod, StageJob
from wmctl.run.fold import read_state
from wmctl.run.watch import LOOK_EVERY, Watch

SPEC = small_run(hang_s=60)
JOB = StageJob(run="r", stage="train-winner", attempt=1, kind="train", spec="s")


class FakeClock:
    """Both clocks at once; a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def wait(self, interrupted: threading.Event, seconds: float) -> None:
        self.now += seconds


class Watched:
    """A training that began at 1000, seen every ten seconds; its news go into the history."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, FakeClock()
        self.watch = Watch(SPEC, store, self.clock)
        self.script = Script().at(999, "submitted").walk("enc")
        self.script.at(1000, "started", stage="train-winner", attempt=1, detail={"steps": 1000})
        self.phase = "running"
        self.pods: Sequence[Pod] = ()

    def beat(self, done: int) -> None:
        prefix = attempt_prefix("r", "train-winner", 1)
        beat = Heartbeat(time=self.clock.now, done=done, total=1000)
        self.store.put(f"{prefix}/heartbeat.json", beat.model_dump_json().encode())

    def look(self, after: float = 10.0) -> dict[str, Any] | None:
        """News of the training, ``after`` seconds; sets ``hung``."""
        self.clock.now += after
        seen = Observation(job=JOB, phase=self.phase, pods=self.pods)  # type: ignore[arg-type]
        state = read_state(SPEC, self.script.events)
        news, hung = self.watch.look(state, [JOB], [seen])
        self.hung = bool(hung)
        assert hung in ([], [JOB])
        if news:
            self.script.at(self.clock.now, "observed", detail=news)
        assert news.keys() <= {"train-winner"}
        return news.get("train-winner")

    def go(self, done: int, after: float = 10.0) -> dict[str, Any] | None:
        """So many steps are done at the next look, and a moment before it said so."""
        self.clock.now += after
        self.beat(done)
        return self.look(0.0)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(open_store(str(tmp_path / "store")))


def test_a_look_is_due_now_and_then(watched: Watched) -> None:
    assert not watched.watch.is_due()
    watched.clock.now += LOOK_EVERY
    assert watched.watch.is_due()
    watched.look(0)
    assert not watched.watch.is_due()


def test_the_first_pace_is_news_and_a_steady_one_is_none(watched: Watched) -> None:
    assert watched.go(20) is None, "one heartbeat is no pace"
    assert watched.go(40) is None, "ten seconds are too short to tell"
    assert watched.go(60) == {
        "attempt": 1, "since": 1000, "done": 60, "total": 1000, "per_s": 2.0
    }  # fmt: skip
    for number in range(4, 40):
        assert watched.go(20 * number) is None, "it goes on as it did"


def test_another_pace_is_news(watched: Watched) -> None:
    for number in range(1, 6):
        watched.go(20 * number)
    told = [news for number in range(1, 31) if (news := watched.go(100 + 10 * number))]
    assert told, "it goes half as fast now"
    assert told[-1]["per_s"] == pytest.approx(1.0, rel=0.25)
    assert len(told) < 10, "not each look is news"


def test_a_pace_is_that_of_the_last_minutes(watched: Watched) -> None:
    for number in range(1, 31):  # 300 s at two steps a second, then as long at one
        watched.go(20 * number)
    for number in range(1, 33):
        watched.go(600 + 10 * number)
    own = read_state(SPEC, watched.script.events).nodes["train-winner"]
    assert own.per_s == pytest.approx(1.0, rel=0.1)


def test_a_training_that_stands_still_is_news_once_it_should_be_elsewhere(watched: Watched) -> None:
    for number in range(1, 11):
        watched.go(20 * number)
    before = read_state(SPEC, watched.script.events)
    assert before.done_of("train-winner", watched.clock.now) == pytest.approx(200, abs=1)
    told = [watched.go(200) for _ in range(6)]
    assert any(told)
    after = read_state(SPEC, watched.script.events)
    assert after.done_of("train-winner", watched.clock.now) < 270


def test_a_training_that_was_taken_up_again_says_nothing_before_its_first_step(
    watched: Watched,
) -> None:
    watched.script.end("train-winner", 143).add("started", stage="train-winner", attempt=1)
    assert watched.go(0) is None
    assert watched.go(0) is None
    assert watched.go(500) is None
    assert watched.go(520) is None
    news = watched.go(540)
    assert news is not None
    assert (news["done"], news["per_s"]) == (540, 2.0), "500 steps were there before"


def test_when_its_containers_began_is_news(watched: Watched) -> None:
    watched.script = Script().at(998, "submitted", detail={"on": "kubernetes"}).walk("enc")
    watched.script.at(1000, "started", stage="train-winner", attempt=1)
    watched.pods = [Pod(name="b", started=1007), Pod(name="a", started=1005), Pod(name="c")]
    news = watched.look()
    assert news is not None
    assert (news["since"], news["per_s"]) == (1005, 0)
    assert watched.look() is None


def test_what_does_not_run_yet_is_not_looked_at(watched: Watched) -> None:
    watched.phase = "waiting"
    for _ in range(20):
        assert watched.look() is None
        assert not watched.hung, "what waits for a machine has not hung"


def test_a_stage_without_a_sign_of_life_has_hung(watched: Watched) -> None:
    watched.beat(10)
    watched.look()
    silent = 0
    while not watched.hung:
        silent += 10
        watched.look()
    assert silent == 70, "hang_s is 60"
    watched.script.add("hung", stage="train-winner", attempt=1)
    watched.look()
    assert not watched.hung, "it is said once"


def test_one_that_never_gave_a_sign_has_hung_too(watched: Watched) -> None:
    for _ in range(6):
        watched.look()
        assert not watched.hung
    watched.look()
    assert watched.hung


def test_a_sign_of_life_is_enough_whatever_it_says(watched: Watched) -> None:
    for _ in range(20):
        watched.clock.now += 10
        watched.beat(0)
        watched.look(0)
        assert not watched.hung


def test_a_conductor_that_could_not_look_calls_nobody_hung(watched: Watched) -> None:
    """It slept for an hour, or the store was away: what it did not look at it does not know."""
    watched.beat(10)
    watched.look()
    watched.look(3600)
    assert not watched.hung, "20 s of silence at most for one look"
    watched.look()
    watched.look()
    assert not watched.hung
    watched.beat(11)
    watched.look(3600)
    assert not watched.hung


def test_a_damaged_heartbeat_is_none(watched: Watched) -> None:
    watched.store.put("runs/r/train-winner/01/heartbeat.json", b"{")
    assert watched.look() is None
