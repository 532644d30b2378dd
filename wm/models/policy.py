"""Chess policy: what counts as a label, the loss over a batch of games, and play in lock-step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from wm.games.chess.vocabulary import PAD
from wm.models.chess_board import SQUARES, boards
from wm.models.lstm import NextMoveLSTM, State

Labels = Literal["all", "winner", "loser"]
UNKNOWN_WINNER = 3
FILLED = 64
"""Labels of a batch are filled up to a multiple of this, for the kernels of few shapes are few."""


@dataclass(frozen=True, slots=True)
class GameBatch:
    """A batch of games from their first move on, as the data set stores them, padded."""

    moves: Tensor
    """int64 [B, T]: vocabulary ids, PAD after the end."""
    phases: Tensor
    """int64 [B, T]: phase of the position after each ply, any phase after the end."""
    winner: Tensor
    """int64 [B]: 0 White, 1 Black, 2 draw, 3 unknown."""
    lengths: Tensor
    """int64 [B]: plies of each game, at most T."""

    @property
    def side(self) -> Tensor:
        """int64 [B, T]: side to move after each ply, 0 White, 1 Black."""
        plies = torch.arange(1, self.moves.shape[1] + 1, device=self.moves.device)
        return (plies % 2).expand_as(self.moves)

    def to(self, device: torch.device | str) -> GameBatch:
        """The same games on another device."""
        parts = (self.moves, self.phases, self.winner, self.lengths)
        return GameBatch(*(part.to(device, non_blocking=True) for part in parts))


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """Sums over the labels of a batch, scalar tensors on the batch's device, and the best moves.

    The loss to minimise is ``loss / count``; nothing here has made the host wait for the device.
    """

    loss: Tensor
    """Weighted cross-entropy in nats, summed, and the board's; the only one with a gradient."""
    count: Tensor
    """Labels."""
    top1: Tensor
    """Labels that were the most likely move."""
    top5: Tensor
    """Labels among the five most likely moves."""
    squares: Tensor
    """Squares whose piece was told, as boards: 64 right squares are 1; 0 without a board head."""
    boards: Tensor
    """Boards told without a mistake; 0 without a board head."""
    best: Tensor
    """int64 [N]: the likeliest move at each position; empty unless hits are asked for."""


class Positions(NamedTuple):
    """Where the labels of a batch are, as a flat list that spares the head everywhere else."""

    where: Tensor
    """int64 [N]: b * T + t."""
    real: Tensor
    """bool [N]: false where the list is only filled up."""


def positions(
    games: GameBatch,
    labels: Labels = "all",
    min_context: int = 8,
    *,
    at: Tensor | None = None,
    static: bool | None = None,
) -> Positions:
    """The positions that have a label; position t predicts ``moves[:, t + 1]``.

    A position needs ``min_context`` plies behind it and a move after it. ``winner`` and ``loser``
    keep the moves of that player only, so drawn and unfinished games have none. ``at``, int64 [B],
    keeps one position a game: the prototype's one prefix a sample.

    The list is filled up to a multiple of FILLED, or, if ``static``, to as many labels as the batch
    could have: a shape that hangs on the data has the host wait for an accelerator, where static is
    therefore the default.
    """
    batch, length = games.moves.shape
    plies = torch.arange(1, length + 1, device=games.moves.device)
    mask = (plies >= min_context) & (plies < games.lengths[:, None])
    if labels == "winner":
        mask &= games.side == games.winner[:, None]
    elif labels == "loser":
        mask &= games.side == 1 - games.winner[:, None]
    if at is not None:
        mask &= plies - 1 == at[:, None]
    if static is None:
        static = mask.device.type != "cpu"
    found = mask.sum()
    if static:
        each = max(length - min_context, 0)
        most = batch * (each if labels == "all" else (each + 1) // 2) if at is None else batch
    else:
        most = round_up(int(found), FILLED)
    where = torch.nonzero_static(mask.flatten(), size=most, fill_value=0)[:, 0]
    return Positions(where, torch.arange(most, device=mask.device) < found)


def policy_loss(
    model: NextMoveLSTM,
    games: GameBatch,
    labelled: Positions,
    *,
    hide_winner: Tensor | None = None,
    phase_weights: Tensor | None = None,
    winner_weight: float = 1.0,
    board_weight: float = 0.0,
    hits: bool = True,
) -> PolicyLoss:
    """Loss and metrics at the labelled positions.

    ``hide_winner``, bool [B], tells the model ``?`` for these games; without it a model that is
    only ever told who won cannot play when nobody has.
    ``phase_weights``, float [4], and ``winner_weight``, for games that somebody won, multiply the
    cross-entropy of a label (both 1 unless the prototype's weighting is wanted).
    ``board_weight`` adds, at each label, that much of the cross-entropy of the board before it,
    the mean over its squares; that needs a model with a board head.
    Without ``hits`` top1 and top5 are 0 and best is empty: they take 4 % of a training step.
    """
    where, real = labelled
    features, _ = model.features(
        games.moves, _told(games, hide_winner), games.phases, games.side, where=where
    )
    label = games.moves.roll(-1, dims=1).flatten()[where]
    loss, top = _score(model.scorer(), features, label, likeliest=5 if hits else 0)
    weight = real.to(loss.dtype)
    if phase_weights is not None:
        weight = weight * phase_weights[games.phases.flatten()[where]]
    if winner_weight != 1.0:
        won = (games.winner < 2)[where // games.moves.shape[1]]
        weight = torch.where(won, weight * winner_weight, weight)
    total, hit = (loss * weight).sum(), (top == label[:, None]) & real[:, None]
    squares = whole = torch.zeros((), device=total.device)
    if model.board is not None:
        board = boards(games.moves).flatten(0, 1)[where]
        surprise, told = _score_boards(model, features, board)
        squares, whole = (told * real).sum(), ((told == 1) & real).sum()
        total = total + board_weight * (surprise * real).sum()
    return PolicyLoss(
        loss=total,
        count=real.sum(),
        top1=hit[:, :1].sum(),
        top5=hit.sum(),
        squares=squares,
        boards=whole,
        best=top[:, :1].flatten(),
    )


class PolicyState:
    """One model's view of N games in play: every move is read once, whoever made it.

    ``start`` reads the openings, each ``step`` one more move of every game; both return float
    logits [N, V] for the next move. The model should be in eval mode.
    """

    _winner: Tensor
    _plies: Tensor
    _state: State

    def __init__(self, model: NextMoveLSTM) -> None:
        self._model = model
        self._device = model.head.weight.device
        with torch.no_grad():
            self._embed, self._score = model.embedder(), model.scorer()

    @torch.no_grad()
    def start(
        self,
        contexts: Sequence[Sequence[int]],
        phases: Sequence[int],
        winner: int = UNKNOWN_WINNER,
    ) -> Tensor:
        """Read each game's moves so far (ids, at least one), with the phase they led to.

        ``winner`` is what the model is told: nobody knows yet, or the side it shall play for.
        """
        lengths = torch.tensor([len(context) for context in contexts])
        moves = pad_sequence([torch.tensor(c) for c in contexts], True, PAD).to(self._device)
        hidden, self._state = self._model.context(moves, lengths)
        self._plies = lengths.to(self._device)
        self._winner = torch.full_like(self._plies, winner)
        return self._logits(hidden, phases)

    @torch.no_grad()
    def step(self, moves: Sequence[int], phases: Sequence[int]) -> Tensor:
        """Read one more move of every game."""
        self._plies += 1
        embedded = self._embed(self._ids(moves)[:, None])
        output, self._state = self._model.lstm(embedded, self._state)
        return self._logits(output[:, 0], phases)

    def keep(self, games: Sequence[int]) -> None:
        """Go on with these games only, in this order; the others are over."""
        index = self._ids(games)
        self._plies, self._winner = self._plies[index], self._winner[index]
        self._state = (self._state[0][:, index], self._state[1][:, index])

    def _logits(self, hidden: Tensor, phases: Sequence[int]) -> Tensor:
        side = self._plies % 2
        features = self._model.join(hidden, self._winner, self._ids(phases), side)
        return self._score(features).float()

    def _ids(self, values: Sequence[int]) -> Tensor:
        return torch.as_tensor(values, dtype=torch.int64, device=self._device)


def _told(games: GameBatch, hide_winner: Tensor | None) -> Tensor:
    if hide_winner is None:
        return games.winner
    return games.winner.masked_fill(hide_winner, UNKNOWN_WINNER)


def _score(
    score: Callable[[Tensor], Tensor], features: Tensor, label: Tensor, likeliest: int
) -> tuple[Tensor, Tensor]:
    """Cross-entropy [N] and the likeliest moves [N, likeliest], best first.

    On a CPU in pieces whose logits stay in its cache: half the time of all positions at once.
    """
    losses, tops = [], []
    for piece, own in _pieces(features, label):
        logits = score(piece).float()
        losses.append(F.cross_entropy(logits, own, reduction="none"))
        tops.append(logits.detach().topk(likeliest).indices)
    return torch.cat(losses), torch.cat(tops)


def _score_boards(model: NextMoveLSTM, features: Tensor, board: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy, mean over the squares, and share of right squares, each [N]."""
    losses, right = [], []
    for piece, own in _pieces(features, board.long()):
        logits = model.board_logits(piece).float()
        # As F.cross_entropy, which has no deterministic kernel on CUDA for this shape.
        picked = logits.gather(1, own[:, None])[:, 0]
        losses.append((logits.logsumexp(1) - picked).mean(1))
        # As argmax == own, which takes over twenty times as long on a CPU.
        others = logits.detach().scatter(1, own[:, None], float("-inf")).amax(1)
        right.append((picked > others).sum(1) / SQUARES)
    return torch.cat(losses), torch.cat(right)


def _pieces(features: Tensor, label: Tensor) -> zip[tuple[Tensor, Tensor]]:
    """Both in pieces whose logits stay in a CPU's cache."""
    size = 512 if features.device.type == "cpu" else max(len(features), 1)
    return zip(torch.split(features, size), torch.split(label, size), strict=True)


def round_up(number: int, multiple: int) -> int:
    """The least multiple that is not below ``number``."""
    return -(-number // multiple) * multiple
