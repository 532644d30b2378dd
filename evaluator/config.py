"""Settings of an arena, without torch, so that plans can be checked where torch is not."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Anchor = Literal["random", "greedy", "copy_last", "constant_velocity"]

ANCHORS: dict[str, tuple[Anchor, ...]] = {
    "chess": ("random", "greedy"),
    "melee": ("constant_velocity", "copy_last"),
}
"""Anchors of each game; the first that takes part is 0 Elo."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Player(_Settings):
    """A model or an anchor: exactly one of them."""

    name: str = Field(min_length=1)
    """How the player is called in tables; unique in the arena."""
    model: str | None = None
    """Key of a published model, ``models/<name>/<version>``."""
    anchor: Anchor | None = None
    """Chess: random mover or greedy capture. Melee: copy of the last frame, constant velocity."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.model is None) == (self.anchor is None):
            raise ValueError(f"player {self.name} needs either a model or an anchor")
        return self


class SprtSettings(_Settings):
    """The question that is asked of every pairing: is ``a`` stronger than ``b``?"""

    elo0: float = Field(0.0, ge=-500, le=500)
    """Difference under H0."""
    elo1: float = Field(10.0, ge=-500, le=500)
    """Difference under H1, above elo0."""
    model: Literal["normalized", "logistic"] = "normalized"
    """Unit of elo0 and elo1."""
    alpha: float = Field(0.05, gt=0, lt=0.5)
    """Chance of accepting H1 where H0 holds."""
    beta: float = Field(0.05, gt=0, lt=0.5)
    """Chance of accepting H0 where H1 holds."""

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.elo1 <= self.elo0:
            raise ValueError(f"sprt needs elo0 < elo1, not {self.elo0} and {self.elo1}")
        return self


class ArenaConfig(_Settings):
    """Everything that decides an arena's result: the same settings give the same bytes."""

    game: Literal["chess", "melee"]
    """Which judge: paired games of chess, or world-model duels on held-out replays."""
    players: list[Player] = Field(min_length=2)
    """The pool. Everyone meets everyone; in a pairing ``a`` is the one listed first."""
    seed: int = 0
    """Of openings, sampled moves, starts and resamples."""
    threads: int = Field(1, ge=1)
    """CPU threads of the forward passes."""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``."""
    bootstrap: int = Field(1000, ge=100)
    """Resamples behind every bootstrap interval."""

    sprt: SprtSettings = SprtSettings()
    """The sequential test of every pairing, over pairs of games in chess (pentanomial) and over
    held-out games in Melee (wins, draws, losses)."""
    sequential: bool = False
    """Play in rounds and stop each pairing as soon as its test has decided; one that is undecided
    after all ``pairs`` (chess) or held-out games (Melee) stays so."""
    round: int = Field(25, ge=1)
    """Sequential: units of each pairing in a round, pairs or held-out games; a test is looked at
    after each round. Small rounds stop sooner, large ones keep a GPU busier."""
    least: int = Field(100, ge=1)
    """Sequential: units before a pairing may stop; all of them where there are fewer."""
    decide: list[str] = []
    """Sequential: only the pairings of these players are waited for. The others play on until those
    are decided, whatever their own tests say. Empty: every pairing is waited for."""

    pairs: int = Field(100, ge=1)
    """Chess: openings of each pairing, each played twice with colours reversed."""
    openings: str | None = None
    """Chess: PGN or TSV file of openings; without it a book is generated from the rules."""
    opening_plies: int = Field(8, ge=2)
    """Chess: length of generated openings, and the least length taken from a file. Models see no
    context shorter than 8 plies in training."""
    max_plies: int = Field(300, ge=10)
    """Chess: plies, opening included, after which a game is capped."""
    adjudicate: Literal["none", "material"] = "none"
    """Chess: what a capped game counts as: a draw, or a win for whoever is ahead in material."""
    adjudicate_margin: int = Field(3, ge=1)
    """Chess: least lead for a material win (P 1, N 3, B 3, R 5, Q 9)."""
    temperature: float = Field(0.0, ge=0)
    """Chess: 0 plays the likeliest legal move; above, a legal move is drawn by a keyed hash."""
    topk: int = Field(10, ge=1)
    """Chess: a turn is a fallback when none of the model's k likeliest tokens is legal."""
    data: str | None = None
    """Melee: key of the data set that holds the held-out games."""
    split: Literal["train", "val", "test"] = "test"
    """Melee: split the games are taken from."""
    games: int = Field(200, ge=1)
    """Melee: most held-out games taken, in the data set's order."""
    starts_per_game: int = Field(16, ge=1)
    """Melee: pseudo-random starts in each game, at least ``start_gap`` frames apart."""
    start_gap: int = Field(120, ge=1)
    """Melee: frames between two starts (60 are one second)."""
    horizons: list[int] = Field([1, 2, 5, 10, 20, 60], min_length=1)
    """Melee: frames after the start at which predictions are compared, ascending."""
    primary: str = "position_skill"
    """Melee: the pre-declared score that decides: ``position_skill`` is the mean over all
    horizons, ``position_skill@h=10`` that of one."""
    tie_zone: float = Field(0.01, ge=0)
    """Melee: a game is drawn when the primary scores differ by less; the spread between training
    runs that differ only in their seed is a good choice."""
    rollouts: int = Field(2048, ge=1)
    """Melee: rollouts that one forward pass holds at most; bounds memory, changes no result."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [player.name for player in self.players]
        for player in self.players:
            if names.count(player.name) > 1:
                raise ValueError(f"two players are called {player.name}")
            if player.anchor and player.anchor not in ANCHORS[self.game]:
                raise ValueError(
                    f"{player.anchor} is no anchor of {self.game}; there are "
                    + " and ".join(ANCHORS[self.game])
                )
            if player.name in ANCHORS[self.game] and player.anchor != player.name:
                raise ValueError(f"the name {player.name} is kept for that anchor")
        for name in self.decide:
            if name not in names:
                raise ValueError(
                    f"decide names {name}, who is no player; there are " + " and ".join(names)
                )
        if self.game == "melee":
            self._check_melee()
        elif self.max_plies <= self.opening_plies:
            raise ValueError("max_plies must be more than opening_plies")
        return self

    def _check_melee(self) -> None:
        if self.data is None:
            raise ValueError("a melee arena needs data: the key of a data set")
        if sorted(set(self.horizons)) != self.horizons or self.horizons[0] < 1:
            raise ValueError("horizons must be ascending and at least 1")
        allowed = ["position_skill", *(f"position_skill@h={h}" for h in self.horizons)]
        if self.primary not in allowed:
            raise ValueError(f"primary must be one of {', '.join(allowed)}")

    @property
    def pairings(self) -> list[tuple[int, int]]:
        """Every two players, as indices into ``players``."""
        n = len(self.players)
        return [(a, b) for a in range(n) for b in range(a + 1, n)]

    @property
    def anchor(self) -> str:
        """Name of the player that is 0 Elo: the game's first anchor, else the first player."""
        by_anchor = {p.anchor: p.name for p in self.players}
        names = (by_anchor.get(a) for a in ANCHORS[self.game])
        return next((name for name in names if name), self.players[0].name)
