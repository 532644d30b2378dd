"""Splits are a function of what was played, and small data sets lack none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.config import SplitShares
from encoder.seen import Seen
from encoder.split import TEST, TRAIN, VAL, assign, fill_empty, positions

IDS = np.random.default_rng(0).integers(0, 256, (20_000, 16), np.uint8)


def test_shares_are_met_and_order_does_not_matter() -> None:
    shares = SplitShares(val=0.1, test=0.2)
    split = assign(positions(IDS, ""), shares)
    assert np.bincount(split) / len(IDS) == pytest.approx([0.7, 0.1, 0.2], abs=0.01)
    order = np.random.default_rng(1).permutation(len(IDS))
    assert (assign(positions(IDS[order], ""), shares) == split[order]).all()


def test_a_salt_makes_another_split() -> None:
    shares = SplitShares(val=0.1, test=0.2)
    same = assign(positions(IDS, ""), shares) == assign(positions(IDS, "x"), shares)
    assert same.mean() == pytest.approx(0.7**2 + 0.1**2 + 0.2**2, abs=0.02)


def test_the_position_of_a_game_never_changes() -> None:
    """A golden value: with another hash every published split would leak into the others."""
    at = positions(np.arange(16, dtype=np.uint8).reshape(1, 16), "salt")
    assert at[0] == pytest.approx(0.7152391331083162, abs=1e-15)


@given(st.integers(0, 40), st.integers(0, 2**32), st.sampled_from([0.0, 0.01, 0.4]),
       st.sampled_from([0.0, 0.01, 0.5]))  # fmt: skip
def test_no_split_with_a_share_is_empty(games: int, seed: int, val: float, test: float) -> None:
    shares = SplitShares(val=val, test=test)
    at = positions(np.random.default_rng(seed).integers(0, 256, (games, 16), np.uint8), "")
    before = assign(at, shares)
    after = fill_empty(before, at, shares)
    counts = np.bincount(after, minlength=3)
    if games >= 3:
        assert counts[TRAIN] > 0
        assert (counts[VAL] > 0) == (val > 0)
        assert (counts[TEST] > 0) == (test > 0)
    full = np.bincount(before, minlength=3)
    needed = sum(full[s] == 0 and share > 0 for s, share in ((0, 1), (VAL, val), (TEST, test)))
    assert (before != after).sum() == (needed if games >= 3 else 0)


def test_shares_must_leave_something_to_train_on() -> None:
    with pytest.raises(ValueError, match="leave a share to train on"):
        SplitShares(val=0.5, test=0.5)


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=20))
def test_seen_agrees_with_a_set(batches: list[list[int]]) -> None:
    seen, known = Seen(), set[int]()
    for batch in batches:
        # Zero bytes at the end are what a fixed-width string drops.
        ids = np.zeros((len(batch), 16), np.uint8)
        ids[:, 3] = batch
        expected = []
        for number in batch:
            expected.append(number not in known)
            known.add(number)
        assert seen.add(ids).tolist() == expected
        assert len(seen) == len(known)


def test_seen_takes_sixteen_bytes_a_game() -> None:
    seen = Seen()
    for start in range(0, len(IDS), 7):
        assert seen.add(IDS[start : start + 7]).all()
    assert sum(run.nbytes for run in seen._runs) == 16 * len(IDS)
    assert len(seen._runs) < 20
    assert not seen.add(IDS).any()
