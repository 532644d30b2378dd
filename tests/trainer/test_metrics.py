from types import SimpleNamespace

import pytest

from trainer import started
from trainer.metrics import Meter
from trainer.updates import Update


class Clock:
    """Time that passes when a test says so."""

    now = 100.0

    def read(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    hands = SimpleNamespace(perf_counter=clock.read, monotonic=clock.read)
    monkeypatch.setattr("trainer.metrics.time", hands)
    monkeypatch.setattr("trainer.started.time", hands)
    monkeypatch.setenv(started.STARTED, "96.0")
    return clock


def update(meter: Meter, clock: Clock, seconds: float) -> None:
    clock.now += seconds
    meter.count(Update(step=0, loss=2.0, targets=50, norm=1.0, stop=False))


def test_steps_validations_and_checkpoints_are_timed_apart(clock: Clock) -> None:
    meter = Meter()
    clock.now += 2
    meter.begin()
    for seconds in (1.0, 2.0):
        update(meter, clock, seconds)
    assert meter.span()["targets_per_s"] == pytest.approx(33.3)
    for what, seconds in (("validate", 8.0), ("save", 3.0), ("save", 4.0)):
        begun = clock.now
        clock.now += seconds
        assert meter.spent(what, begun) == seconds
    meter.skip()
    update(meter, clock, 6.0)
    meter.span()

    assert meter.timing() == {"startup_s": 6.0, "step_s": 3.0, "validate_s": 8.0, "save_s": 3.5}
    assert meter.targets_per_s == pytest.approx(150 / 9)


def test_what_was_not_done_took_no_time(clock: Clock) -> None:
    meter = Meter()
    meter.begin()

    assert meter.timing() == {"startup_s": 4.0, "step_s": 0, "validate_s": 0, "save_s": 0}


def test_the_newest_pace_is_told_with_every_loss(clock: Clock) -> None:
    meter = Meter()
    assert meter.facts(1.23456) == {"loss": 1.2346}
    for seconds, pace in ((2.0, 25.0), (5.0, 10.0)):
        update(meter, clock, seconds)
        meter.span()
        meter.skip()
        assert meter.facts(1.0) == {"loss": 1.0, "targets_per_s": pace}


def test_a_process_without_a_parent_began_when_it_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(started.STARTED, raising=False)
    assert started.since_start() > 0

    monkeypatch.setenv(started.STARTED, "0")
    started.note_start()
    assert 0 <= started.since_start() < 5
