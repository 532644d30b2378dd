import chess
import numpy as np
import pytest

from wm.games.chess.players import Player, exchanges, greedy, idle, keen, mate_in_one, random


def choice(player: Player, board: chess.Board, seed: int = 0) -> str:
    return player(board, np.random.default_rng(seed)).uci()


def choices(player: Player, board: chess.Board) -> set[str]:
    return {choice(player, board, seed) for seed in range(300)}


@pytest.mark.parametrize("player", [random, greedy, idle, keen])
def test_moves_are_legal_and_reproducible(player: Player) -> None:
    rng = np.random.default_rng(1)
    board = chess.Board()
    while not board.is_game_over() and board.ply() < 60:
        before = board.copy()
        move = player(board, rng)
        assert board == before
        assert move in board.legal_moves
        board.push(move)
    again = chess.Board()
    rng = np.random.default_rng(1)
    for move in board.move_stack:
        assert player(again, rng) == move
        again.push(move)


def test_random_plays_every_legal_move() -> None:
    board = chess.Board()
    assert choices(random, board) == {move.uci() for move in board.legal_moves}


def test_greedy_takes_the_most_and_heeds_no_reply() -> None:
    board = chess.Board("4k3/2p5/3q4/1N2p3/8/8/8/4K3 w - - 0 1")
    assert choices(greedy, board) == {"b5d6"}
    assert choices(greedy, chess.Board("4k3/P7/8/8/8/8/8/4K3 w - - 0 1")) == {"a7a8q"}
    assert choices(greedy, chess.Board("8/8/8/3pP2k/8/8/8/4K3 w - d6 0 1")) == {"e5d6"}


def test_idle_mostly_takes_its_last_move_back() -> None:
    board = chess.Board()
    for uci in ("g1f3", "a7a6"):
        board.push_uci(uci)
    back = sum(choice(idle, board, seed) == "f3g1" for seed in range(200))
    assert 80 < back < 140


def test_exchanges_count_one_reply() -> None:
    # Queen takes a pawn that is defended, knight takes it too; the rook's pawn is free.
    board = chess.Board("4k3/2p5/3p4/1N6/8/r2Q4/P7/4K3 w - - 0 1")
    gain = dict(
        zip(map(str, moves := list(board.legal_moves)), exchanges(board, moves), strict=True)
    )
    assert gain["d3d6"] == 1 - 9
    assert gain["b5d6"] == 1 - 3
    assert gain["b5a3"] == gain["d3a3"] == 5
    assert gain["e1e2"] == 0


def test_mate_in_one() -> None:
    board = chess.Board("6k1/5ppp/8/8/8/8/8/R3K3 w - - 0 1")
    mate = mate_in_one(board, list(board.legal_moves))
    assert mate == chess.Move.from_uci("a1a8")
    assert choices(keen, board) == {"a1a8"}
    assert mate_in_one(chess.Board(), list(chess.Board().legal_moves)) is None


def test_keen_takes_back() -> None:
    board = chess.Board()
    for uci in ("e2e4", "e7e5", "g1f3", "b8c6", "f3e5"):
        board.push_uci(uci)
    assert choices(keen, board) == {"c6e5"}


def test_keen_does_not_give_away() -> None:
    board = chess.Board("rnbqkbnr/ppp1pppp/8/3p4/8/2N2N2/PPPPPPPP/R1BQKB1R w KQkq - 0 1")
    given = {m.uci() for m in board.legal_moves if board.attackers(chess.BLACK, m.to_square)}
    assert {"e2e4", "f3g5", "c3d5"} - given == {"f3g5"}
    assert choices(keen, board).isdisjoint(given)


def test_keen_does_not_stalemate() -> None:
    board = chess.Board("7k/5Q2/8/8/8/8/8/K7 w - - 0 1")
    for uci in choices(keen, board):
        board.push_uci(uci)
        assert not board.is_stalemate()
        board.pop()
