"""What an arena leaves behind: ``result.json``, read by gates, verdicts and the report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Artifact(BaseModel):
    # A figure of nothing is NaN; plain JSON would lose it.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class Interval(_Artifact):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int = 0
    """Independent units behind it: pairs, games or moves."""


class Sprt(_Artifact):
    """Sequential probability ratio test of two hypotheses about the strength difference."""

    elo0: float
    elo1: float
    model: str
    """``normalized`` or ``logistic``."""
    llr: float
    lower: float
    upper: float
    decision: str
    """``accept_h1``, ``accept_h0`` or ``continue``."""


class PlayerRow(_Artifact):
    """One player of the pool."""

    name: str
    model: str | None = None
    """Key of the model, None for an anchor."""
    rating: Interval | None = None
    """Bradley-Terry rating in Elo; the pool's anchor is 0."""
    metrics: dict[str, Interval] = {}
    """Chess: raw_legal, fallback_rate, mean_legal_mass. Melee: skill@h=10, pos_mae@h=1, ..."""


class Pairing(_Artifact):
    """Player ``a`` against player ``b``, everything from a's side."""

    a: str
    b: str
    units: int
    """Independent units: opening pairs (chess) or held-out games (melee)."""
    wins: int
    draws: int
    losses: int
    pentanomial: list[int] | None = None
    """Chess: pairs with score 0, .5, 1, 1.5, 2 as (LL, LD, WL, DD, WD, WW)."""
    score: float
    """Mean score of a in 0..1."""
    elo: Interval | None = None
    nelo: Interval | None = None
    los: float | None = None
    """Likelihood of superiority, 0..1."""
    sprt: Sprt | None = None
    difference: Interval | None = None
    """Melee: mean paired difference of the primary score over games."""
    capped: int = 0
    """Games ended by the ply cap, scored as the settings say."""
    distinct: int = 0
    """Distinct games among those played."""
    stopped: bool = False
    """Its SPRT decided before all units that the arena allows were played."""


class ArenaResult(_Artifact):
    """The whole arena."""

    game: str
    judge: str
    """``chess-pairs`` or ``melee-duel``."""
    primary: str
    """Name of the pre-declared primary score."""
    players: list[PlayerRow]
    pairings: list[Pairing]
    settings: dict[str, object]
    notes: list[str] = []
    """What limits the result, in sentences for people."""
    files: dict[str, str] = {}
    """Name -> key of what was kept beside it, such as the PGN of the games."""

    def pairing(self, a: str, b: str) -> Pairing | None:
        """The pairing seen from ``a``'s side where it was stored that way round."""
        return next((p for p in self.pairings if (p.a, p.b) == (a, b)), None)
