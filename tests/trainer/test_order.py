from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.order import BLOCK, Order

Pairs = list[tuple[int, int]]


def batch(order: Order, step: int, world: int = 1) -> Pairs:
    """Epoch and item of every slot, as ``world`` processes fill them."""
    shares = [order.share(step, rank, world) for rank in range(world)]
    epochs, items = (np.concatenate(part) for part in zip(*shares, strict=True))
    return list(zip(epochs.tolist(), items.tolist(), strict=True))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    items = draw(st.integers(1, 500))
    lengths = np.array(draw(st.lists(st.integers(1, 99), min_size=items, max_size=items)))
    return Order(
        items=items,
        batch=8 * draw(st.integers(1, 4)),
        groups=8,
        seed=draw(st.integers(0, 2**63 - 1)),
        lengths=lengths if draw(st.booleans()) else None,
    )


@given(order=orders(), step=st.integers(0, 10_000))
def test_the_stream_is_the_same_at_any_number_of_processes(order: Order, step: int) -> None:
    alone = batch(order, step)

    for world in (2, 4, 8):
        assert batch(order, step, world) == alone


@given(order=orders(), steps=st.lists(st.integers(0, 200), min_size=2, max_size=6))
def test_a_batch_does_not_depend_on_what_was_asked_before(order: Order, steps: list[int]) -> None:
    fresh = [batch(Order(**vars(order)), step) for step in steps]

    assert [batch(order, step) for step in steps] == fresh


@given(order=orders())
def test_every_epoch_holds_every_item_once(order: Order) -> None:
    steps = -(-2 * order.items // order.batch) + BLOCK
    seen = Counter(pair for step in range(steps) for pair in batch(order, step))

    assert set(seen.values()) == {1}
    for epoch in (0, 1):
        assert {item for e, item in seen if e == epoch} == set(range(order.items))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    order = Order(items=64, batch=64, groups=4, seed=0)

    first, second = ([item for _, item in batch(order, step)] for step in (0, 1))

    assert sorted(first) == sorted(second)
    assert first != second
    assert first != [i for _, i in batch(Order(items=64, batch=64, groups=4, seed=1), 0)]


def test_games_of_similar_length_share_a_batch() -> None:
    lengths = np.random.default_rng(0).integers(10, 300, 4096)
    order = Order(items=4096, batch=64, groups=4, seed=0, lengths=lengths)

    longest = sum(int(lengths[order.share(step)[1]].max()) * 64 for step in range(64))

    assert longest / lengths.sum() < 1.1  # in random order, padding makes it 1.9


def test_a_small_data_set_does_not_fill_batches_with_copies() -> None:
    order = Order(items=40, batch=8, groups=4, seed=0, lengths=np.arange(40))

    assert all(len(set(order.share(step)[1].tolist())) == 8 for step in range(5))


def test_groups_share_long_and_short_games_fairly() -> None:
    lengths = np.arange(64)
    order = Order(items=64, batch=64, groups=4, seed=0, lengths=lengths)

    means = [lengths[order.share(0, rank, 4)[1]].mean() for rank in range(4)]

    assert max(means) - min(means) <= 3


def test_processes_must_divide_the_groups() -> None:
    with pytest.raises(ValueError, match="3 processes do not divide 4 groups"):
        Order(items=10, batch=4, groups=4, seed=0).share(0, 0, 3)
