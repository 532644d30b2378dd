"""What moves share, and that they learn from each other by it."""

import torch

from wm.games.chess.vocabulary import PAD, SIZE, UNK, encode
from wm.models.move_parts import MoveParts


def test_a_move_is_the_sum_of_its_squares_and_its_promotion() -> None:
    parts = MoveParts(3, std=1.0)
    origins, targets, promotions = parts.vectors.weight.split([64, 64, 4])

    table = parts()

    assert table.shape == (SIZE, 3)
    torch.testing.assert_close(table[encode("g1f3")], origins[6] + targets[21])
    torch.testing.assert_close(table[encode("b7a8r")], origins[49] + targets[56] + promotions[2])
    assert not table[[PAD, UNK]].any()


def test_moves_that_share_a_square_learn_from_each_other() -> None:
    parts = MoveParts(3, std=1.0)
    learned, related, stranger = (encode(move) for move in ("g1f3", "d4f3", "a7a6"))
    before = parts().detach()

    parts()[learned].sum().backward()
    with torch.no_grad():
        parts.vectors.weight -= parts.vectors.weight.grad
    moved = (before - parts()).sum(-1)

    assert moved[learned].item() == 6  # both of its parts
    assert moved[related].item() == 3  # its target
    assert moved[stranger].item() == 0


def test_no_two_moves_have_the_same_parts() -> None:
    incidence = MoveParts(1, std=1.0).incidence[2:]
    assert len(torch.unique(incidence, dim=0)) == SIZE - 2
