"""Pieces are the stream, cut between games."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder import pieces as module
from encoder.pieces import halve, pieces
from encoder.read import Kind

GAME = b'[Event "x"]\n[Result "1-0"]\n\n1. e4 e5 1-0\n\n'


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", 100)
        patch.setattr(module, "LARGEST", 500)
        yield


def texts(kind: Kind) -> st.SearchStrategy[bytes]:
    parts = {
        Kind.PGN: [GAME, GAME.replace(b"\n", b"\r\n"), b"\n", b"[Event ", b"x" * 70, b"\xff"],
        Kind.JSONL: [b'{"moves": []}\n', b"\n", b"x" * 70, b"\xff"],
    }
    return st.lists(st.sampled_from(parts[kind]), max_size=40).map(b"".join)


@pytest.mark.parametrize("kind", [Kind.PGN, Kind.JSONL])
def test_nothing_is_lost_and_lines_are_counted(kind: Kind) -> None:
    @given(texts(kind))
    def check(data: bytes) -> None:
        found = list(pieces(io.BytesIO(data), kind))
        assert b"".join(part for _, part in found) == data
        assert found[0][0] == 1
        for (line, part), (following, _) in pairwise(found):
            assert part
            assert len(part) <= module.LARGEST
            assert following == line + part.count(b"\n")

    check()


@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_cuts_lie_between_games(eol: bytes) -> None:
    data = GAME.replace(b"\n", eol) * 50
    found = [part for _, part in pieces(io.BytesIO(data), Kind.PGN)]
    assert len(found) > 10
    assert all(part.startswith(b"[Event ") and part.endswith(eol * 2) for part in found)


def test_halving_ends_with_single_games() -> None:
    def split(data: bytes) -> list[bytes]:
        halves = halve(data, Kind.PGN)
        return [data] if halves is None else split(halves[0]) + split(halves[1])

    for count in range(1, 12):
        assert split(GAME * count) == [GAME] * count
    assert halve(b"no game at all", Kind.PGN) is None
    assert halve(b"", Kind.JSONL) is None


def test_an_empty_stream_is_one_piece() -> None:
    assert list(pieces(io.BytesIO(b""), Kind.PGN)) == [(1, b"")]
