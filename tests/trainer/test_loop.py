import json
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from tests.support.training import LSTM, MLP, lines, stop_at
from trainer.capture import REHEARSALS, CapturedStep
from trainer.loop import train
from trainer.setup import begin
from trainer.task import TaskLoss
from trainer.training import Training
from wm.artifacts.checkpoint import newest_checkpoint, save_checkpoint
from wm.errors import BadConfig, BadData, Preempted
from wm.models.build import weights_bytes
from wm.store import Store

Begin = Callable[..., Training]

GAMES: dict[str, dict[str, Any]] = {
    "chess": {"model": LSTM, "ema": 0.9},
    "chess-plateau": {"model": LSTM, "schedule": "plateau", "plateau_patience": 0, "lr": 0.3},
    "melee-mlp": {"model": MLP},
    "melee-window": {"model": MLP, "mode": "window"},
    "melee-mamba2": {
        "model": {"kind": "mamba2", "context": 4, "d_model": 16, "layers": 1, "headdim": 8}
    },
}


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("stop_after", [3, 6])
def test_a_training_that_was_stopped_ends_with_the_same_bits(
    training: Begin, request: pytest.FixtureRequest, name: str, stop_after: int
) -> None:
    data = request.getfixturevalue("chess_data" if "chess" in name else "melee_data")
    steps = 8 if "mamba2" in name else 12
    whole = training(data, attempt=1, checkpoint_every=99, steps=steps, **GAMES[name])
    metrics = train(whole, 0)
    forget(whole)

    first = training(data, attempt=2, checkpoint_every=99, steps=steps, **GAMES[name])
    stop_at(first, stop_after)
    with pytest.raises(Preempted, match=f"after step {stop_after} of {steps}; its state is saved"):
        train(first, begin(first))
    second = training(data, attempt=3, checkpoint_every=99, steps=steps, **GAMES[name])
    start = begin(second)
    again = train(second, start)

    assert start == stop_after
    assert weights_bytes(second.best) == weights_bytes(whole.best)
    assert again == metrics


def test_the_loss_falls(training: Begin, chess_data: str) -> None:
    t = training(chess_data, steps=60, lr=0.02, validate_every=60)

    train(t, 0)

    losses = [line["loss"] for line in lines(t) if line["event"] == "train"]
    assert losses[-1] < losses[0] - 1.0


def test_a_loss_that_is_not_finite_stops_before_the_update(
    training: Begin, chess_data: str, store: Store
) -> None:
    t = training(chess_data)
    poison(t, step=7)
    before: dict[str, torch.Tensor] = {}
    keep_weights(t, before)

    with pytest.raises(BadData, match=r"loss is nan at step 8, in a batch with games [0-9a-f]{32}"):
        train(t, 0)

    assert all(torch.equal(before[name], w) for name, w in t.model.state_dict().items())
    found = newest_checkpoint(store, "r", "train")
    assert found is not None
    assert found.step == 4


def test_the_device_is_read_only_now_and_then_where_reading_it_costs(
    training: Begin, chess_data: str
) -> None:
    each, seldom = training(chess_data), training(chess_data, attempt=2, sync_every=5, log_every=12)
    told: list[int] = []
    seldom.progress = lambda done, facts: told.append(done)
    metrics = train(each, 0)

    assert train(seldom, 0) == metrics
    assert weights_bytes(seldom.best) == weights_bytes(each.best)
    # Besides, validations and checkpoints must know that all is well.
    assert sorted(set(told)) == [4, 5, 6, 8, 10, 12]
    [line] = [line for line in lines(seldom) if line["event"] == "train" and line["step"] == 12]
    assert line["loss"] == pytest.approx(lines(each)[-3]["loss"], rel=0.2)


def test_what_is_read_late_has_not_spoilt_the_weights(
    training: Begin, chess_data: str, store: Store
) -> None:
    t = training(chess_data, sync_every=4, log_every=99, checkpoint_every=99, steps=8)
    poison(t, step=5)
    rates: list[float] = []
    step = t.optimizer.step

    def stepping(rate: torch.Tensor, figures: torch.Tensor) -> None:
        before = {name: w.clone() for name, w in t.model.state_dict().items()}
        step(rate, figures)
        same = all(torch.equal(before[name], w) for name, w in t.model.state_dict().items())
        rates.append(0.0 if same else float(rate))

    t.optimizer.step = stepping  # type: ignore[method-assign]
    with pytest.raises(BadData, match="loss is nan at step 6"):
        train(t, 0)

    assert [rate > 0 for rate in rates] == [True] * 5 + [False] + [True] * (len(rates) - 6)
    assert newest_checkpoint(store, "r", "train") is None


def test_a_device_that_is_too_small_gets_the_same_batch_in_parts(
    training: Begin, chess_data: str
) -> None:
    model = LSTM | {"dropout": 0.0}  # its masks are drawn part by part
    whole = training(chess_data, model=model)
    small = training(chess_data, attempt=2, model=model)
    metrics = train(whole, 0)
    forget(whole)
    sizes = limit_memory(small, 3)

    made = train(small, 0)

    assert small.parts.count == 4
    assert sizes[:3] == [8, 4, 2]  # halved until it fits, then never asked for more
    assert set(sizes[3:]) == {2}
    assert [e["parts"] for e in lines(small) if e["event"] == "parts"] == [2, 4]
    assert made == pytest.approx(metrics, rel=1e-5)

    # A later attempt knows at once, or it would not repeat the same sums.
    later = training(chess_data, attempt=3, model=model)
    begin(later)
    assert later.parts.count == 4
    assert weights_bytes(later.best) == weights_bytes(small.best)


def test_a_device_too_small_for_a_single_game_is_an_error(training: Begin, chess_data: str) -> None:
    t = training(chess_data)
    limit_memory(t, 0)

    with pytest.raises(torch.OutOfMemoryError):
        train(t, 0)


def limit_memory(t: Training, most: int) -> list[int]:
    """As a device with room for ``most`` games would; the sizes that are tried, as they come."""
    loss, sizes = t.loss, []

    def loss_of(part: Any) -> TaskLoss:
        sizes.append(len(part.hide_winner))
        found = loss(part)
        if sizes[-1] > most:
            found.sum.backward()  # it fails in the middle: gradients are half there
            raise torch.OutOfMemoryError("out of memory")
        return found

    t.loss = loss_of
    return sizes


def test_a_step_can_be_captured_on_cuda_only(training: Begin, melee_data: str) -> None:
    with pytest.raises(BadConfig, match="cuda_graph is set, but this training runs on a CPU"):
        training(melee_data, model=MLP, cuda_graph=True)


def test_steps_that_are_rehearsed_change_nothing(training: Begin, melee_data: str) -> None:
    """As before a capture, here before every step."""

    def rehearsing(
        batch: Any, learn: Callable[[Any], Tensor], rehearse: Callable[[Any], None]
    ) -> Tensor:
        for _ in range(REHEARSALS):
            rehearse(batch)
        return learn(batch)

    plain, captured = (training(melee_data, attempt, model=MLP, ema=0.9) for attempt in (1, 2))
    captured.captured = cast(CapturedStep, rehearsing)

    assert train(captured, 0) == train(plain, 0)
    assert weights_bytes(captured.model) == weights_bytes(plain.model)
    assert weights_bytes(captured.best) == weights_bytes(plain.best)


def test_a_checkpoint_of_other_settings_is_refused(training: Begin, chess_data: str) -> None:
    t = training(chess_data, steps=4)
    train(t, 0)

    with pytest.raises(
        BadConfig, match=r"step-000004 was made with lr 0.001, this training has 0.5"
    ):
        begin(training(chess_data, attempt=2, lr=0.5))


def test_a_checkpoint_of_an_older_version_had_the_defaults_of_what_is_new(
    training: Begin, chess_data: str, store: Store
) -> None:
    t = training(chess_data, steps=4)
    train(t, 0)
    old = newest_checkpoint(store, "r", "train")
    assert old is not None
    del old.state["config"]["board_weight"], old.state["config"]["model"]["board_head"]
    del old.state["parts"]
    attempt = old.key.partition("/checkpoints")[0]
    save_checkpoint(store, attempt, 4, old.tensors, old.state)

    assert begin(training(chess_data, attempt=2, steps=8)) == 4


def test_a_run_may_be_shortened(training: Begin, chess_data: str) -> None:
    first = training(chess_data, steps=12)
    stop_at(first, 6)
    with pytest.raises(Preempted):
        train(first, 0)

    second = training(chess_data, attempt=2, steps=8)
    train(second, begin(second))

    assert [line["step"] for line in lines(second) if line["event"] == "train"] == [8]


def test_a_training_that_had_only_to_be_published_is_validated_again(
    training: Begin, chess_data: str
) -> None:
    first = training(chess_data)
    metrics = train(first, 0)

    second = training(chess_data, attempt=2)

    assert train(second, begin(second)) == metrics


def test_metrics_come_by_spans(training: Begin, chess_data: str, store: Store) -> None:
    t = training(chess_data)
    begin(t)
    train(t, 0)
    t.log.publish()

    published = store.get("runs/r/train/01/metrics.jsonl").decode().splitlines()
    events = [(line["event"], line["step"]) for line in map(json.loads, published)]
    assert events == [
        ("start", 0),
        *[("train", 2), ("train", 4), ("checkpoint", 4)],
        *[("train", 6), ("validate", 6), ("train", 8), ("checkpoint", 8)],
        *[("train", 10), ("train", 12), ("validate", 12), ("checkpoint", 12)],
    ]
    span = json.loads(published[1])
    assert span.keys() == {
        *("time", "step", "event", "loss", "lr", "grad_norm", "targets_per_s", "input_wait")
    }
    assert t.meter.targets_per_s > 0


def test_the_first_line_says_how_much_is_to_be_learned_from(
    training: Begin, chess_data: str
) -> None:
    first = training(chess_data, steps=4, games=9)
    train(first, begin(first))
    second = training(chess_data, attempt=2, steps=6, games=9)
    begin(second)

    found = [lines(t)[0] for t in (first, second)]
    assert [(line["event"], line["games"], line["steps"]) for line in found] == [
        ("start", 9, 4),
        ("resume", 9, 6),
    ]


def test_the_pace_stays_beside_the_bar_once_it_is_known(training: Begin, chess_data: str) -> None:
    t = training(chess_data, log_every=3, validate_every=5)
    told: list[tuple[int, dict[str, Any]]] = []
    t.progress = lambda done, facts: told.append((done, facts))
    train(t, 0)

    spans = {line["step"]: line["targets_per_s"] for line in lines(t) if line["event"] == "train"}
    assert list(spans) == [3, 4, 5, 6, 8, 9, 10, 12]
    assert [done for done, facts in told if "targets_per_s" not in facts] == [1, 2, 3]
    assert {done: facts["targets_per_s"] for done, facts in told[3:]} == {
        done: spans[max(step for step in spans if step <= done)] for done in range(3, 13)
    }
    assert all(facts["loss"] > 0 for _, facts in told)


def test_the_time_of_an_attempt_is_told_by_what_it_went_to(
    training: Begin, chess_data: str
) -> None:
    t = training(chess_data)
    train(t, begin(t))

    timing = t.meter.timing()
    assert timing.keys() == {"startup_s", "step_s", "validate_s", "save_s"}
    assert all(seconds > 0 for seconds in timing.values())
    seconds = {
        event: [line["seconds"] for line in lines(t) if line["event"] == event]
        for event in ("validate", "checkpoint")
    }
    assert timing["validate_s"] == pytest.approx(sum(seconds["validate"]) / 2, abs=1e-3)
    assert timing["save_s"] == pytest.approx(sum(seconds["checkpoint"]) / 3, abs=1e-3)


def forget(t: Training) -> None:
    """Delete the checkpoint that the end of a training leaves."""
    for entry in list(t.checkpoints.store.list("runs/r/train/01/checkpoints/")):
        t.checkpoints.store.delete(entry.key)


def poison(t: Training, step: int) -> None:
    batch, loss, now = t.task.batch, t.loss, [0]

    def remember(number: int) -> Any:
        now[0] = number
        return batch(number)

    def bad(part: Any) -> TaskLoss:
        found = loss(part)
        return TaskLoss(found.sum * (float("nan") if now[0] == step else 1), found.count)

    t.task.batch, t.loss = remember, bad  # type: ignore[method-assign]


def keep_weights(t: Training, into: dict[str, torch.Tensor]) -> None:
    batch = t.task.batch

    def keeping(step: int) -> Any:
        into.update({name: w.clone() for name, w in t.model.state_dict().items()})
        return batch(step)

    t.task.batch = keeping  # type: ignore[method-assign]
