"""Games of the ``parsed-v2`` layout: zlib over parquet, one struct column ``root``.

Such a folder holds ``meta.json`` (an array of one object per game) and ``games/<md5 of the .slp>``.
What it lost on the way from the replay is named in ``Game.missing``, never filled in:

- ``frame_id``: rows that a rollback undid were kept, and cannot be told from the final ones; games
  where many are seen are refused;
- ``percent``: truncated to whole numbers;
- ``port``: players are 0 and 1 in port order;
- ``stage``: 0 in older files (taken from the meta object where that has it);
- speeds that are 0 throughout although bodies move were filled in by its builder.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wm.games.game import Game, Reason, Rejected
from wm.games.melee.assemble import Columns, assemble, pack_buttons, pack_flags
from wm.games.melee.checks import SPEEDS, count_revisits
from wm.games.melee.options import MeleeOptions
from wm.games.melee.schema import BUTTONS

FIELDS = {
    "x": "x",
    "y": "y",
    "percent": "percent",
    "shield": "shield_strength",
    "self_x_air": "speed_air_x",
    "self_y": "speed_y",
    "self_x_ground": "speed_ground_x",
    "knockback_x": "speed_attack_x",
    "knockback_y": "speed_attack_y",
    "state_age": "state_age",
    "hitlag": "hitlag",
    "action": "action",
    "ground": "ground",
    "character": "character",
    "last_attack": "last_attack_landed",
    "jumps": "jumps_left",
    "l_cancel": "l_cancel",
    "hurtbox": "hurtbox_state",
    "stocks": "stocks",
    "combo": "combo_count",
}
"""Column -> field of ``p0`` and ``p1`` that holds the same values."""


def read_parsed_v2(data: bytes, meta: Mapping[str, Any], *, options: MeleeOptions) -> Game:
    """The game of one ``games/<md5>`` file and its object of ``meta.json``.

    Raises :class:`Rejected` with the reason there is none. The layout holds physical inputs, no
    Slippi version (``version`` is 0) and no ports (``port0``, ``port1`` are 0); older files lack
    columns, which :attr:`MeleeOptions.may_lack` may allow.
    """
    if meta.get("num_players", 2) != 2:
        raise Rejected(Reason.PLAYERS, f"{meta['num_players']} players")
    root = _root(data, meta.get("compression", "zlib"))
    players = [_player(_field(root, name)) for name in ("p0", "p1")]
    columns = {
        name: np.stack([player[name] for player in players], axis=1)
        for name in players[0].keys() & players[1].keys()
    }
    missing = ["frame_id", "port"]
    if columns["percent"].dtype.kind != "f":
        missing.append("percent")
    if options.controller == "processed":
        missing += ["buttons", "shoulder"]
    _drop_filled_speeds(columns)
    _check_revisits(columns, options)
    facts = {"stage": _stage(root, meta), "port0": 0, "port1": 0, "version": 0}
    return assemble(columns, facts, missing, options)


def _root(data: bytes, compression: str) -> pa.StructArray:
    if compression not in ("zlib", "none"):
        raise Rejected(Reason.UNREADABLE, f"unknown compression {compression!r}")
    try:
        parquet = zlib.decompress(data) if compression == "zlib" else data
        # Columns by hand: read_table would start threads, which costs more than it saves here.
        column = pq.ParquetFile(io.BytesIO(parquet)).read(["root"], use_threads=False)["root"]
    except (zlib.error, pa.ArrowException, OSError, KeyError) as error:
        raise Rejected(Reason.UNREADABLE, f"{type(error).__name__}: {error}") from error
    root = column.combine_chunks()
    if not pa.types.is_struct(root.type):
        raise Rejected(Reason.UNREADABLE, f"root is {root.type}, not a struct")
    if not len(root):
        raise Rejected(Reason.EMPTY, "no rows")
    return root


def _player(player: pa.StructArray) -> Columns:
    names = {field.name for field in player.type}
    columns = {
        name: _numpy(_field(player, field)) for name, field in FIELDS.items() if field in names
    }
    for name in ("x", "y", "percent", "character"):
        if name not in columns:
            raise Rejected(Reason.MISSING_FIELD, FIELDS[name])
    controller = _field(player, "controller")
    for name, stick in (("stick", "main_stick"), ("cstick", "c_stick")):
        for axis in ("x", "y"):
            columns[f"{name}_{axis}"] = 2 * _numpy(_field(controller, stick, axis)) - 1
    columns["shoulder"] = _numpy(_field(controller, "shoulder"))
    columns["buttons"] = pack_buttons(
        {name: _numpy(_field(controller, "buttons", name)) for name in BUTTONS}
    )
    if "hurtbox" in columns:
        columns["flags"] = pack_flags(
            _numpy(_field(player, "facing")),
            _numpy(_field(player, "on_ground")),
            columns["hurtbox"],
        )
    return columns


def _drop_filled_speeds(columns: Columns) -> None:
    held = [name for name in SPEEDS if name in columns]
    moved = any(np.ptp(columns[name], axis=0).any() for name in ("x", "y"))
    if moved and not any(columns[name].any() for name in held):
        for name in held:
            del columns[name]


def _check_revisits(columns: Columns, options: MeleeOptions) -> None:
    if not {*SPEEDS, "hitlag", "state_age"} <= columns.keys():
        return
    share = count_revisits(columns) / len(columns["x"])
    if share > options.max_revisited:
        detail = f"frame ids: {share:.1%} of the rows visit a frame again after a rollback"
        raise Rejected(Reason.MISSING_FIELD, detail)


def _stage(root: pa.StructArray, meta: Mapping[str, Any]) -> int:
    """External stage id, 0 where neither the rows nor the meta object know it."""
    recorded = int(_numpy(_field(root, "stage"))[0])
    return max(recorded or int(meta.get("stage") or 0), 0)


def _field(array: pa.StructArray, *path: str) -> Any:
    for name in path:
        if not pa.types.is_struct(array.type) or array.type.get_field_index(name) < 0:
            raise Rejected(Reason.MISSING_FIELD, ".".join(path))
        array = array.field(name)
    return array


def _numpy(array: Any) -> NDArray[Any]:
    if array.null_count:
        raise Rejected(Reason.MISSING_FIELD, f"{array.null_count} rows are null")
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values
