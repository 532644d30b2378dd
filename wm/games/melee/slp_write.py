"""Slippi replays byte by byte: what made games are stored as, and tests damage.

A .slp is one UBJSON object ``{"raw": [$U#l <length> <events>], "metadata": {...}}``. Events are
big-endian: a table of payload sizes (0x35), one game start (0x36), then per frame a frame start
(0x3A), pre-frame (0x37) and post-frame updates (0x38) of each player and a bookend (0x3C), and one
game end (0x39). Layout: github.com/project-slippi/slippi-wiki SPEC.md, version 3.16.0, without
items, name tags and the gecko list.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wm.games.melee.schema import BUTTONS, COLUMN_TYPES, FIRST_FRAME, FLAGS, column
from wm.games.melee.slp import BUTTON_BITS

VERSION = (3, 16, 0)
"""Slippi version whose layout is written."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a replay says before its first frame."""

    stage: int
    """External stage id."""
    characters: tuple[int, int]
    """*External* character ids."""
    ports: tuple[int, int] = (1, 2)
    """Ports 1-4, ascending."""
    stocks: int = 4
    seed: int = 0
    """The game's random seed, 32 bits."""


def write_slp(path: Path, frames: NDArray[np.void], start: Start) -> None:
    """Write FRAME records [T] as a replay that peppi reads back to the same columns, bit by bit."""
    path.write_bytes(slp_bytes(frames, start))


def slp_bytes(
    frames: NDArray[np.void], start: Start, ids: NDArray[np.int32] | None = None
) -> bytes:
    """The whole file. ``ids`` are the frame ids, by default -123, -122, ...; ids that go back make
    a replay with rollbacks. Physical and processed inputs are the same."""
    if ids is None:
        ids = np.arange(FIRST_FRAME, FIRST_FRAME + len(frames), dtype=np.int32)
    events = (
        _payload_sizes()
        + _game_start(start)
        + _frame_events(frames, start, ids).tobytes()
        + _game_end(frames, start)
    )
    header = b"{U\x03raw[$U#l" + struct.pack(">i", len(events))
    return header + events + _metadata(int(ids[-1]))


_HEAD = [("code", "u1"), ("frame", ">i4")]
_PLAYER = [*_HEAD, ("port", "u1"), ("follower", "u1")]

_FRAME_START = np.dtype([*_HEAD, ("seed", ">u4"), ("scene_frame", ">u4")])
_PRE = np.dtype(
    [
        *_PLAYER,
        ("seed", ">u4"),
        ("action", ">u2"),
        ("x", ">f4"),
        ("y", ">f4"),
        ("direction", ">f4"),
        ("stick_x", ">f4"),
        ("stick_y", ">f4"),
        ("cstick_x", ">f4"),
        ("cstick_y", ">f4"),
        ("trigger", ">f4"),
        ("buttons", ">u4"),
        ("physical_buttons", ">u2"),
        ("physical_l", ">f4"),
        ("physical_r", ">f4"),
        ("raw_x", "i1"),
        ("percent", ">f4"),
        ("raw_y", "i1"),
    ]
)
_POST = np.dtype(
    [
        *_PLAYER,
        ("character", "u1"),
        ("action", ">u2"),
        ("x", ">f4"),
        ("y", ">f4"),
        ("direction", ">f4"),
        ("percent", ">f4"),
        ("shield", ">f4"),
        ("last_attack", "u1"),
        ("combo", "u1"),
        ("last_hit_by", "u1"),
        ("stocks", "u1"),
        ("state_age", ">f4"),
        ("state_flags", "u1", 5),
        ("misc", ">f4"),
        ("airborne", "u1"),
        ("ground", ">u2"),
        ("jumps", "u1"),
        ("l_cancel", "u1"),
        ("hurtbox", "u1"),
        ("self_x_air", ">f4"),
        ("self_y", ">f4"),
        ("knockback_x", ">f4"),
        ("knockback_y", ">f4"),
        ("self_x_ground", ">f4"),
        ("hitlag", ">f4"),
        ("animation", ">u4"),
        ("instance_hit_by", ">u2"),
        ("instance", ">u2"),
    ]
)
_BOOKEND = np.dtype([*_HEAD, ("finalised", ">i4")])
_FRAME_EVENTS = np.dtype(
    [("start", _FRAME_START), ("pre", _PRE, 2), ("post", _POST, 2), ("bookend", _BOOKEND)]
)

_GAME_START_SIZE = 760
_GAME_END_SIZE = 6
_SIZES = {
    0x36: _GAME_START_SIZE,
    0x37: _PRE.itemsize - 1,
    0x38: _POST.itemsize - 1,
    0x39: _GAME_END_SIZE,
    0x3A: _FRAME_START.itemsize - 1,
    0x3C: _BOOKEND.itemsize - 1,
}
"""Event code -> bytes after the code."""


def _payload_sizes() -> bytes:
    pairs = b"".join(struct.pack(">BH", code, size) for code, size in _SIZES.items())
    return struct.pack(">BB", 0x35, len(pairs) + 1) + pairs


def _game_start(start: Start) -> bytes:
    """Event 0x36; the numbers are offsets from its code byte."""
    event = bytearray(1 + _GAME_START_SIZE)
    event[0] = 0x36
    event[1:4] = bytes(VERSION)
    event[0x05:0x09] = b"\x32\x01\x8e\x4c"  # game modes of an ordinary stock match
    event[0x10:0x12] = b"\xff\xff"  # no items; a self-destruct counts -1
    struct.pack_into(">HI", event, 0x13, start.stage, 480)  # timer in seconds
    struct.pack_into(">f", event, 0x35, 1.0)  # damage ratio
    for slot in range(6):
        offset = 0x65 + 0x24 * slot
        event[offset + 1] = 3  # empty
        struct.pack_into(">fff", event, offset + 0x18, 1.0, 1.0, 1.0)  # offence, defence, size
    for character, port in zip(start.characters, start.ports, strict=True):
        offset = 0x65 + 0x24 * (port - 1)
        event[offset : offset + 3] = bytes((character, 0, start.stocks))
        event[offset + 0x08] = 9  # handicap: none
    struct.pack_into(">I", event, 0x13D, start.seed)
    event[0x1A3:0x1A5] = b"\x02\x08"  # scene: online play
    event[0x2BD] = 1  # English
    return bytes(event)


def _frame_events(
    frames: NDArray[np.void], start: Start, ids: NDArray[np.int32]
) -> NDArray[np.void]:
    events = np.zeros(len(frames), _FRAME_EVENTS)
    codes = {"start": 0x3A, "pre": 0x37, "post": 0x38, "bookend": 0x3C}
    for name, code in codes.items():
        events[name]["code"] = code
        events[name]["frame"] = ids.reshape(-1, *[1] * (events[name].ndim - 1))
    events["start"]["seed"] = start.seed
    events["start"]["scene_frame"] = ids - FIRST_FRAME
    events["bookend"]["finalised"] = np.minimum.accumulate(ids[::-1])[::-1]
    ports = np.array(start.ports) - 1
    _fill_pre(events["pre"], frames, ports)
    _fill_post(events["post"], frames, ports)
    return events


def _fill_pre(pre: NDArray[np.void], frames: NDArray[np.void], ports: NDArray[np.int_]) -> None:
    pre["port"] = ports
    before = np.concatenate([frames[:1], frames[:-1]])
    for name in ("action", "x", "y", "percent"):
        pre[name] = column(before, name)
    pre["direction"] = _direction(before)
    for name in ("stick_x", "stick_y", "cstick_x", "cstick_y"):
        pre[name] = column(frames, name)
    pre["raw_x"] = np.rint(pre["stick_x"] * 80)
    pre["raw_y"] = np.rint(pre["stick_y"] * 80)
    pre["trigger"] = pre["physical_l"] = column(frames, "shoulder")
    pressed = column(frames, "buttons").astype(np.uint32)
    bits = [BUTTON_BITS[name] for name in BUTTONS]
    pre["buttons"] = sum((pressed >> i & 1) << bit for i, bit in enumerate(bits))
    pre["physical_buttons"] = pre["buttons"]


def _fill_post(post: NDArray[np.void], frames: NDArray[np.void], ports: NDArray[np.int_]) -> None:
    post["port"] = ports
    for name in COLUMN_TYPES.keys() & set(_POST.names or ()):
        post[name] = column(frames, name)
    post["direction"] = _direction(frames)
    post["airborne"] = 1 - _flag(frames, "on_ground")
    post["last_hit_by"] = 6  # nobody


def _direction(frames: NDArray[np.void]) -> NDArray[np.int_]:
    return 2 * _flag(frames, "facing") - 1


def _flag(frames: NDArray[np.void], name: str) -> NDArray[np.int_]:
    return column(frames, "flags").astype(int) >> FLAGS.index(name) & 1


def _game_end(frames: NDArray[np.void], start: Start) -> bytes:
    """Event 0x39: GAME! where a player is out of stocks, else no contest, and the placements."""
    stocks = column(frames, "stocks")[-1].astype(int)
    placements = [-1] * 4
    for player, port in enumerate(start.ports):
        placements[port - 1] = int(stocks[player] < stocks[1 - player])
    return struct.pack(">BBb4b", 0x39, 2 if stocks.min() == 0 else 7, -1, *placements)


def _metadata(last_frame: int) -> bytes:
    return (
        b"U\x08metadata{"
        + b"U\x09lastFramel"
        + struct.pack(">i", last_frame)
        + b"U\x08playedOnSU\x04made"
        + b"}}"
    )
