"""The arena's own count of endings against python-chess."""

from __future__ import annotations

import chess
import numpy as np
import pytest

from evaluator.chess_judge.game import Ending, Game
from wm.games.chess.players import greedy, idle, random


def game(moves: list[str], *, max_plies: int = 300, margin: int | None = None) -> Game:
    return Game("white", "black", 0, moves, max_plies=max_plies, margin=margin)


@pytest.mark.parametrize("player", [random, idle, greedy])
def test_every_position_ends_as_python_chess_says(player) -> None:
    endings = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        played = game([], max_plies=400)
        while played.ending is None:
            assert played.board.outcome(claim_draw=True) is None
            played.push(player(played.board, rng))
        outcome = played.board.outcome(claim_draw=True)
        if not played.capped:
            assert outcome is not None
            assert played.ending == Ending(outcome.termination.name.lower(), outcome.winner)
            assert played.result == outcome.result()
        endings.add(played.ending.reason)
    assert endings - {"ply_cap"}


def test_fools_mate() -> None:
    mated = game(["f2f3", "e7e5", "g2g4", "d8h4"])
    assert mated.ending == Ending("checkmate", chess.BLACK)
    assert (mated.result, mated.score("black"), mated.score("white")) == ("0-1", 1.0, 0.0)


def test_a_draw_is_claimed_before_the_third_repetition_is_played() -> None:
    shuffle = ["g1f3", "g8f6", "f3g1", "f6g8"]
    once = game(shuffle + shuffle[:2])
    assert once.ending is None
    claimed = game(shuffle + shuffle[:3])
    assert claimed.ending == Ending("threefold_repetition", None)
    assert claimed.board.can_claim_threefold_repetition()


def test_lost_castling_rights_make_another_position() -> None:
    """The king's walk costs the rights, so the position after it is new."""
    opening = ["e2e4", "e7e5"]
    walk = ["e1e2", "e8e7", "e2e1", "e7e8"]
    assert game(opening + walk).ending is None
    assert game(opening + walk + walk[:3]).ending is None
    assert game(opening + walk + walk + walk[:3]).ending is not None


def test_the_cap_draws_or_adjudicates() -> None:
    queen_up = ["e2e4", "d7d5", "e4d5", "d8d5", "b1c3", "g8f6", "c3d5", "f6g8"]
    assert game(queen_up, max_plies=8).ending == Ending("ply_cap", None)
    judged = game(queen_up, max_plies=8, margin=3)
    assert judged.ending == Ending("ply_cap_material", chess.WHITE)
    assert judged.capped
    assert game(queen_up, max_plies=8, margin=20).ending == Ending("ply_cap", None)
    assert game(queen_up, max_plies=9).ending is None
