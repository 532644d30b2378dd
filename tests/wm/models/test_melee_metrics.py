from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.melee_records import made_records
from wm.games.melee.schema import FRAME, column
from wm.models.config import MLPConfig
from wm.models.melee_features import decode
from wm.models.melee_heads import OUTPUTS, Scales
from wm.models.melee_metrics import batch_weights, calibration, expected_error, one_step
from wm.models.melee_model import WorldModel


def units() -> Scales:
    scales = Scales(state_age_embed=True)
    scales.fit(decode(made_records()))
    return scales


def test_metrics_of_an_untrained_model_are_those_of_persistence() -> None:
    model = WorldModel(MLPConfig(context=2, hidden=8, trunk=8)).eval()
    records = made_records()
    model.scales.fit(decode(records))
    found = one_step(model(records), records, model.scales)
    mean = {name: (total / count).item() for name, (total, count) in found.items()}
    assert mean["action_accuracy"] == mean["action_accuracy_copy"] > 0.7
    assert mean["change_accuracy"] == mean["prototype.change_acc"] == 0
    assert mean["velocity_mae"] == pytest.approx(mean["velocity_mae_copy"])
    assert mean["percent_mae"] == pytest.approx(mean["percent_mae_copy"])
    # The prior knows that nothing moves in hitlag, constant velocity does not.
    assert 0 < mean["position_mae"] <= mean["position_mae_constant_velocity"]
    assert mean["position_mae_constant_velocity"] < mean["position_mae_copy"]


def test_burn_in_and_the_end_of_a_game_are_no_frames() -> None:
    records = made_records()[:2, :20]
    valid = torch.ones(2, 20, dtype=torch.bool)
    valid[0, 15:] = False
    found = one_step(torch.zeros(2, 19, OUTPUTS), records, units(), valid=valid, burn_in=4)
    assert found["action_accuracy"][1] == 2 * 25
    assert found["prototype.action_acc"][1] == 25


def windows() -> tuple[np.ndarray, np.ndarray]:
    """Seven windows of two frames, and outputs that are predictions themselves (units of 1)."""
    rng = np.random.default_rng(3)
    frames = np.zeros((7, 2), FRAME)
    for name in ("percent", "x", "y", "shield", "self_x_air", "self_y", "knockback_x"):
        column(frames, name)[:] = rng.integers(0, 9, (7, 2, 2))
    for name, size in (("action", 3), ("jumps", 3), ("ground", 4), ("flags", 8), ("stocks", 5)):
        column(frames, name)[:] = rng.integers(0, size, (7, 2, 2))
    column(frames, "flags")[:, 0] |= 2  # on the ground, where self_y moves nobody
    column(frames, "action")[1, :, 0], column(frames, "action")[4, :, 0] = (0, 2), (1, 1)
    return frames, rng.normal(size=(7, OUTPUTS))


def by_hand(frames: np.ndarray, outputs: np.ndarray) -> list[dict[str, float]]:
    """The prototype's figures of each window, from their definitions, one number at a time."""
    rows = []
    for (last, new), out in zip(frames, outputs, strict=True):
        column_of = {name: (column(last, name), column(new, name)) for name in NUMBERS}
        total = {"core": 0.0, "velocity": 0.0, "dynamics": 0.0, "binary": 0.0, "ce": 0.0}
        position = damage = velocity = flags = 0.0
        for player in (0, 1):
            guess = {}
            for _, first, names in GROUPS:
                width = len(names)
                for i, name in enumerate(names):
                    guess[name] = out[first + player * width + i]  # a delta over the last frame
            guess["x"] += column_of["self_x_air"][0][player] + guess["self_x_air"]
            guess["x"] += column_of["knockback_x"][0][player] + guess["knockback_x"]
            guess["y"] += guess["knockback_y"]
            for group, _, names in GROUPS:
                for name in names:
                    before, after = (float(c[player]) for c in column_of[name])
                    miss = abs(guess[name] - (after - before))
                    total[group] += (miss * UNIT[name]) ** 2 / (2 * len(names))
                    position += miss / 4 if name in ("x", "y") else 0
                    damage += miss / 2 if name == "percent" else 0
                    velocity += miss / 10 if group == "velocity" else 0
            # Bits are facing, on_ground, invulnerable; outputs facing, invulnerable, on_ground.
            for i, bit in enumerate((0, 2, 1)):
                logit, true = out[8 + 3 * player + i], column(new, "flags")[player] >> bit & 1
                total["binary"] += (np.log1p(np.exp(logit)) - true * logit) / 6
                flags += ((logit > 0) == bool(true)) / 6
            first = 30 + 510 * player
            for name, size, weight in TABLES:
                true = int(column(new, name)[player]) + (name == "ground")
                logits = out[first : first + size]
                total["ce"] += weight * (np.log(np.exp(logits).sum()) - logits[true]) / 2
                first += size
        action, true = int(out[30:430].argmax()), column(new, "action")[0]
        rows.append(
            {
                "prototype.val_loss": total["core"]
                + 0.5 * (total["velocity"] + total["dynamics"] + total["binary"])
                + total["ce"],
                "prototype.action_acc": float(action == true),
                "prototype.pos_mae": position,
                "prototype.damage_mae": damage,
                "prototype.velocity_mae": velocity,
                "prototype.binary_acc": flags,
                "changed": float(true != column(last, "action")[0]),
            }
        )
    return rows


GROUPS = (
    ("core", 0, ("percent", "x", "y", "shield")),
    ("velocity", 14, ("self_x_air", "self_y", "self_x_ground", "knockback_x", "knockback_y")),
    ("dynamics", 24, ("hitlag", "stocks", "combo")),
)
NUMBERS = [name for _, _, names in GROUPS for name in names]
UNIT = dict.fromkeys(NUMBERS, 0.05) | {"percent": 0.01, "shield": 0.01, "hitlag": 0.1}
UNIT |= {"stocks": 0.25, "combo": 0.1}
TABLES = (
    *(("action", 400, 2.0), ("jumps", 8, 0.5), ("l_cancel", 3, 0.3), ("hurtbox", 3, 0.3)),
    *(("ground", 32, 0.3), ("last_attack", 64, 0.3)),
)


@pytest.mark.parametrize("batched", [False, True], ids=["samples", "batches"])
def test_the_prototypes_figures_are_by_its_own_definitions(batched: bool) -> None:
    """Seven windows in batches of three: plain means, or its means over batches of 3, 3 and 1."""
    frames, outputs = windows()
    outputs[[1, 4], 30 + np.array(column(frames, "action")[[1, 4], 1, 0])] = 20  # two are right
    rows = by_hand(frames, outputs)
    batches = [rows[:3], rows[3:6], rows[6:]] if batched else [rows]
    expected = {
        name: np.mean([np.mean([row[name] for row in batch]) for batch in batches])
        for name in rows[0]
        if name != "changed"
    }
    expected["prototype.change_acc"] = sum(
        row["prototype.action_acc"] * row["changed"] for row in rows
    ) / sum(row["changed"] for row in rows)

    found = one_step(
        torch.from_numpy(outputs).float().unsqueeze(1),
        torch.from_numpy(frames.view(np.uint8).reshape(7, 2, 104)),
        Scales(state_age_embed=True),  # not fitted: outputs are deltas and logits themselves
        weight=batch_weights(7, 3) if batched else None,
    )

    own = {name: pair for name, pair in found.items() if name.startswith("prototype.")}
    assert own.keys() == expected.keys()
    for name, (total, count) in own.items():
        assert (total / count).item() == pytest.approx(expected[name], rel=1e-5), name
    assert 0 < expected["prototype.change_acc"] < 1


def test_batches_of_one_size_weigh_all_samples_alike() -> None:
    assert batch_weights(6, 3).tolist() == [1] * 6
    assert batch_weights(7, 3).tolist() == [1] * 6 + [3]


def still(actions: list[int]) -> Tensor:
    """A game of player 0's actions, player 1 in action 14 throughout."""
    frames = np.zeros((1, len(actions)), FRAME)
    column(frames, "action")[0] = [(action, 14) for action in actions]
    return torch.from_numpy(frames.view(np.uint8).reshape(1, len(actions), 104))


def test_calibration_is_the_gap_between_confidence_and_hits() -> None:
    """Player 0: confident of 14 in 90 % and 60 %, right in two frames of three and in none."""
    records = still([14, 14, 14, 15, 16])
    outputs = torch.full((1, 4, OUTPUTS), -1e3)
    outputs[..., 30 + 510 + 14] = 0  # player 1: certain, and right
    for at, confidence in enumerate((0.9, 0.9, 0.9, 0.6)):
        outputs[0, at, 30 + 14] = np.log(confidence)
        outputs[0, at, 30 + 99] = np.log(1 - confidence)

    found = calibration(outputs, records, Scales(state_age_embed=True))

    error = {name: expected_error(gaps / counts).item() for name, (gaps, counts) in found.items()}
    assert error["action_ece"] == pytest.approx((abs(3 * 0.9 - 2) + 0.6) / 8, rel=1e-4)
    assert error["change_ece"] == pytest.approx((0.9 + 0.6) / 2, rel=1e-4)


def test_over_and_underconfidence_do_not_cancel_across_bins() -> None:
    records = still([14, 14, 15])
    outputs = torch.full((1, 2, OUTPUTS), -1e3)
    outputs[..., 30 + 510 + 14] = 0
    for at, confidence in enumerate((0.65, 0.75)):
        outputs[0, at, 30 + 14], outputs[0, at, 30 + 99] = (
            np.log(confidence),
            np.log(1 - confidence),
        )

    gaps, counts = calibration(outputs, records, Scales(state_age_embed=True))["action_ece"]

    assert expected_error(gaps / counts).item() == pytest.approx((0.35 + 0.75) / 4, rel=1e-4)
