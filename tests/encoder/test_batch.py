"""What comes from a worker is checked before anything is believed."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.batch import pack_games, unpack_games
from wm.artifacts.shard import write_shard
from wm.games.game import Game, Reason, Rejected
from wm.games.melee.schema import FRAME


def chess(number: int, plies: int) -> Game:
    rows = {"moves": np.full(plies, 2 + number, "<u2"), "phases": np.ones(plies, np.uint8)}
    return Game(f"{number:032x}", rows, {"winner": 1}, clipped={"a": number}, missing=("b",))


def test_there_and_back() -> None:
    outcomes = [chess(1, 9), Rejected(Reason.EMPTY, "no moves"), chess(2, 12)]
    batch = unpack_games("chess", pack_games("chess", outcomes))
    assert batch.lengths.tolist() == [9, 12]
    assert batch.rows["moves"].tolist() == [3] * 9 + [4] * 12
    assert batch.facts["winner"].tolist() == [1, 1]
    assert [bytes(one).hex() for one in batch.identity] == [f"{n:032x}" for n in (1, 2)]
    assert [(v.reason, v.detail) for v in batch.verdicts] == [
        (None, ""), (Reason.EMPTY, "no moves"), (None, ""),
    ]  # fmt: skip
    assert batch.verdicts[2].clipped == {"a": 2}
    assert batch.verdicts[2].missing == ("b",)


def test_only_rejections() -> None:
    batch = unpack_games("melee", pack_games("melee", [Rejected(Reason.TIMEOUT, "x")]))
    assert (len(batch.lengths), batch.rows, batch.bytes) == (0, {}, 0)


def honest() -> dict[str, Any]:
    return {
        "moves": np.full(9, 5, "<u2"),
        "phases": np.ones(9, np.uint8),
        "lengths": np.array([9], "<i8"),
        "identity": np.zeros((1, 16), np.uint8),
        "facts.winner": np.zeros(1, "<i4"),
        "note": [[None, ""]],
    }


LIES: dict[str, dict[str, Any]] = {
    "fewer verdicts": {"note": []},
    "more verdicts": {"note": [[None, ""], [None, ""]]},
    "no verdicts": {"note": None},
    "a reason that is none": {"note": [["boredom", ""]]},
    "clipped that is no count": {"note": [[None, "", [1], []]]},
    "lengths beyond the rows": {"lengths": np.array([10], "<i8")},
    "negative lengths": {"lengths": np.array([-9], "<i8")},
    "no rows in a game": {"lengths": np.array([0], "<i8"), "moves": np.zeros(0, "<u2")},
    "wide phases": {"phases": np.ones(9, "<u2")},
    "moves of another shape": {"moves": np.full((9, 2), 5, "<u2")},
    "a move that does not exist": {"moves": np.full(9, 1970, "<u2")},
    "no identity": {"identity": np.zeros((0, 16), np.uint8)},
    "short identity": {"identity": np.zeros((1, 8), np.uint8)},
    "two winners": {"facts.winner": np.zeros(2, "<i4")},
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(lie: str) -> None:
    assert pack(honest())  # so that it is the lie that is refused
    unpack_games("chess", pack(honest()))
    with pytest.raises(Rejected, match="gave no valid answer") as rejected:
        unpack_games("chess", pack(honest() | LIES[lie]))
    assert rejected.value.reason == Reason.UNREADABLE


@pytest.mark.parametrize("group", ["f32", "f16"])
def test_values_that_are_not_finite(group: str) -> None:
    frames = np.zeros(5, FRAME)
    frames[group][3, 1, 0] = np.nan
    facts = dict.fromkeys(("stage", "character0", "character1", "port0", "port1", "version"), 1)
    data = pack_games("melee", [Game("0" * 32, {"frames": frames}, facts)])
    with pytest.raises(Rejected, match="not finite") as rejected:
        unpack_games("melee", data)
    assert rejected.value.reason == Reason.NOT_FINITE


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    with pytest.raises(Rejected):
        unpack_games("chess", data)


@given(st.integers(0, 600), st.integers(1, 255))
def test_flipped_bits_raise_nothing_else(at: int, flip: int) -> None:
    data = bytearray(pack(honest()))
    data[at % len(data)] ^= flip
    try:
        unpack_games("chess", bytes(data))
    except Rejected:
        return


def pack(parts: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    tensors = {name: [values] for name, values in parts.items() if name != "note"}
    write_shard(stream, tensors, json.dumps(parts["note"]))
    return stream.getvalue()
