import io
from collections import Counter
from pathlib import Path

import chess.pgn
import pytest

from wm.games.chess.made import OPENING_PLIES, make_game, write_games
from wm.games.chess.options import ChessOptions
from wm.games.chess.pgn import read_pgn
from wm.games.game import Game

GAMES = 40


@pytest.fixture(scope="module")
def text() -> str:
    return "".join(make_game(1, index) for index in range(GAMES))


def test_games_depend_on_seed_and_number_only(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pgn", tmp_path / "b.pgn"
    write_games(first, 4, 7)
    write_games(second, 6, 7)
    text = second.read_text()
    assert text == "".join(make_game(7, index) for index in range(6))
    assert text.startswith(first.read_text())
    assert make_game(8, 0) != make_game(7, 0)


def test_every_game_is_legal_and_ends_by_the_rules(text: str) -> None:
    games = list(read_pgn(io.BytesIO(text.encode()), options=ChessOptions()))
    accepted = [game for game in games if isinstance(game, Game)]
    assert len(accepted) == len(games) == GAMES
    assert len({game.rows["moves"][:OPENING_PLIES].tobytes() for game in accepted}) == GAMES


def test_keen_is_stronger_with_either_colour(text: str) -> None:
    points: Counter[tuple[str, str]] = Counter()
    stream = io.StringIO(text)
    while headers := chess.pgn.read_headers(stream):
        white, black = {"1-0": (1, 0), "0-1": (0, 1)}.get(headers["Result"], (0.5, 0.5))
        points[headers["White"], "white"] += white
        points[headers["Black"], "black"] += black
    assert points["keen", "white"] > 0.8 * GAMES / 2
    assert points["keen", "black"] > 0.8 * GAMES / 2
