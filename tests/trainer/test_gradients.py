import pytest
import torch
from torch import nn

from trainer.gradients import Gradients
from trainer.task import TaskLoss
from trainer.team import Team

ALONE = Team(0, 1, torch.device("cpu"))


def squares(model: nn.Module, x: torch.Tensor) -> TaskLoss:
    return TaskLoss(model(x).square().sum(), torch.tensor(len(x)))


def test_the_gradient_is_that_of_the_mean() -> None:
    torch.manual_seed(0)
    model, twin = nn.Linear(3, 1), nn.Linear(3, 1)
    twin.load_state_dict(model.state_dict())
    x = torch.randn(5, 3)
    gradients = Gradients(model.parameters(), ALONE)

    loss = squares(model, x)
    loss.sum.backward()
    figures = gradients.combine(loss.sum, loss.count, torch.tensor(0.0))
    mean = twin(x).square().mean()
    mean.backward()

    total, targets, stops, norm = figures.tolist()
    assert total / targets == pytest.approx(mean.item())
    assert (targets, stops) == (5, 0)
    for ours, plain in zip(model.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert plain.grad is not None
        assert torch.allclose(ours.grad, plain.grad)
    wanted = nn.utils.get_total_norm([p.grad for p in twin.parameters() if p.grad is not None])
    assert norm == pytest.approx(wanted.item())


def test_each_batch_starts_from_nothing_in_the_same_memory() -> None:
    model = nn.Linear(2, 1)
    gradients = Gradients(model.parameters(), ALONE)
    places = [p.grad.data_ptr() for p in model.parameters() if p.grad is not None]
    first: list[torch.Tensor] = []

    for _ in range(2):
        loss = squares(model, torch.ones(4, 2))
        loss.sum.backward()
        gradients.combine(loss.sum, loss.count, torch.tensor(0.0))
        first.append(torch.cat([p.grad.flatten() for p in model.parameters()]))  # type: ignore[union-attr]
        gradients.clear()

    assert torch.equal(first[0], first[1])
    assert [p.grad.data_ptr() for p in model.parameters() if p.grad is not None] == places


def test_a_long_gradient_is_shortened_and_a_short_one_left() -> None:
    model = nn.Linear(1, 1, bias=False)
    gradients = Gradients(model.parameters(), ALONE)
    assert model.weight.grad is not None
    model.weight.grad.fill_(4.0)

    gradients.clip(torch.tensor(4.0), 8.0)
    assert model.weight.grad.item() == 4.0
    gradients.clip(torch.tensor(4.0), 0)
    assert model.weight.grad.item() == 4.0
    gradients.clip(torch.tensor(4.0), 1.0)
    assert model.weight.grad.item() == 1.0


def test_the_wish_to_stop_rides_along() -> None:
    model = nn.Linear(1, 1)
    gradients = Gradients(model.parameters(), ALONE)
    loss = squares(model, torch.ones(1, 1))

    assert gradients.combine(loss.sum, loss.count, torch.tensor(1.0))[2] == 1


def test_a_nan_anywhere_is_seen_in_loss_and_norm() -> None:
    model = nn.Linear(2, 1)
    gradients = Gradients(model.parameters(), ALONE)
    loss = squares(model, torch.tensor([[1.0, float("nan")]]))
    loss.sum.backward()

    figures = gradients.combine(loss.sum, loss.count, torch.tensor(0.0))

    assert figures[0].isnan()
    assert figures[3].isnan()
