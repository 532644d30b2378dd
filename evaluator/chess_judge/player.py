"""Players of the arena, each choosing for all of its games at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import chess
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evaluator.chess_judge.game import Game
from wm.games.chess import players as simple
from wm.games.chess.vocabulary import encode_squares


class Policy(Protocol):
    """A model's view of N games, see :class:`wm.models.policy.PolicyState`."""

    def start(self, contexts: Sequence[Sequence[int]], phases: Sequence[int]) -> Tensor: ...
    def step(self, moves: Sequence[int], phases: Sequence[int]) -> Tensor: ...
    def keep(self, games: Sequence[int]) -> None: ...


class Player(Protocol):
    """Plays any number of games in lock-step."""

    def start(self, games: Sequence[Game]) -> None:
        """Look at the games, each with its opening played."""
        ...

    def choose(self, games: Sequence[Game]) -> list[chess.Move]:
        """A legal move for each of these games; it is the player's turn in all of them."""
        ...

    def follow(self) -> None:
        """Every game that was not over has one move more."""
        ...


@dataclass(slots=True)
class Turns:
    """What a model said on each of its own turns; columns of one length."""

    games: list[Game] = field(default_factory=list)
    plies: list[int] = field(default_factory=list)
    """Plies played before the turn."""
    raw_legal: list[bool] = field(default_factory=list)
    """The likeliest token was a legal move."""
    fallback: list[bool] = field(default_factory=list)
    """None of the k likeliest tokens was a legal move."""
    legal_mass: list[float] = field(default_factory=list)
    """Probability on legal moves, 0..1."""


class ModelPlayer:
    """Plays the likeliest legal move, or one drawn from the legal moves' probabilities."""

    def __init__(self, policy: Policy, *, topk: int, temperature: float, seed: int) -> None:
        self._policy = policy
        self._topk, self._temperature, self._seed = topk, temperature, seed
        self.turns = Turns()

    def start(self, games: Sequence[Game]) -> None:
        contexts = [game.tokens for game in games]
        self._take(games, self._policy.start(contexts, [game.phase for game in games]))

    def follow(self) -> None:
        live = [i for i, game in enumerate(self._games) if game.ending is None]
        if not live:
            return
        if len(live) < len(self._games):
            self._policy.keep(live)
        games = [self._games[i] for i in live]
        last = [game.tokens[-1] for game in games]
        self._take(games, self._policy.step(last, [game.phase for game in games]))

    def choose(self, games: Sequence[Game]) -> list[chess.Move]:
        logits = self._logits[[self._row[id(game)] for game in games]].float().cpu().numpy()
        tokens = [_tokens(game.legal) for game in games]
        rows = np.repeat(np.arange(len(games)), [len(own) for own in tokens])
        legal = np.zeros(logits.shape, bool)
        legal[rows, np.concatenate(tokens)] = True
        self._note(games, logits, legal)
        return [
            game.legal[self._pick(game, row[own])]
            for game, row, own in zip(games, logits, tokens, strict=True)
        ]

    def _take(self, games: Sequence[Game], logits: Tensor) -> None:
        self._games, self._logits = games, logits
        self._row = {id(game): i for i, game in enumerate(games)}

    def _note(
        self, games: Sequence[Game], logits: NDArray[np.float32], legal: NDArray[np.bool_]
    ) -> None:
        rows = np.arange(len(games))
        likeliest = np.argpartition(logits, -self._topk, axis=1)[:, -self._topk :]
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        mass = np.where(legal, weight, 0).sum(axis=1) / weight.sum(axis=1)
        self.turns.games.extend(games)
        self.turns.plies.extend(len(game.tokens) for game in games)
        self.turns.raw_legal.extend(map(bool, legal[rows, logits.argmax(axis=1)]))
        hits = np.take_along_axis(legal, likeliest, axis=1).sum(axis=1)
        self.turns.fallback.extend(map(bool, hits == 0))
        self.turns.legal_mass.extend(mass.tolist())

    def _pick(self, game: Game, logits: NDArray[np.float32]) -> int:
        if self._temperature == 0:
            return int(logits.argmax())
        weight = np.exp((logits - logits.max()).astype(np.float64) / self._temperature)
        total = weight.cumsum()
        drawn = keyed_generator(self._seed, game).random() * total[-1]
        return int(np.searchsorted(total, drawn, side="right"))


class AnchorPlayer:
    """A player of fixed, known strength."""

    def __init__(self, move: simple.Player, seed: int) -> None:
        self._move, self._seed = move, seed

    def start(self, games: Sequence[Game]) -> None:
        """Looks at the board only."""

    def follow(self) -> None:
        """Looks at the board only."""

    def choose(self, games: Sequence[Game]) -> list[chess.Move]:
        return [self._move(game.board, keyed_generator(self._seed, game)) for game in games]


ANCHORS: dict[str, simple.Player] = {"random": simple.random, "greedy": simple.greedy}


def keyed_generator(seed: int, game: Game) -> np.random.Generator:
    """The randomness of one turn: a function of the seed, match, colours, opening and ply.

    So any game can be played again by itself, in any order.
    """
    key = f"{seed}\0{game.white}\0{game.black}\0{game.opening}\0{len(game.tokens)}"
    digest = blake2b(key.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _tokens(moves: Sequence[chess.Move]) -> NDArray[np.uint16]:
    return encode_squares(
        [move.from_square for move in moves],
        [move.to_square for move in moves],
        [move.promotion or -1 for move in moves],
    )
