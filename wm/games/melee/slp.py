"""Slippi replays (.slp) by peppi: finalised, checked, packed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import peppi_py
from numpy.typing import NDArray
from peppi_py.game import PlayerType

from wm.games.game import Game, Reason, Rejected
from wm.games.melee.assemble import Columns, assemble, pack_buttons, pack_flags
from wm.games.melee.options import MeleeOptions, version_number
from wm.games.melee.schema import FIRST_FRAME

BUTTON_BITS = {
    "A": 8, "B": 9, "X": 10, "Y": 11, "Z": 4, "L": 6, "R": 5, "D_UP": 3,
}  # fmt: skip
"""Button -> bit of the replay's physical and processed button fields."""


def read_slp(data: bytes | Path, *, options: MeleeOptions) -> Game:
    """The game of one replay; raises :class:`Rejected` with the reason there is none.

    Rows that a rollback undid are dropped. On damaged files the parser may panic, which it also
    prints to stderr: call this in a worker process.
    """
    replay = _parse(data)
    version = version_number(*replay.start.slippi.version)
    if version < options.min_version_number:
        found = ".".join(map(str, replay.start.slippi.version))
        raise Rejected(Reason.UNSUPPORTED_VERSION, f"{found}, older than {options.min_version}")
    _check_players(replay, options)
    rows = finalised(_numpy(replay.frames.id))
    leaders = [port.leader for port in replay.frames.ports]
    columns = {
        name: np.stack([values[rows] for values in pair], axis=1)
        for name, pair in _paired([_player(leader, options) for leader in leaders]).items()
    }
    facts = {
        "stage": int(replay.start.stage),
        "port0": replay.start.players[0].port + 1,
        "port1": replay.start.players[1].port + 1,
        "version": version,
    }
    return assemble(columns, facts, [], options)


def finalised(ids: NDArray[np.int32]) -> NDArray[np.intp]:
    """Indices of the rows that no later rollback undid, from the frame id of every row.

    A rollback goes back to an earlier id and plays on from there, so a row stands if every later
    id is larger. Raises ``unreadable`` where the ids that stand are not -123, -122, ...
    """
    if not len(ids):
        raise Rejected(Reason.EMPTY, "no frames")
    smallest_after = np.append(np.minimum.accumulate(ids[::-1])[::-1][1:], np.iinfo(ids.dtype).max)
    rows = np.flatnonzero(ids < smallest_after)
    if not np.array_equal(ids[rows], np.arange(FIRST_FRAME, FIRST_FRAME + len(rows))):
        raise Rejected(Reason.UNREADABLE, f"frame ids are not consecutive from {FIRST_FRAME}")
    return rows


def _parse(data: bytes | Path) -> peppi_py.Game:
    if isinstance(data, bytes):
        with tempfile.NamedTemporaryFile(suffix=".slp") as file:
            file.write(data)
            file.flush()
            return _parse(Path(file.name))
    try:
        return peppi_py.read_slippi(str(data))
    except Exception as error:
        raise Rejected(Reason.UNREADABLE, _meaning(f"{type(error).__name__}: {error}")) from error
    except BaseException as error:
        # A panic of the Rust parser derives from BaseException, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise Rejected(Reason.PARSER_PANIC, _words(str(error))) from error


def _meaning(text: str) -> str:
    """What the parser's commonest complaints mean; of others, its own words."""
    if "invalid data: expected" in text:
        return "not a Slippi replay"
    if "failed to fill whole buffer" in text:
        return "cut off before its end"
    return _words(text)


def _words(text: str) -> str:
    """On one line: a panic's message has several."""
    return " ".join(text.split())


def _check_players(replay: peppi_py.Game, options: MeleeOptions) -> None:
    players = replay.start.players
    if len(players) != 2 or len(replay.frames.ports) != 2:
        raise Rejected(Reason.PLAYERS, f"{len(players)} players")
    if options.require_human and any(player.type != PlayerType.HUMAN for player in players):
        raise Rejected(Reason.PLAYERS, "a player is not human")


def _player(leader: Any, options: MeleeOptions) -> Columns:
    """Columns [rows] of one player, as far as the replay holds them."""
    pre, post = leader.pre, leader.post
    speeds = post.velocities
    sources = {
        "x": post.position.x,
        "y": post.position.y,
        "percent": post.percent,
        "shield": post.shield,
        "self_x_air": speeds and speeds.self_x_air,
        "self_y": speeds and speeds.self_y,
        "self_x_ground": speeds and speeds.self_x_ground,
        "knockback_x": speeds and speeds.knockback_x,
        "knockback_y": speeds and speeds.knockback_y,
        "state_age": post.state_age,
        "hitlag": post.hitlag,
        "stick_x": pre.joystick.x,
        "stick_y": pre.joystick.y,
        "cstick_x": pre.cstick.x,
        "cstick_y": pre.cstick.y,
        "action": post.state,
        "ground": post.ground,
        "character": post.character,
        "last_attack": post.last_attack_landed,
        "jumps": post.jumps,
        "l_cancel": post.l_cancel,
        "hurtbox": post.hurtbox_state,
        "stocks": post.stocks,
        "combo": post.combo_count,
    }
    columns = {name: _numpy(source) for name, source in sources.items() if source is not None}
    columns |= _controller(pre, options)
    if post.airborne is not None and post.hurtbox_state is not None:
        columns["flags"] = pack_flags(
            _numpy(post.direction) > 0, _numpy(post.airborne) == 0, columns["hurtbox"]
        )
    return columns


def _controller(pre: Any, options: MeleeOptions) -> Columns:
    processed = _numpy(pre.buttons)
    if options.controller == "processed":
        return {"buttons": _buttons(processed), "shoulder": _numpy(pre.triggers)}
    physical = _numpy(pre.buttons_physical)
    if not physical.any() and _buttons(processed).any():
        raise Rejected(
            Reason.MISSING_FIELD,
            "physical buttons are empty though processed ones are not (an upgraded replay or a "
            "computer player); read it with controller: processed",
        )
    triggers = pre.triggers_physical
    shoulder = np.maximum(_numpy(triggers.l), _numpy(triggers.r))
    return {"buttons": _buttons(physical), "shoulder": shoulder}


def _buttons(field: NDArray[Any]) -> NDArray[np.uint8]:
    return pack_buttons({name: field >> bit & 1 for name, bit in BUTTON_BITS.items()})


def _numpy(array: Any) -> NDArray[Any]:
    if array.null_count:
        raise Rejected(Reason.MISSING_FIELD, f"a player is absent in {array.null_count} rows")
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _paired(players: list[Columns]) -> dict[str, list[NDArray[Any]]]:
    return {name: [player[name] for player in players] for name in players[0]}
