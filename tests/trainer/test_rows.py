"""Rows of several shards, gathered at once, against the loop that says what that means."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.datasets import publish_dataset
from tests.support.training import melee_games
from trainer.rows import Column
from wm.artifacts.dataset import Shard, ShardInfo, Split, open_dataset
from wm.store import Store

CPU = torch.device("cpu")
KINDS = [("u1", (5,)), ("u1", ()), ("u2", ()), ("i4", (2, 3))]


def split(parts: list[NDArray[np.generic]]) -> Split:
    """A split with one game a shard."""
    shards = [
        Shard(
            info=ShardInfo(key="", size=0, sha256="", games=1, rows=len(part)),
            rows={"rows": part},
            offsets=np.array([0, len(part)]),
            facts={},
            identity=np.zeros((1, 16), np.uint8),
        )
        for part in parts
    ]
    return Split("train", len(parts), sum(map(len, parts)), shards)


def naive(parts: list[NDArray[np.generic]], starts: list[int], length: int) -> NDArray[np.generic]:
    """Row by row, staying on the last of the shard."""
    places = [(part, i) for part in parts for i in range(len(part))]
    runs = [
        [part[min(i + step, len(part) - 1)] for step in range(length)]
        for part, i in (places[start] for start in starts)
    ]
    return np.array(runs, parts[0].dtype)


@given(st.data())
def test_a_batch_is_what_a_loop_over_its_rows_gives(data: st.DataObject) -> None:
    kind, width = data.draw(st.sampled_from(KINDS))
    sizes = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any))
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    parts = [draw.integers(0, 100, (size, *width)).astype(kind) for size in sizes]
    last = sum(sizes) - 1
    starts = data.draw(st.lists(st.integers(0, last), min_size=1, max_size=12))
    length = data.draw(st.integers(1, 20))

    found = Column(split(parts), "rows", CPU).gather(np.array(starts), length)

    expected = naive(parts, starts, length)
    assert np.array_equal(found.numpy(), expected)
    assert found.shape == (len(starts), length, *width)
    assert found.dtype == (torch.int16 if kind == "u2" else torch.from_numpy(parts[0]).dtype)


def test_a_run_past_the_end_of_a_shard_repeats_its_last_row_and_not_the_next_shard() -> None:
    parts = [np.arange(4, dtype="u1"), np.arange(50, 53, dtype="u1")]

    found = Column(split(parts), "rows", CPU).gather(np.array([2, 6, 4]), 4)

    assert found.tolist() == [[2, 3, 3, 3], [52, 52, 52, 52], [50, 51, 52, 52]]


def test_no_starts_give_a_batch_of_nothing() -> None:
    column = Column(split([np.zeros((4, 3), "u1")]), "rows", CPU)

    assert column.gather(np.zeros(0, np.int64), 2).shape == (0, 2, 3)


def test_a_run_that_starts_before_the_rows_is_never_read() -> None:
    column = Column(split([np.zeros((4, 3), "u1")]), "rows", CPU)

    with pytest.raises(AssertionError):
        column.gather(np.array([1, -2]), 2)


def test_a_batch_can_be_written_to_without_harm_to_the_shards(store: Store, tmp_path: Path) -> None:
    games = melee_games(4)
    parts = {"train": [games[:2], games[2:]], "val": []}
    data = open_dataset(store, publish_dataset(store, "melee", parts), tmp_path)
    column = Column(data.split("train"), "frames", CPU)
    starts = np.array([0, len(games[0]) + len(games[1]) - 2])

    first = column.gather(starts, 5)
    kept = first.clone()
    first.zero_()

    assert kept.any()
    assert torch.equal(column.gather(starts, 5), kept)


@pytest.mark.parametrize("shard", [0, 1])
def test_a_run_is_the_games_own_bytes(store: Store, tmp_path: Path, shard: int) -> None:
    games = melee_games(4)
    parts = {"train": [games[:2], games[2:]], "val": []}
    data = open_dataset(store, publish_dataset(store, "melee", parts), tmp_path)
    before = sum(map(len, games[: 2 * shard]))

    found = Column(data.split("train"), "frames", CPU).gather(np.array([before]), 20)

    assert found.numpy().tobytes() == games[2 * shard].rows["frames"][:20].tobytes()
