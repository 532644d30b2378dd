"""SIGTERM as a wish: noted at once, granted at the next step boundary by all processes together."""

from __future__ import annotations

import signal


class Stopping:
    """Set by SIGTERM and SIGINT. The handler does nothing else: anything more could deadlock."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True
