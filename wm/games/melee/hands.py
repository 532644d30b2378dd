"""The players of made Melee: hands on controllers, guided by what they see and by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm.games.melee import hits
from wm.games.melee.bodies import Bodies, Floats, Ints, stage_values
from wm.games.melee.schema import BUTTONS, FRAME, column

DRAWS = 8
"""Random numbers that one player uses in one frame."""

_MOOD = 1 / 20
_NEAR = 20.0
_ARRIVED = 9.0
_SMOOTHING = 0.4
_NOTCH = 80
_DEAD_ZONE = 0.2875


class Hands:
    """Both players of G games.

    A player means to come closer, to keep away or to stand for 20 frames on average; the stick
    follows smoothly, as a thumb does. Buttons are pressed by chance, more often where they make
    sense, and held for some frames. Beyond the edge a player comes back.
    """

    def __init__(self, games: int) -> None:
        shape = (games, 2)
        self._will = np.zeros(shape, np.float32)
        self._crouch = np.zeros(shape, bool)
        self._stick = np.zeros((2, *shape), np.float32)
        self._flick = np.zeros(shape, np.float32)
        self._held: dict[str, Ints] = {
            name: np.zeros(shape, np.int64) for name in ("jump", "attack", "flick", "shield")
        }

    def hold(self, frames: NDArray[np.void], chance: Floats) -> NDArray[np.void]:
        """Controllers for the next frame: FRAME records [G] with only those columns set.

        ``chance``: uniform numbers in [0, 1), [G, 2, DRAWS].
        """
        body = Bodies.unpack(frames)
        dx, dy = body.x[:, ::-1] - body.x, body.y[:, ::-1] - body.y
        near = (np.abs(dx) < _NEAR) & (np.abs(dy) < _NEAR)
        threatened = near & hits.ATTACKING[body.action[:, ::-1]]
        edge = stage_values(frames["stage"], "edge")
        off = (np.abs(body.x) > edge - 4) | (body.y < -2)
        sinking = off & (body.y < -4) & (body.self_y < 0)

        back = np.stack([-np.sign(body.x), np.zeros_like(body.x)])
        aim = np.where(off, back, self._take_aim(dx, chance))
        self._stick += _SMOOTHING * (aim - self._stick)

        self._flick = np.where(self._held["flick"] > 0, self._flick, np.sign(dx))
        length = (chance[..., 2] * 8).astype(np.int64) + 2
        self._press("jump", chance[..., 3] < np.where(sinking, 0.3, 0.02), length)
        self._press("attack", chance[..., 4] < np.where(near, 0.1, 0.008), length // 2 + 1)
        self._press("flick", chance[..., 5] < np.where(near, 0.05, 0.003), length // 2 + 1)
        self._press("shield", chance[..., 6] < np.where(threatened, 0.2, 0.005), length * 3)
        return self._controllers(len(frames))

    def _take_aim(self, dx: Floats, chance: Floats) -> Floats:
        """Where the stick shall go, x and y, [2, G, 2]."""
        mood, strength = chance[..., 1], chance[..., 2]
        will = np.select([mood < 0.6, mood < 0.85], [1, -1], 0) * np.where(
            strength < 0.6, 1, strength
        )
        changes = chance[..., 0] < _MOOD
        self._will = np.where(changes, will, self._will)
        self._crouch = np.where(changes, chance[..., 7] < 0.12, self._crouch)
        arrived = (self._will > 0) & (np.abs(dx) < _ARRIVED)
        return np.stack([np.where(arrived, 0, self._will * np.sign(dx)), -1.0 * self._crouch])

    def _press(self, name: str, wanted: NDArray[np.bool_], length: Ints) -> None:
        held = self._held[name]
        # One frame of rest lets a button be newly pressed again.
        self._held[name] = np.where((held <= -1) & wanted, length, np.maximum(held - 1, -1))

    def _controllers(self, games: int) -> NDArray[np.void]:
        pads = np.zeros(games, FRAME)
        x, y = (_processed(axis) for axis in self._stick)
        down = {name: held > 0 for name, held in self._held.items()}
        column(pads, "stick_x")[:] = x
        column(pads, "stick_y")[:] = y
        column(pads, "cstick_x")[:] = np.where(down["flick"], self._flick, 0)
        column(pads, "shoulder")[:] = down["shield"]
        buttons = {"A": "attack", "X": "jump", "L": "shield"}
        column(pads, "buttons")[:] = sum(
            down[name] << BUTTONS.index(button) for button, name in buttons.items()
        )
        return pads


def _processed(axis: Floats) -> Floats:
    """A stick's axis as the game sees it: 80 notches a side and a dead zone."""
    notched = np.rint(axis * _NOTCH) / _NOTCH
    return np.where(np.abs(notched) < _DEAD_ZONE, 0, notched)
