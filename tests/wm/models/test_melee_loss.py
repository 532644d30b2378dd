from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.melee_records import made_records
from wm.games.melee.schema import FRAME, column
from wm.models.config import Mamba2Config
from wm.models.melee_features import decode
from wm.models.melee_heads import OUTPUTS, Scales
from wm.models.melee_loss import (
    LOSSES,
    RAREST,
    WEIGHTS,
    Loss,
    prototype_loss,
    rarity,
    residual_loss,
)
from wm.models.melee_metrics import one_step
from wm.models.melee_model import WorldModel


def units() -> Scales:
    scales = Scales(state_age_embed=True)
    scales.fit(decode(made_records()))
    return scales


every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@every_loss
def test_sum_over_a_batch_is_the_sum_over_its_parts(loss: Callable[..., Loss]) -> None:
    torch.manual_seed(0)
    records, scales, outputs = made_records()[:4, :20], units(), torch.randn(4, 19, OUTPUTS)
    whole = loss(outputs, records, scales)
    parts = [loss(outputs[i : i + 1], records[i : i + 1], scales) for i in range(4)]
    assert whole.count == 4 * 19
    torch.testing.assert_close(whole.sum, torch.stack([part.sum for part in parts]).sum())


@every_loss
def test_burn_in_and_the_end_of_a_game_are_left_out(loss: Callable[..., Loss]) -> None:
    torch.manual_seed(0)
    records, scales, outputs = made_records()[:2, :20], units(), torch.randn(2, 19, OUTPUTS)
    valid = torch.ones(2, 20, dtype=torch.bool)
    valid[0, 15:] = False
    seen = loss(outputs, records, scales, valid=valid, burn_in=4)
    assert seen.count == 10 + 15
    outputs[:, :4] = 9
    outputs[0, 14:] = 9
    again = loss(outputs, records, scales, valid=valid, burn_in=4)
    assert again.sum == seen.sum
    assert valid.sum() == 35, "the caller's mask was changed"


@every_loss
def test_outputs_of_fewer_positions_are_those_of_the_last_frames(
    loss: Callable[..., Loss],
) -> None:
    torch.manual_seed(0)
    records, scales, outputs = made_records()[:2, :20], units(), torch.randn(2, 19, OUTPUTS)
    last = loss(outputs[:, -1:], records, scales)
    burnt = loss(outputs, records, scales, burn_in=18)
    assert last.count == burnt.count == 2
    torch.testing.assert_close(last.sum, burnt.sum)


def test_prototype_loss_is_its_authors_sum() -> None:
    """Term by term in numpy, from the definition of val_loss."""
    rng = np.random.default_rng(1)
    scales = Scales(state_age_embed=True)  # not fitted: outputs are values and logits themselves
    frames = np.zeros((1, 2), FRAME)
    column(frames, "percent")[0] = [(10, 20), (13, 20)]
    column(frames, "x")[0] = [(0, 5), (1, 4)]
    column(frames, "self_y")[0] = [(0, 0), (1, -2)]
    column(frames, "stocks")[0] = [(4, 4), (4, 3)]
    column(frames, "action")[0] = [(14, 20), (15, 20)]
    column(frames, "flags")[0] = [(3, 2), (0, 3)]
    records = torch.from_numpy(frames.view(np.uint8).reshape(1, 2, 104))
    outputs = rng.normal(size=1050).astype(np.float32)
    core, binary, velocity, dynamics, logits = (
        part.reshape(2, -1).astype(np.float64) for part in np.split(outputs, [8, 14, 24, 30])
    )

    core_target = np.array([[3, 1, 0, 0], [0, -1, 0, 0]])
    velocity_target = np.array([[0, 1, 0, 0, 0], [0, -2, 0, 0, 0]])
    # Positions glide by the predicted self and knockback speeds; both players stand on the ground.
    core[:, 1] += velocity[:, 0] + velocity[:, 3]
    core[:, 2] += velocity[:, 4]
    dynamics[:, 1] += 4
    stocks = np.array([[0, 4, 0], [0, 3, 0]])
    flags = np.array([[0, 0, 0], [1, 0, 1]])
    expected = np.mean(((core - core_target) * (0.01, 0.05, 0.05, 0.01)) ** 2)
    expected += 0.5 * np.mean(((velocity - velocity_target) * 0.05) ** 2)
    expected += 0.5 * np.mean(((dynamics - stocks) * (0.1, 0.25, 0.1)) ** 2)
    expected += 0.5 * np.mean(np.logaddexp(0, binary) - flags * binary)
    targets = [(15, 0, 0, 0, 1, 0), (20, 0, 0, 0, 1, 0)]
    first = 0
    for i, (size, weight) in enumerate(
        zip((400, 8, 3, 3, 32, 64), (2, 0.5, 0.3, 0.3, 0.3, 0.3), strict=True)
    ):
        table = logits[:, first : first + size]
        nll = np.logaddexp.reduce(table, -1) - [table[p, targets[p][i]] for p in (0, 1)]
        expected += weight * nll.mean()
        first += size

    found = prototype_loss(torch.from_numpy(outputs).view(1, 1, -1), records, scales)
    assert found.sum.item() == pytest.approx(expected, rel=1e-5)


def test_frames_where_the_action_changes_weigh_five_times() -> None:
    scales = units()
    frames = np.zeros((1, 2), FRAME)
    records = torch.from_numpy(frames.view(np.uint8).reshape(1, 2, 104))
    outputs = torch.zeros(1, 1, OUTPUTS)

    def action_gradient() -> Tensor:
        free = outputs.clone().requires_grad_()
        residual_loss(free, records, scales).sum.backward()
        assert free.grad is not None
        return free.grad[0, 0, 30:430]

    column(frames, "action")[0] = [(14, 14), (14, 14)]
    held = action_gradient()
    column(frames, "action")[0] = [(14, 14), (15, 14)]
    changed = action_gradient()
    # The gradient of cross-entropy is p - 1[target]; p is the same in both.
    p_stay, p_change = held[14] / 0.5 + 1, changed[15] / 2.5 + 1
    assert changed[14].item() == pytest.approx(2.5 * p_stay.item(), rel=1e-4)
    assert held[15].item() == pytest.approx(0.5 * p_change.item(), abs=1e-6)


def test_a_rebirth_is_no_motion_to_learn() -> None:
    scales = units()
    frames = np.zeros((1, 2), FRAME)
    column(frames, "action")[0] = [(0, 14), (12, 14)]
    records = torch.from_numpy(frames.view(np.uint8).reshape(1, 2, 104))
    outputs = torch.zeros(1, 1, OUTPUTS)
    before = residual_loss(outputs, records, scales)
    column(frames, "y")[0, 1] = (150, 0)
    column(frames, "percent")[0, 0] = (99, 0)
    assert residual_loss(outputs, records, scales).sum == before.sum
    column(frames, "y")[0, 1] = (150, 1)
    assert residual_loss(outputs, records, scales).sum > before.sum


def test_sixty_steps_beat_constant_velocity_one_frame_ahead() -> None:
    torch.manual_seed(0)
    records = made_records(games=24)
    model = WorldModel(
        Mamba2Config(context=4, d_model=32, layers=1, d_state=16, headdim=16, dropout=0)
    )
    model.scales.fit(decode(records[:16]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(60):
        batch = records[:16, 32 * (step % 4) : 32 * (step % 4) + 33]
        loss = residual_loss(model(batch), batch, model.scales, burn_in=4)
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = one_step(model(records[16:]), records[16:], model.scales)
    mean = {name: (total / count).item() for name, (total, count) in found.items()}
    assert mean["position_mae"] < 0.9 * mean["position_mae_constant_velocity"]
    assert mean["change_accuracy"] > 0.05


def test_a_rare_action_weighs_as_its_frequency_says() -> None:
    frames = np.zeros((1, 100), FRAME)
    column(frames, "action")[:] = 14
    column(frames, "action")[0, 40:42] = [(20, 21), (20, 21)]
    seen = decode(torch.from_numpy(frames.view(np.uint8).reshape(1, 100, 104)))

    mean = 200 / 3  # of the three actions that occur
    assert rarity(seen, 0).tolist() == [1.0] * 400
    half, whole = rarity(seen, 0.5), rarity(seen, 1)
    assert half[14].item() == pytest.approx((mean / 196) ** 0.5)
    assert half[20].item() == half[21].item() == pytest.approx((mean / 2) ** 0.5)
    assert whole[14].item() == pytest.approx(mean / 196)
    assert whole[20].item() == whole[399].item() == RAREST


def test_the_weight_of_an_action_is_that_of_the_frames_it_is_to_be_predicted_on() -> None:
    scales = units()
    frames = np.zeros((1, 2), FRAME)
    column(frames, "action")[0] = [(14, 20), (15, 20)]
    records = torch.from_numpy(frames.view(np.uint8).reshape(1, 2, 104))
    outputs = torch.zeros(1, 1, OUTPUTS)
    weight = torch.ones(400)
    plain = residual_loss(outputs, records, scales).sum
    assert residual_loss(outputs, records, scales, action_weight=weight).sum == plain

    weight[14] = 50  # the action that ends
    assert residual_loss(outputs, records, scales, action_weight=weight).sum == plain
    weight[15] = 3
    heavier = residual_loss(outputs, records, scales, action_weight=weight).sum
    hold = scales.category_hold[0].item()
    nats = np.log(np.exp(hold) + 399)  # player 0's, whose output for action 15 is 0
    assert (heavier - plain).item() == pytest.approx(WEIGHTS["action"] * 5 * 2 * nats / 2, rel=1e-4)


def hit_records(before: float, after: float) -> Tensor:
    """Two frames in which player 0's percent goes from ``before`` to ``after``."""
    frames = np.zeros((1, 2), FRAME)
    column(frames, "action")[:] = 14
    column(frames, "percent")[0] = [(before, 20), (after, 20)]
    return torch.from_numpy(frames.view(np.uint8).reshape(1, 2, 104))


def test_percent_as_a_hit_learns_the_amount_from_hits_alone() -> None:
    scales = Scales(state_age_embed=True)

    def gradients(records: Tensor) -> Tensor:
        outputs = torch.zeros(1, 1, OUTPUTS + 2)
        outputs[..., [0, 4]] = 5  # percent, if there is a hit
        outputs.requires_grad_()
        residual_loss(outputs, records, scales).sum.backward()
        assert outputs.grad is not None
        return outputs.grad[0, 0, [0, 4, -2, -1]]  # both amounts, both hits

    no_hit = 1 / (1 + np.exp(4))  # P(hit) of an output of 0
    share = WEIGHTS["percent"] / 2  # mean over players
    missed = gradients(hit_records(30, 30))
    assert missed.tolist() == pytest.approx([0, 0, share * no_hit, share * no_hit], rel=1e-4)
    struck = gradients(hit_records(30, 42))
    assert struck.tolist() == pytest.approx(
        [-share, 0, share * (no_hit - 1), share * no_hit], rel=1e-4
    )
