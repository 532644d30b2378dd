"""Which train games a training uses, where it is to use only some of a data set."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from trainer.config import TrainConfig
from trainer.counter import bits
from trainer.rows import Games
from trainer.team import Team

logger = logging.getLogger("wm.trainer")


def train_games(
    config: TrainConfig, team: Team, games: Games, usable: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those of the ``usable`` game numbers that ``config.games`` asks for, in ascending order."""
    if config.games is None:
        return usable
    if config.games > len(usable) and team.leads:
        logger.info(
            "asked for %d train games, there are %d to learn from; all are used",
            *(config.games, len(usable)),
        )
    first = np.argsort(_hashes(games.identity(usable)), kind="stable")[: config.games]
    return np.sort(usable[first])


def _hashes(identity: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64 bits for each row of uint8 [G, 16].

    The key is fixed, so trainings of different seeds use the same games. The function is not the
    one that shares games out to splits: there, train games are those with the large hashes.
    """
    halves = np.ascontiguousarray(identity).view("<u8")
    return bits(0, "games", halves[:, 0], halves[:, 1])
