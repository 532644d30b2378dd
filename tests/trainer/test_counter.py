import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.counter import bits, permute, uniform

seeds = st.integers(0, 2**63 - 1)


@given(size=st.integers(1, 3000), seed=seeds)
def test_a_permutation_is_a_bijection(size: int, seed: int) -> None:
    places = permute(np.arange(size), size, bits(seed, "order", 0))

    assert np.array_equal(np.sort(places), np.arange(size))


@given(size=st.integers(2, 10**12), seed=seeds, data=st.data())
def test_a_part_of_a_permutation_needs_no_other_part(
    size: int, seed: int, data: st.DataObject
) -> None:
    index = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5, unique=True))
    key = bits(seed, "order", 0)

    places = permute(np.array(index), size, key)

    assert ((places >= 0) & (places < size)).all()
    assert len(set(places.tolist())) == len(index)
    assert places[0] == permute(np.array(index[:1]), size, key)[0]


def test_every_place_is_equally_likely_for_every_item() -> None:
    keys = bits(7, "order", np.arange(4000))
    counts = np.zeros((8, 8))
    for item in range(8):
        places = permute(np.full(4000, item), 8, keys)
        counts[item] = np.bincount(places, minlength=8)

    # Chi-squared with 49 degrees of freedom: 85 is passed once in a thousand seeds.
    assert ((counts - 500) ** 2 / 500).sum() < 85


def test_streams_of_a_seed_differ_by_purpose_and_counter() -> None:
    draws = {
        int(bits(seed, purpose, counter, other)[0])
        for seed in (0, 1)
        for purpose in ("order", "winner")
        for counter in (0, 1)
        for other in (0, 1)
    }

    assert len(draws) == 16


def test_uniform_numbers_are_uniform() -> None:
    numbers = uniform(3, "winner", 0, np.arange(100_000))

    assert numbers.min() >= 0
    assert numbers.max() < 1
    shares = np.histogram(numbers, bins=10, range=(0, 1))[0] / 100_000
    assert np.abs(shares - 0.1).max() < 0.005


def test_golden_values_hold_on_every_machine() -> None:
    assert bits(1, "order", 2, 3).tolist() == [8098491454187151010]
    assert permute(np.arange(10), 10, bits(0, "order", 0)).tolist() == [
        9,
        0,
        7,
        2,
        8,
        6,
        3,
        1,
        4,
        5,
    ]
