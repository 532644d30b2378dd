"""How much a data set should hold, before anybody has looked."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from wmctl.plan.model import DataSource

ROWS_PER_GAME = {"melee": 9_398, "chess": 80}
"""Frames of a ranked replay (206,754,081 in 22,000 games), plies of a game between masters."""
MADE_ROWS = {"melee": 1_800, "chess": 60}
"""Of games that the project makes itself."""
UNKNOWN = 10_000
"""Games, where nothing is said."""


class Expected(BaseModel):
    """What a data set should hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    games: int = 0
    """In the source."""
    train: int = 0
    """Of these to train on."""
    rows: int = 0
    """Frames or plies of those."""
    val: int = 0
    """Games to validate with."""
    test: int = 0
    """Games for arenas."""


def expected(source: DataSource, split: dict[str, Any]) -> Expected:
    """What encoding a source should give, ``split`` being the shares of the data set."""
    made = re.match(r"made:(\d+)", source.source)
    games = int(made[1]) if made else source.games or UNKNOWN
    train = round(games * (1 - split["val"] - split["test"]))
    rows = train * (MADE_ROWS if made else ROWS_PER_GAME)[source.game]
    held = {name: max(1, round(games * split[name])) for name in ("val", "test")}
    return Expected(games=games, train=train, rows=rows, **held)
