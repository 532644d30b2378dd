import pytest
import torch

from trainer.batch import split, tensors
from trainer.chess_task import ChessBatch
from wm.models.policy import GameBatch


def test_parts_are_consecutive_and_hold_every_column() -> None:
    rows = torch.arange(10)
    batch = ChessBatch(GameBatch(rows, rows + 10, rows + 20, rows + 30), rows + 40)

    parts = split(batch, 3)

    assert [part.games.moves.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert [part.games.lengths.tolist() for part in parts][1] == [34, 35, 36]
    assert torch.cat([part.hide_winner for part in parts]).tolist() == list(range(40, 50))
    assert all(isinstance(part, ChessBatch) for part in parts)


def test_one_part_is_the_batch_itself() -> None:
    batch = torch.ones(3)

    assert split(batch, 1)[0] is batch
    assert [len(part) for part in split(batch, 2)] == [2, 1]


def test_every_tensor_of_a_batch_is_found() -> None:
    parts = [torch.full((2,), float(i)) for i in range(5)]
    batch = ChessBatch(GameBatch(*parts[:4]), parts[4])

    assert all(a is b for a, b in zip(tensors(batch), parts, strict=True))
    with pytest.raises(TypeError, match="cannot hold a dict"):
        list(tensors({}))
