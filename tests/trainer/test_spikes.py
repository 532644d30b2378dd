import json
import logging
import math
import random
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import cast

import pytest

from trainer.metrics import MetricsLog
from trainer.spikes import WARM_UP, Spikes, SpikeWatch
from trainer.task import Task
from trainer.updates import Update
from wm.stage import StageSpec
from wm.store import Store

SPEC = StageSpec(run="demo", stage="train-mlp", attempt=2, kind="train", config={})

CURVES: dict[str, Callable[[int], float]] = {
    "falls": lambda i: 1 + 8 * math.exp(-i / 300),
    "falls at once": lambda i: 0.3 + 9 * math.exp(-i / 20),
    "stays": lambda i: 2.0,
    "falls by powers": lambda i: 10 * (1 + i) ** -0.3,
}


def noisy(curve: str, seed: int, steps: int = 1500, noise: float = 0.05) -> list[float]:
    draw = random.Random(seed)
    return [CURVES[curve](i) * math.exp(draw.gauss(0, noise)) for i in range(steps)]


def alarms(losses: Iterable[float], threshold: float = 6.0) -> list[int]:
    watch = SpikeWatch(threshold)
    updates = (Update(i, loss, 10, 1.0, False) for i, loss in enumerate(losses))
    return [spike.update.step for one in updates if (spike := watch.observe(one))]


@pytest.mark.parametrize("curve", CURVES)
def test_a_smooth_fall_with_noise_is_no_spike(curve: str) -> None:
    assert [seed for seed in range(30) if alarms(noisy(curve, seed))] == []


@pytest.mark.parametrize("curve", CURVES)
def test_a_loss_five_times_as_large_is_told_of_once_and_then_there_is_silence(curve: str) -> None:
    for seed in range(10):
        losses = noisy(curve, seed)
        losses[900] *= 5

        assert alarms(losses) == [900]


def test_a_spike_does_not_hide_the_next_one() -> None:
    losses = noisy("stays", seed=0)
    for step in (600, 601, 640, 700):
        losses[step] *= 5

    assert alarms(losses) == [600, 640, 700], "600 and 601 are one"


def test_a_loss_that_stays_high_is_told_of_once_and_becomes_normal() -> None:
    losses = noisy("stays", seed=0, steps=4000)
    losses[600:] = [5 * loss for loss in losses[600:]]
    losses[3500] *= 5

    assert alarms(losses) == [600, 3500]


def test_a_fall_is_no_spike() -> None:
    losses = noisy("stays", seed=0)
    losses[600:] = [loss / 5 for loss in losses[600:]]

    assert alarms(losses) == []


def test_it_is_quiet_until_it_knows_the_usual_spread() -> None:
    losses = noisy("stays", seed=0)
    losses[WARM_UP - 1] *= 5
    assert alarms(losses) == []

    later = noisy("stays", seed=0)
    later[WARM_UP] *= 5
    assert alarms(later) == [WARM_UP]


def test_the_threshold_is_in_standard_deviations_and_0_watches_for_nothing() -> None:
    losses = noisy("stays", seed=0)
    losses[900] = 2 * math.exp(8 * 0.05)  # eight deviations of the noise

    assert [alarms(losses, threshold) for threshold in (6, 11, 0)] == [[900], [], []]


def test_what_is_no_positive_number_is_left_to_the_guard() -> None:
    losses = noisy("stays", seed=0)
    losses[100:103] = [math.nan, math.inf, 0.0]
    losses[900] *= 5

    assert alarms(losses) == [900]


@pytest.fixture
def log(store: Store) -> MetricsLog:
    return MetricsLog(store, "metrics.jsonl")


TASK = cast(Task, SimpleNamespace(names=lambda step: [f"a@{step}", f"b@{step}"]))


def watched(spikes: Spikes) -> None:
    losses = noisy("stays", seed=0, steps=200)
    losses[150] = 10.0
    for i, loss in enumerate(losses):
        spikes(Update(i, loss, 10, 3.5, False))


def test_a_spike_is_a_line_of_metrics_and_one_warning_with_the_command_that_replays_it(
    log: MetricsLog, caplog: pytest.LogCaptureFixture, expect_logs: list[str]
) -> None:
    expect_logs.append("wmctl replay-step")
    watched(Spikes(6.0, TASK, log, SPEC, speaks=True))

    (line,) = map(json.loads, log._lines)
    assert (line["event"], line["step"], line["loss"]) == ("spike", 151, 10.0)
    assert line["grad_norm"] == 3.5
    assert line["usual"] == pytest.approx(2.0, rel=0.05)
    assert line["z"] > 20
    assert line["games"] == ["a@150", "b@150"]
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert record.getMessage().startswith("step 151: loss 10.0000 instead of about ")
    assert record.getMessage().endswith("its games: wmctl replay-step demo train-mlp 151")


def test_processes_that_do_not_lead_say_nothing(log: MetricsLog) -> None:
    watched(Spikes(6.0, TASK, log, SPEC, speaks=False))

    assert log._lines == []
