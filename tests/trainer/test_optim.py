import math
from typing import Any

import pytest
import torch
from torch import nn

from trainer.config import TrainConfig
from trainer.optim import Ema, Optimizer, Schedule


def config(**changes: Any) -> TrainConfig:
    base = {"data": "datasets/a/b", "model": {"kind": "lstm"}, "steps": 100, "lr": 1.0}
    return TrainConfig.model_validate(base | changes)


def test_cosine_has_golden_values() -> None:
    schedule = Schedule(config(warmup=0.1, lr_floor=0.1))

    rates = {step: schedule.rate(step) for step in (0, 4, 9, 10, 40, 55, 70, 99)}

    assert rates == pytest.approx(
        {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 40: 0.775, 55: 0.55, 70: 0.325, 99: 0.1002741}, abs=1e-6
    )


def test_cosine_reaches_its_floor_at_the_last_step_and_not_before() -> None:
    schedule = Schedule(config(warmup=0.0))

    rates = [schedule.rate(step) for step in range(100)]

    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1.0
    assert 0 < rates[-1] < 1e-3


def test_a_training_that_ends_early_or_goes_on_keeps_its_schedule() -> None:
    changes: dict[str, Any] = {"warmup": 0.1, "lr_floor": 0.1, "schedule_steps": 100}
    short, long = Schedule(config(steps=40, **changes)), Schedule(config(steps=300, **changes))

    golden = {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 40: 0.775, 55: 0.55, 70: 0.325, 99: 0.1002741}
    assert {step: short.rate(step) for step in golden} == pytest.approx(golden, abs=1e-6)
    assert {step: long.rate(step) for step in golden} == pytest.approx(golden, abs=1e-6)
    assert [long.rate(step) for step in (100, 101, 150, 299)] == [0.1] * 4


def test_warm_up_is_laid_out_for_the_schedule_whatever_follows_it() -> None:
    schedule = Schedule(config(schedule="constant", warmup=0.5, schedule_steps=8))

    assert [schedule.rate(step) for step in (0, 1, 2, 3, 4, 99)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_plateau_agrees_with_torch() -> None:
    ours = Schedule(config(schedule="plateau", warmup=0.0, plateau_patience=2))
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, threshold=1e-4, threshold_mode="abs"
    )
    losses = [3, 2, 2, 2, 2, 1.99995, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.0, 1.0]

    for loss in losses:
        ours.observe(loss)
        torchs.step(loss)
        assert ours.rate(50) == optimizer.param_groups[0]["lr"], loss
    assert ours.rate(50) == 0.25


def test_plateau_goes_on_from_its_state() -> None:
    settings = config(schedule="plateau", plateau_patience=1)
    one, two = Schedule(settings), Schedule(settings)
    for loss in (2.0, 2.0):
        one.observe(loss)

    two.restore(one.state())
    two.observe(2.0)

    assert two.rate(50) == 0.5


def test_a_new_schedule_has_a_state_that_json_can_hold() -> None:
    fresh = Schedule(config(schedule="plateau"))
    fresh.restore(fresh.state())
    fresh.observe(1.0)

    assert fresh.state() == {"factor": 1.0, "best": 1.0, "waited": 0}


def test_only_matrices_decay() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(3, 2), "line": nn.Linear(2, 2)})
    model["state"] = nn.Linear(2, 2, bias=False)
    model["state"].weight._no_weight_decay = True  # type: ignore[assignment]

    decays = Optimizer(config(weight_decay=0.5), model).decays

    named = dict(zip([name for name, _ in model.named_parameters()], decays, strict=True))
    assert named == {"embed.weight": 0, "line.weight": 0.5, "line.bias": 0, "state.weight": 0}


def test_updates_are_those_of_torchs_adamw() -> None:
    torch.manual_seed(0)
    ours, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    twin.load_state_dict(ours.state_dict())
    optimizer = Optimizer(config(weight_decay=0.1), ours)
    torchs = torch.optim.AdamW(
        [
            {"params": [twin.weight], "weight_decay": 0.1},
            {"params": [twin.bias], "weight_decay": 0.0},
        ],
        fused=True,
    )

    for step in range(5):
        for group in torchs.param_groups:
            group["lr"] = torch.tensor(0.1 / (step + 1))
        for model in (ours, twin):
            model.zero_grad()
            model(torch.full((4, 3), step + 1.0)).square().sum().backward()
        optimizer.step(torch.tensor(0.1 / (step + 1)), torch.ones(4))
        torchs.step()

    assert torch.equal(ours.weight, twin.weight)
    assert torch.equal(ours.bias, twin.bias)
    state = optimizer.tensors()
    assert state.keys() == {
        f"{name}.{part}"
        for name in ("weight", "bias")
        for part in ("step", "exp_avg", "exp_avg_sq")
    }
    assert torch.equal(state["weight.exp_avg"], torchs.state[twin.weight]["exp_avg"])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_figures_that_are_not_finite_change_nothing(bad: float) -> None:
    model = nn.Linear(3, 2)
    optimizer = Optimizer(config(), model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(torch.tensor(0.1), torch.ones(4))
    before = [tensor.clone() for tensor in [*model.parameters(), *optimizer.tensors().values()]]

    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, bad)
    optimizer.step(torch.tensor(0.1), torch.tensor([1.0, 1.0, 0.0, bad]))

    after = [*model.parameters(), *optimizer.tensors().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_average_follows_fast_at_first_and_slowly_later() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    ema = Ema(config(ema=0.9), model)
    nn.init.ones_(model.weight)

    expected = 0.0
    for step in range(200):
        ema.update(model, torch.tensor(ema.weight(step)))
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay)
        assert math.isclose(ema.model.weight.item(), expected, rel_tol=1e-5)  # type: ignore[union-attr]
    assert not any(p.requires_grad for p in ema.model.parameters())
