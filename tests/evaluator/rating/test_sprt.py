"""SPRT against fastchess' published figures, and its behaviour over any results."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluator.rating.scores import Scores, pentanomial, trinomial
from evaluator.rating.sprt import EloModel, log_likelihood_ratio, sprt


@pytest.mark.parametrize(
    ("scores", "elo0", "elo1", "model", "llr"),
    [
        (pentanomial((365, 16618, 36029, 200, 16974, 390)), 0, 2, "normalized", 2.25),
        (pentanomial((223, 9863, 20279, 1000, 10037, 246)), 0.5, 2.5, "logistic", -3.07),
        (trinomial(36433, 68692, 36027), 0, 2, "normalized", 0.92),
        (trinomial(21404, 40708, 21184), 0.5, 2.5, "logistic", -1.57),
    ],
)
def test_llr_of_published_matches(
    scores: Scores, elo0: float, elo1: float, model: EloModel, llr: float
) -> None:
    test = sprt(scores, elo0=elo0, elo1=elo1, model=model)
    assert test.llr == pytest.approx(llr, abs=0.005)
    assert (test.lower, test.upper) == pytest.approx((-2.944, 2.944), abs=5e-4)


@pytest.mark.parametrize("model", ["normalized", "logistic"])
def test_decisions_rise_with_the_share_of_wins(model: EloModel) -> None:
    tests = [
        sprt(trinomial(wins, 100, 400 - wins), elo0=0, elo1=20, model=model)
        for wins in range(0, 401, 10)
    ]
    ratios = [test.llr for test in tests]
    assert all(a < b for a, b in pairwise(ratios))
    order = {"accept_h0": 0, "continue": 1, "accept_h1": 2}
    steps = [order[test.decision] for test in tests]
    assert steps == sorted(steps)
    assert set(steps) == {0, 1, 2}


@given(
    st.lists(st.integers(0, 300), min_size=6, max_size=6).filter(any),
    st.sampled_from(["normalized", "logistic"]),
    st.floats(-400, 400),
    st.floats(0.5, 100),
)
@example([0, 0, 0, 0, 0, 1], "normalized", 132.0, 100.0)  # once left the simplex
@settings(deadline=None)
def test_the_hypotheses_mirror_with_the_players(
    results: list[int], model: EloModel, elo0: float, width: float
) -> None:
    scores, swapped = pentanomial(results), pentanomial(results[::-1])
    mine = log_likelihood_ratio(scores, elo0, elo0 + width, model)
    theirs = log_likelihood_ratio(swapped, -elo0 - width, -elo0, model)
    assert np.isfinite(mine)
    assert mine == pytest.approx(-theirs, rel=1e-4, abs=1e-4)


def test_a_wide_question_is_answered_sooner_than_a_narrow_one() -> None:
    scores = trinomial(300, 200, 200)
    assert sprt(scores, elo0=0, elo1=30).llr > sprt(scores, elo0=0, elo1=3).llr > 0
