"""Who plays how long: an arena in rounds, whose pairings stop when their SPRT has decided.

An arena of fixed size is one round of everything, so both kinds take the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from evaluator.config import ArenaConfig
from wm.artifacts.result import Pairing, Sprt

logger = logging.getLogger("wm.evaluator")

Pair = tuple[str, str]
"""Names of players a and b."""

Tick = Callable[[int, int], None]
"""Told (done, in all); may raise to stop."""

_ACCEPTED = {"accept_h0": "H0", "accept_h1": "H1"}


class Rounds:
    """Rounds of an arena; in each, every pairing in ``playing`` plays units ``start`` to ``stop``.

    Ends with the last unit, or when every pairing that is waited for has stopped.
    """

    def __init__(self, config: ArenaConfig, units: int, what: str) -> None:
        """``units`` is the most that a pairing plays, ``what`` they are called in the log."""
        names = [player.name for player in config.players]
        everyone = [(names[a], names[b]) for a, b in config.pairings]
        self.units = units
        self.played = dict.fromkeys(everyone, 0)
        """Units that each pairing has played."""
        self.stopped: set[Pair] = set()
        """Pairings whose test decided before the last unit."""
        self.start = 0
        self._what = what
        self._size = config.round if config.sequential else units
        self._least = min(config.least, units)
        self._waited = {pair for pair in everyone if is_waited_for(config, *pair)}

    @property
    def over(self) -> bool:
        """Whether nobody plays on."""
        return self.start >= self.units or self._waited <= self.stopped

    @property
    def stop(self) -> int:
        """End of the round, as an index into the units."""
        return min(self.start + self._size, self.units)

    @property
    def playing(self) -> list[Pair]:
        """Pairings of this round, in the order of the arena's pairings; none when all is over."""
        return [] if self.over else [pair for pair in self.played if pair not in self.stopped]

    @property
    def left(self) -> int:
        """Units that may still be played, over all pairings."""
        return len(self.playing) * (self.units - self.start)

    def finish(self, test: Callable[[Pair], Sprt | None]) -> None:
        """The round is played; ``test`` is asked about each pairing that may stop now."""
        playing = self.playing
        self.start = self.stop
        for pair in playing:
            self.played[pair] = self.start
        if not self._least <= self.start < self.units:
            return
        for pair in playing:
            if pair in self._waited and (found := test(pair)) and found.decision in _ACCEPTED:
                self.stopped.add(pair)
                logger.info(
                    "%s v %s stops after %d %s: its SPRT accepts %s (LLR %.2f)",
                    *pair,
                    self.start,
                    self._what,
                    _ACCEPTED[found.decision],
                    found.llr,
                )


def after(tick: Tick, before: int, total: int) -> Tick:
    """``tick`` for one round: what earlier rounds did is added, and all rounds are the whole."""
    return lambda done, _: tick(before + done, total)


def is_waited_for(config: ArenaConfig, a: str, b: str) -> bool:
    """Whether a sequential arena goes on until this pairing is decided."""
    return not config.decide or a in config.decide or b in config.decide


def notes_on_stops(
    config: ArenaConfig, pairings: Sequence[Pairing], units: int, what: str
) -> list[str]:
    """What people must know of pairings that stopped early, and of those left undecided."""
    if not config.sequential:
        return []
    found = []
    for p in pairings:
        if p.stopped and p.sprt:
            found.append(
                f"{p.a} v {p.b}: stopped after {p.units} of {units} {what}, its SPRT accepts "
                f"{_ACCEPTED[p.sprt.decision]} ({_hypotheses(p.sprt)})"
            )
        elif p.sprt and p.sprt.decision == "continue" and is_waited_for(config, p.a, p.b):
            found.append(
                f"{p.a} v {p.b}: undecided after all {units} {what}, the LLR {p.sprt.llr:.2f} of "
                f"its SPRT is between {p.sprt.lower:.2f} and {p.sprt.upper:.2f} "
                f"({_hypotheses(p.sprt)})"
            )
    if any(p.stopped for p in pairings):
        found.append(
            "differences in a pairing that its SPRT stopped lean to the side on which it stopped; "
            "trust the decision more than the size"
        )
    return found


def _hypotheses(sprt: Sprt) -> str:
    unit = "normalized Elo" if sprt.model == "normalized" else "Elo"
    return f"H0 {sprt.elo0:g}, H1 {sprt.elo1:g} {unit}"
