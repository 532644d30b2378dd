"""Makes the ``parsed-v2`` layout of real or made replays, as the prototype's builder did."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import peppi_py
import pyarrow as pa
import pyarrow.parquet as pq

from wm.games.melee.slp import BUTTON_BITS

_SPEEDS = {
    "speed_air_x": "self_x_air",
    "speed_y": "self_y",
    "speed_ground_x": "self_x_ground",
    "speed_attack_x": "knockback_x",
    "speed_attack_y": "knockback_y",
}


def write_parsed_v2(
    folder: Path, replays: Sequence[Path], *, stage: bool = True, lacking: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Write ``meta.json`` and ``games/<md5>``; returns the meta objects.

    Rows of rolled-back frames are kept and percent is truncated, as in the users' files.
    ``stage=False`` writes 0 in rows and meta; ``lacking`` names player fields to leave out.
    """
    (folder / "games").mkdir(parents=True, exist_ok=True)
    metas = [_convert(folder, path, stage=stage, lacking=lacking) for path in replays]
    (folder / "meta.json").write_text(json.dumps(metas))
    return metas


def _convert(folder: Path, path: Path, *, stage: bool, lacking: Sequence[str]) -> dict[str, Any]:
    replay = peppi_py.read_slippi(str(path))
    players = [_player(port.leader, lacking) for port in replay.frames.ports]
    rows = len(replay.frames.id)
    stage_id = replay.start.stage if stage else 0
    root = _struct({"p0": players[0], "p1": players[1], "stage": np.full(rows, stage_id)})
    buffer = io.BytesIO()
    pq.write_table(pa.table({"root": root}), buffer)
    data = zlib.compress(buffer.getvalue(), 1)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    (folder / "games" / md5).write_bytes(data)
    return {
        "name": path.name,
        "slp_md5": md5,
        "slp_size": path.stat().st_size,
        "lastFrame": rows,
        "num_players": len(players),
        "players": [{"port": i, "character": int(_array(port.leader.post.character)[0])}
                    for i, port in enumerate(replay.frames.ports)],
        "stage": stage_id,
        "valid": True,
        "is_training": True,
        "not_training_reason": "",
        "pq_size": len(data),
        "compression": "zlib",
        "source": str(path),
    }  # fmt: skip


def _player(leader: Any, lacking: Sequence[str]) -> pa.StructArray:
    pre, post = leader.pre, leader.post
    bits = _array(pre.buttons_physical)
    triggers = pre.triggers_physical
    fields: dict[str, Any] = {
        "percent": _array(post.percent).astype(np.uint16),
        "facing": _array(post.direction) > 0,
        "x": _array(post.position.x),
        "y": _array(post.position.y),
        "action": _array(post.state),
        "invulnerable": np.zeros(len(bits), bool),
        "character": _array(post.character),
        "jumps_left": _array(post.jumps),
        "shield_strength": _array(post.shield),
        "on_ground": _array(post.airborne) == 0,
        "controller": _struct(
            {
                "main_stick": _stick(pre.joystick),
                "c_stick": _stick(pre.cstick),
                "shoulder": np.maximum(_array(triggers.l), _array(triggers.r)),
                "buttons": _struct(
                    {name: (bits >> bit & 1).astype(bool) for name, bit in BUTTON_BITS.items()}
                ),
            }
        ),
        **{name: _array(getattr(post.velocities, source)) for name, source in _SPEEDS.items()},
        "state_age": _array(post.state_age),
        "hitlag": _array(post.hitlag),
        "stocks": _array(post.stocks),
        "l_cancel": _array(post.l_cancel),
        "hurtbox_state": _array(post.hurtbox_state),
        "ground": _array(post.ground),
        "last_attack_landed": _array(post.last_attack_landed),
        "combo_count": _array(post.combo_count),
    }
    return _struct({name: values for name, values in fields.items() if name not in lacking})


def _stick(position: Any) -> pa.StructArray:
    return _struct({axis: _array(getattr(position, axis)) / 2 + 0.5 for axis in ("x", "y")})


def _struct(fields: dict[str, Any]) -> pa.StructArray:
    return pa.StructArray.from_arrays([pa.array(v) for v in fields.values()], names=list(fields))


def _array(values: Any) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
