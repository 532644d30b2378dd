from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.datasets import publish_dataset
from tests.support.training import MLP, melee_games
from trainer.loop import Training, train
from trainer.melee_task import MeleeTask, Segments
from trainer.setup import begin
from wm.artifacts.dataset import open_dataset
from wm.errors import BadConfig, BadData
from wm.models.build import weights_bytes
from wm.store import Store

Begin = Callable[..., Training]


@pytest.fixture
def segments(store: Store, melee_data: str, tmp_path: Any) -> Callable[..., Segments]:
    split = open_dataset(store, melee_data, tmp_path).split("train")
    return lambda targets, every=True: Segments(split, targets, every, seed=0)


def rows(segments: Segments, epoch: int) -> np.ndarray:
    items = np.arange(len(segments))
    return segments.first_row(np.full_like(items, epoch), items)


def test_no_sequence_crosses_two_games(segments: Callable[..., Segments]) -> None:
    cut = segments(16)
    game = cut.game(np.arange(len(cut)))

    for epoch in range(20):
        first = rows(cut, epoch)
        assert (first >= cut.games.first[game]).all()
        assert (first + 17 <= cut.games.first[game] + cut.games.length[game]).all()


def test_sequences_of_an_epoch_are_different_and_move_every_epoch(
    segments: Callable[..., Segments],
) -> None:
    cut = segments(16)

    epochs = [rows(cut, epoch) for epoch in range(300)]

    assert all(len(set(first.tolist())) == len(first) for first in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    # Every possible start of every game comes up.
    starts = set(np.concatenate(epochs).tolist())
    assert len(starts) == (cut.games.length - 16).sum()


def test_most_frames_are_targets_once_an_epoch(segments: Callable[..., Segments]) -> None:
    cut = segments(16)

    assert len(cut) == sum((g - 1) // 16 for g in cut.games.length)


def test_windows_are_every_start_of_every_game(segments: Callable[..., Segments]) -> None:
    cut = segments(3, every=False)

    assert len(cut) == (cut.games.length - 3).sum()
    assert np.array_equal(rows(cut, 0), rows(cut, 1))
    assert len(set(rows(cut, 0).tolist())) == len(cut)


def test_short_games_are_left_out_and_counted(segments: Callable[..., Segments]) -> None:
    cut = segments(80)  # games have 60, 67, ... 109 frames

    assert cut.too_short == 3
    assert set(cut.game(np.arange(len(cut))).tolist()) == {3, 4, 5, 6, 7}


def test_the_log_says_how_many_games_are_left_out(
    training: Begin, melee_data: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="wm.trainer"):
        training(melee_data, model=MLP, length=70)

    assert "2 of 8 train games have 70 frames or fewer and are left out" in caplog.messages


def test_a_batch_is_frames_as_the_shards_hold_them(training: Begin, melee_data: str) -> None:
    task = training(melee_data, model=MLP).task
    frames = {
        g.rows["frames"][i : i + 17].tobytes()
        for g in melee_games(8)
        for i in range(len(g.rows["frames"]) - 16)
    }

    batch = task.batch(2)

    assert batch.shape == (8, 17, 104)
    assert batch.dtype == torch.uint8
    assert all(sequence.numpy().tobytes() in frames for sequence in batch)


def test_units_are_fitted_on_training_frames(training: Begin, melee_data: str) -> None:
    scales = training(melee_data, model=MLP).model.get_submodule("scales")

    assert scales.state_dict()["residual"].std() > 0


def test_validation_has_both_baselines_and_skill_at_every_horizon(
    training: Begin, melee_data: str
) -> None:
    t = training(melee_data, model=MLP, horizons=(1, 5))

    metrics = t.task.validate(t.model.eval())

    assert {"loss", "position_mae", "position_mae_copy", "action_accuracy", "change_accuracy"} <= (
        metrics.keys()
    )
    for horizon in (1, 5):
        error, copy, velocity = (
            metrics[f"position_mae{suffix}@h={horizon}"]
            for suffix in ("", "_copy", "_constant_velocity")
        )
        assert metrics[f"position_skill_copy@h={horizon}"] == pytest.approx(1 - error / copy)
        assert metrics[f"position_skill@h={horizon}"] == pytest.approx(
            1 - error / min(copy, velocity)
        )
    # An untrained model predicts its prior, and that is gliding on.
    assert metrics["position_mae@h=1"] == pytest.approx(
        metrics["position_mae_constant_velocity@h=1"], rel=0.2
    )
    assert t.task.validate(t.model) == metrics


def test_every_family_has_its_skill_at_every_horizon(training: Begin, melee_data: str) -> None:
    t = training(melee_data, model=MLP, horizons=(1, 5))
    metrics = t.task.validate(t.model.eval())
    for at in ("@h=1", "@h=5"):
        error, copy = metrics[f"velocity_mae{at}"], metrics[f"velocity_mae_copy{at}"]
        assert metrics[f"velocity_skill{at}"] == pytest.approx(1 - error / copy)
        right, held = metrics[f"action_accuracy{at}"], metrics[f"action_accuracy_copy{at}"]
        assert metrics[f"action_skill{at}"] == pytest.approx(1 - (1 - right) / (1 - held))
    # Nobody is hit in these games, and against no error there is no skill.
    assert metrics["percent_mae_copy@h=5"] == 0
    assert "percent_skill@h=5" not in metrics


def test_calibration_is_validated(training: Begin, melee_data: str) -> None:
    """An untrained model is confident of staying, and as often right; never on a change."""
    t = training(melee_data, model=MLP)
    metrics = t.task.validate(t.model.eval())
    assert 0 < metrics["action_ece"] < 0.05 < metrics["change_ece"]


@pytest.mark.parametrize("mode", ["every", "window"])
def test_the_prototypes_loss_is_trained_and_both_losses_are_held_to_its_figures(
    training: Begin, melee_data: str, mode: str
) -> None:
    own = training(melee_data, model=MLP, mode=mode, loss="prototype")
    other = training(melee_data, model=MLP, mode=mode)

    theirs, ours = (t.task.validate(t.model.eval()) for t in (own, other))

    figures = {name for name in theirs if name.startswith("prototype.")}
    assert len(figures) == 7
    assert {name: theirs[name] for name in figures} == {name: ours[name] for name in figures}
    assert theirs["loss"] == pytest.approx(theirs["prototype.val_loss"])
    assert ours["loss"] != pytest.approx(ours["prototype.val_loss"])
    batch = own.task.batch(0)
    trained = [t.task.loss(t.model, batch).sum.item() for t in (own, other)]
    assert trained[0] != pytest.approx(trained[1])


def test_windows_are_averaged_over_batches_as_the_prototype_does(
    training: Begin, melee_data: str
) -> None:
    """Twelve windows in batches of 8 and 4: each of the last four counts twice."""
    settings = {"mode": "window", "loss": "prototype", "validate_games": 3, "starts_per_game": 4}
    t = training(melee_data, model=MLP, **settings)
    model = t.model.eval()

    found = t.task.validate(model)["prototype.val_loss"]

    assert isinstance(t.task, MeleeTask)
    batches = [records for records, _ in t.task._held_out_batches()]
    assert [len(records) for records in batches] == [8, 4]
    losses = [t.task.loss(model, records) for records in batches]
    means = [(loss.sum / loss.count).item() for loss in losses]
    assert found == pytest.approx(sum(means) / 2)
    assert found != pytest.approx((2 * means[0] + means[1]) / 3)


def test_rare_actions_weigh_more_where_that_is_wanted(training: Begin, melee_data: str) -> None:
    plain = training(melee_data, model=MLP)
    t = training(melee_data, model=MLP, rare_actions=1.0)
    again = training(melee_data, model=MLP, rare_actions=1.0)
    batch = t.task.batch(0)

    loss, held_out = t.task.loss(t.model, batch).sum, t.task.validate(t.model.eval())["loss"]

    assert loss != plain.task.loss(plain.model, batch).sum
    assert held_out != plain.task.validate(plain.model.eval())["loss"]
    assert held_out == again.task.validate(again.model.eval())["loss"]


@pytest.mark.parametrize(
    "change",
    [{"loss": "prototype"}, {"rare_actions": 0.5}, {"mirror": True}, {"swap_players": True}],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_the_weights_may_not_change_on_the_way(
    training: Begin, melee_data: str, change: dict[str, Any]
) -> None:
    t = training(melee_data, model=MLP)
    t.checkpoints.save(4)
    again = training(melee_data, attempt=2, model=MLP, **change)
    with pytest.raises(BadConfig, match=f"was made with {next(iter(change))}"):
        again.checkpoints.restore()


def test_a_stopped_training_with_rare_actions_goes_on_to_the_same_bits(
    training: Begin, melee_data: str
) -> None:
    settings = {"model": MLP, "rare_actions": 0.5, "mirror": True, "swap_players": True}
    whole = training(melee_data, stage="whole", **settings)
    train(whole, begin(whole))
    first = training(melee_data, stage="parts", steps=5, schedule_steps=12, **settings)
    train(first, begin(first))
    second = training(melee_data, attempt=2, stage="parts", **settings)
    assert begin(second) == 5
    train(second, 5)
    assert weights_bytes(second.best) == weights_bytes(whole.best)


def test_units_are_the_held_out_games_of_sequences_and_rollouts(
    training: Begin, store: Store
) -> None:
    """Sequences need 81 frames here, rollouts 8; the held-out games have 60, 67, ... 109."""
    games = melee_games(8)
    data = publish_dataset(store, "melee", {"train": [games], "val": [games]})

    assert training(data, model=MLP, length=80).task.units == 8
    assert training(data, model=MLP, length=80, horizons=(95,)).task.units == 5
    most = {"validate_games": 1, "starts_per_game": 1}
    assert training(data, model=MLP, length=80, **most).task.units == 2


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"length": 500}, BadData, "no game of more than 500 frames in its train split"),
        ({"horizons": (200,)}, BadData, "too few held-out games of 203 frames"),
        ({"length": 2, "burn_in": 1}, BadConfig, "shorter than the model's context 3"),
        ({"model": {"kind": "lstm"}}, BadConfig, "lstm cannot play melee"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    training: Begin, melee_data: str, changes: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        training(melee_data, **({"model": MLP} | changes))


def test_one_game_of_the_very_length_is_enough(training: Begin, store: Store) -> None:
    games = melee_games(1, frames=17)
    data = publish_dataset(store, "melee", {"train": [games], "val": [games]})

    task = training(data, model=MLP, horizons=(1,)).task

    assert isinstance(task, MeleeTask)
    assert (task.batch(0) == task.batch(9)).all()
