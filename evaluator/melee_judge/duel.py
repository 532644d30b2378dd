"""All players predict from the same starts under the same recorded inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluator.melee_judge.starts import HeldOut
from wm.errors import BadData
from wm.models.melee_baselines import constant_velocity, copy_last, horizon_errors, respawned
from wm.models.melee_features import Frames, decode
from wm.models.melee_model import WorldModel
from wm.models.melee_rollout import rollout

Errors = dict[str, NDArray[np.float64]]
"""Family (position, percent, action, ...) -> mean error in each game, [G, horizons].

Position is NaN where every start of a game is past a respawn at that horizon.
"""

Predict = Callable[[Tensor, Tensor], Frames]
"""Recorded context [B, K, 104] and future [B, H, 104], both uint8 -> predicted frames [B, H]."""

Tick = Callable[[int, int], None]
"""Told (games done, games in all); may raise to stop."""

BASELINES = ("constant_velocity", "copy_last")


def duel(
    players: Mapping[str, Predict],
    games: Sequence[HeldOut],
    *,
    context: int,
    horizons: Sequence[int],
    rollouts: int,
    device: torch.device,
    tick: Tick,
) -> dict[str, Errors]:
    """Errors of every player; the two baselines are under their own names in any case."""
    everyone = {**players, **{name: anchor(name) for name in BASELINES}}
    per_game: dict[str, dict[str, list[NDArray[np.float64]]]] = {name: {} for name in everyone}
    for first, batch in _batches(games, rollouts):
        windows = np.concatenate([game.windows(context, horizons[-1]) for game in batch])
        records = torch.from_numpy(windows).to(device)
        past, future = records[:, :context], records[:, context:]
        truth = decode(future)
        jumped = respawned(decode(past[:, -1]), truth, horizons).cpu().numpy()
        bounds = np.cumsum([len(game.starts) for game in batch])[:-1]
        for name, predict in everyone.items():
            errors = horizon_errors(predict(past, future), truth, horizons)
            for family, values in errors.items():
                each = _finite(values, name)
                if family == "position":
                    each = np.where(jumped, np.nan, each)
                rows = per_game[name].setdefault(family, [])
                rows.extend(_mean(own) for own in np.split(each, bounds))
        tick(first + len(batch), len(games))
    return {
        name: {family: np.stack(rows) for family, rows in families.items()}
        for name, families in per_game.items()
    }


def anchor(name: str) -> Predict:
    """A baseline as a player."""
    guess = {"constant_velocity": constant_velocity, "copy_last": copy_last}[name]
    return lambda past, future: guess(decode(past), future.shape[1])


def model(world_model: WorldModel) -> Predict:
    """A world model as a player; it sees the last ``context`` frames that it was made for."""
    return partial(_roll, world_model)


def _roll(world_model: WorldModel, past: Tensor, future: Tensor) -> Frames:
    return rollout(world_model, past[:, -world_model.context :], future)


def _batches(games: Sequence[HeldOut], rollouts: int) -> list[tuple[int, list[HeldOut]]]:
    """Runs of whole games with at most ``rollouts`` starts (or one game), and where each begins."""
    batches: list[tuple[int, list[HeldOut]]] = []
    held = rollouts
    for number, game in enumerate(games):
        if held + len(game.starts) > rollouts:
            batches.append((number, []))
            held = 0
        batches[-1][1].append(game)
        held += len(game.starts)
    return batches


def _finite(values: Tensor, name: str) -> NDArray[np.float64]:
    array = values.double().cpu().numpy()
    if not np.isfinite(array).all():
        raise BadData(
            f"the rollouts of {name} are not finite",
            hint="its weights are damaged or its training diverged; train it again",
        )
    return array


def _mean(starts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the starts that count, [horizons]; NaN where none does."""
    counts = np.isfinite(starts).sum(axis=0)
    means = np.full(len(counts), np.nan)
    np.divide(np.nansum(starts, axis=0), counts, out=means, where=counts > 0)
    return means
