"""The last step of every reader of Melee games: checked, packed, identified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm.games.game import Game, Reason, Rejected
from wm.games.melee.checks import check_length, check_values, count_clipped
from wm.games.melee.options import MeleeOptions
from wm.games.melee.schema import BUTTONS, COLUMN_TYPES, FLAGS, FRAME, column
from wm.games.melee.vocabulary import STAGES

POPO = 10
"""Internal id of the Ice Climber that is controlled; Nana, who follows, has no columns."""

Columns = dict[str, NDArray[Any]]
"""Column name -> [T, 2], in the precision of the source."""


def assemble(
    columns: Columns, facts: dict[str, int], missing: Sequence[str], options: MeleeOptions
) -> Game:
    """A game of checked and packed columns.

    ``columns`` holds what the source has of :data:`COLUMN_TYPES`, each [T, 2] in port order.
    ``facts`` comes with stage, ports and version; the characters are added from the first frame.
    ``missing`` names what the source holds with less precision or not at all; ``nana`` is added
    for Ice Climbers. Raises :class:`Rejected` for absent columns, single-player stages, short games
    and values that cannot be.
    """
    absent = [name for name in COLUMN_TYPES if name not in columns]
    if not facts["stage"]:
        absent.append("stage")
    if refused := set(absent) - options.may_lack:
        raise Rejected(Reason.MISSING_FIELD, ", ".join(sorted(refused)))
    if facts["stage"] >= STAGES:
        raise Rejected(Reason.UNSUPPORTED_VARIANT, f"stage {facts['stage']} is for one player")
    length = len(next(iter(columns.values())))
    check_length(length, options)
    columns |= {
        name: np.zeros((length, 2), FRAME[COLUMN_TYPES[name]].base)
        for name in absent
        if name in COLUMN_TYPES
    }
    check_values(columns, options)
    clipped = count_clipped(columns, options)
    frames = pack(columns, facts["stage"])
    first = column(frames, "character")[0]
    nana = ["nana"] if (column(frames, "character") == POPO).any() else []
    return Game(
        identity=identity(frames),
        rows={"frames": frames},
        facts=facts | {"character0": int(first[0]), "character1": int(first[1])},
        clipped=clipped,
        missing=tuple(sorted({*absent, *missing, *nana})),
    )


def pack(columns: Mapping[str, NDArray[Any]], stage: int) -> NDArray[np.void]:
    """FRAME records [T] from columns [T, 2] and the external stage id."""
    frames = np.zeros(len(columns["x"]), FRAME)
    for name in COLUMN_TYPES:
        column(frames, name)[:] = columns[name]
    frames["stage"] = stage
    return frames


def pack_buttons(pressed: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Bit field ``buttons`` from one boolean array per name in BUTTONS."""
    return _bits([pressed[name] for name in BUTTONS])


def pack_flags(
    facing: NDArray[Any], on_ground: NDArray[Any], hurtbox: NDArray[Any]
) -> NDArray[np.uint8]:
    """Bit field ``flags``. ``invulnerable`` means a hurtbox state other than 0 (vulnerable): the
    state-flag byte with a bit of that name disagrees with it on every real replay tried."""
    values = {"facing": facing, "on_ground": on_ground, "invulnerable": hurtbox != 0}
    return _bits([values[name] for name in FLAGS])


def identity(frames: NDArray[np.void]) -> str:
    """32 hex digits over what was played: characters, actions and positions of both players.

    Only columns that every source holds at full precision enter, so that a .slp and the same game
    as parsed-v2 are one game. (A parsed-v2 game with rollback visits is not: it kept them all.)
    """
    digest = hashlib.sha256(str(len(frames)).encode())
    for name in ("character", "action", "x", "y"):
        digest.update(np.ascontiguousarray(column(frames, name)).tobytes())
    return digest.hexdigest()[:32]


def _bits(values: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    field = np.zeros(values[0].shape, np.uint8)
    for i, value in enumerate(values):
        field |= value.astype(np.uint8) << i
    return field
