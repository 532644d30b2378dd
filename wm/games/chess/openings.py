"""Openings: balanced ones made from the rules, and those of a PGN or TSV file."""

from __future__ import annotations

import io
from pathlib import Path

import chess
import numpy as np

from wm.errors import BadData, InputMissing
from wm.games.chess.options import ChessOptions
from wm.games.chess.pgn import read_pgn
from wm.games.chess.players import exchanges, mate_in_one, random
from wm.games.chess.vocabulary import decode
from wm.games.game import Game, Reason

_PASSED_OVER = {Reason.TOO_SHORT, Reason.RESULT_MISMATCH}


def book(count: int, seed: int, plies: int = 8) -> list[list[str]]:
    """``count`` openings of ``plies`` plies as UCI lists, no two ending in the same position.

    Each is a line of random legal moves that ends balanced, see :func:`draw`. A larger ``count``
    only adds to a smaller one. ``ValueError`` if there are too few lines of that length.
    """
    rng = np.random.default_rng([seed, plies])
    lines: dict[str, list[str]] = {}
    for _ in range(10 * count + 100):
        if len(lines) == count:
            return list(lines.values())
        board = draw(rng, plies)
        lines.setdefault(board.epd(), [move.uci() for move in board.move_stack])
    raise ValueError(f"there are not {count} balanced openings of {plies} plies")


def draw(rng: np.random.Generator, plies: int) -> chess.Board:
    """A board after ``plies`` random moves whose player has the same material as the other, is not
    in check, and has neither a mate in one nor a capture that pays."""
    while True:
        board = chess.Board()
        for _ in range(plies):
            if not any(board.generate_legal_moves()):
                break
            board.push(random(board, rng))
        if board.ply() == plies and _balanced(board):
            return board


def read_openings(path: Path, plies: int = 8) -> list[list[str]]:
    """The openings of a PGN file, or of a TSV file whose last column ``pgn`` holds movetext.

    Gives UCI lists of at least ``plies`` plies, no two of which are the same, in the file's order;
    shorter ones and those that end in mate without its result are passed over. ``BadData`` when
    none is left, or one cannot be played.
    """
    if not path.is_file():
        raise InputMissing(f"no file of openings at {path}", hint="give a PGN or TSV file")
    data = path.read_bytes()
    if path.suffix == ".tsv":
        data = _pgn_of_tsv(data, path)
    lines: dict[tuple[str, ...], None] = {}
    for game in read_pgn(io.BytesIO(data), options=ChessOptions(min_plies=plies)):
        if isinstance(game, Game):
            lines[tuple(decode(token) for token in game.rows["moves"].tolist())] = None
        elif game.reason not in _PASSED_OVER:
            raise BadData(f"{path}, {game.detail}", hint="correct the opening or leave it out")
    if not lines:
        raise BadData(
            f"{path} holds no opening of {plies} plies or more", hint="give a longer book"
        )
    return [list(line) for line in lines]


def _balanced(board: chess.Board) -> bool:
    counts = [
        [len(board.pieces(piece, color)) for piece in chess.PIECE_TYPES] for color in chess.COLORS
    ]
    if counts[0] != counts[1] or board.is_check():
        return False
    moves = list(board.legal_moves)
    return max(exchanges(board, moves)) <= 0 and mate_in_one(board, moves) is None


def _pgn_of_tsv(data: bytes, path: Path) -> bytes:
    names, _, rows = data.decode("utf-8", errors="replace").partition("\n")
    if names.split("\t")[-1].strip() != "pgn":
        raise BadData(
            f"{path} has no last column named pgn", hint="lichess chess-openings has the columns"
        )
    return "".join(f"\n{row.split(chr(9))[-1]} *" for row in rows.splitlines()).encode()
