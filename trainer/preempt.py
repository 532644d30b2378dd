"""SIGTERM as a wish: noted at once, granted at the next step boundary by all processes together."""

from __future__ import annotations

import signal


class Stopping:
    """Whether this process was asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Let SIGTERM and SIGINT ask. They do nothing else: more in a handler could deadlock."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True
