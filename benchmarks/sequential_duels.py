"""How many pairs a sequential duel plays, and how often it is right: simulated chess matches.

    python benchmarks/sequential_duels.py [matches]

Pairs of games are drawn independently with a known strength difference; who stops when is decided
by the arena's own rounds and test. Needs no GPU; the default takes half a minute.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np

from evaluator.config import ArenaConfig
from evaluator.rating.elo import score_of_elo
from evaluator.rating.scores import pentanomial
from evaluator.rating.sprt import sprt
from evaluator.rounds import Rounds

PAIRS = 2000
DRAWS = 0.4
"""Share of drawn games, about that of weak policies with a ply cap."""


def main() -> None:
    matches = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    rng = np.random.default_rng(0)
    print(f"{matches} matches a row, at most {PAIRS} pairs, {DRAWS:.0%} draws")
    print("sprt nElo  true Elo  pairs mean  median   H1   H0  open")
    for elo1 in (10, 30):
        for true in (-20, 0, 5, 10, 20, 50, 100):
            found = [duel(rng, true, elo1) for _ in range(matches)]
            units = [n for n, _ in found]
            share = Counter(decision for _, decision in found)
            shares = [share[d] / matches for d in ("accept_h1", "accept_h0", "continue")]
            print(
                f"   0..{elo1:<3d} {true:8d} {np.mean(units):11.0f} {np.median(units):7.0f} "
                + " ".join(f"{s:4.0%}" for s in shares)
            )


def duel(rng: np.random.Generator, true: float, elo1: float) -> tuple[int, str]:
    """Pairs played and the decision of one match of a player that is ``true`` Elo stronger."""
    config = ArenaConfig.model_validate(
        {
            "game": "chess",
            "players": [{"name": n, "model": f"models/chess/{n}"} for n in "ab"],
            "pairs": PAIRS,
            "sprt": {"elo1": elo1},
            "sequential": True,
        }
    )
    win = score_of_elo(true) - DRAWS / 2
    halves = rng.choice(3, size=(PAIRS, 2), p=[1 - DRAWS - win, DRAWS, win])
    kinds = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])[halves[:, 0], halves[:, 1]]
    rounds = Rounds(config, PAIRS, "pairs")
    decision = "continue"
    while not rounds.over:
        counts = np.bincount(kinds[: rounds.stop], minlength=6)
        test = sprt(pentanomial(counts.tolist()), **config.sprt.model_dump())
        rounds.finish(lambda pair, test=test: test)
        decision = test.decision
    return rounds.start, decision


if __name__ == "__main__":
    main()
