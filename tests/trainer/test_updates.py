import torch

from trainer.updates import Unread, Update


def test_figures_are_read_together_in_their_order() -> None:
    unread = Unread()
    unread.add(4, torch.tensor([6.0, 3.0, 0.0, 0.5]))
    unread.add(5, torch.tensor([8.0, 2.0, 1.0, 0.25]))

    assert unread.read() == [Update(4, 2.0, 3, 0.5, False), Update(5, 4.0, 2, 0.25, True)]
    unread.add(6, torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert unread.read() == [Update(6, 1.0, 0, 0.0, False)]
