"""Chess: whole games, the loss at every move that has enough moves before it."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple, cast

import chess
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainer.config import TrainConfig
from trainer.counter import bits, uniform
from trainer.order import Order
from trainer.rows import Column, Games
from trainer.subset import train_games
from trainer.task import TaskLoss
from trainer.team import Team
from wm.artifacts.dataset import Dataset, Split
from wm.errors import BadData
from wm.games.chess.vocabulary import PAD, decode
from wm.models.lstm import NextMoveLSTM
from wm.models.policy import GameBatch, policy_loss, positions, round_up

PLIES = 8
"""What the length of a batch is rounded up to. oneDNN compiles and keeps kernels for each shape
that it meets in bf16: without rounding a training grew by hundreds of MB in its first minutes."""
BUCKETS = (8, 20, 40, 80)
"""First plies of the buckets by which raw legality is reported."""


class ChessBatch(NamedTuple):
    """Games, and which of them keep their winner to themselves."""

    games: GameBatch
    hide_winner: Tensor
    """bool [B]."""


class GameStore:
    """The games of a split, gathered into padded batches on the device."""

    def __init__(self, split: Split, team: Team) -> None:
        self.games = Games(split)
        self.winner = self.games.fact("winner")
        self.device = team.device
        self._moves = Column(split, "moves", team.device)
        self._phases = Column(split, "phases", team.device)

    def take(self, games: NDArray[np.int64]) -> GameBatch:
        """Some games, padded to the longest of them and a little more (see PLIES)."""
        first, lengths = self.games.first[games], self.games.length[games]
        longest = round_up(int(lengths.max()), PLIES)
        lengths_ = torch.from_numpy(lengths).to(self.device)
        over = torch.arange(longest, device=self.device) >= lengths_[:, None]
        return GameBatch(
            moves=self._moves.gather(first, longest).long().masked_fill(over, PAD),
            phases=self._phases.gather(first, longest).long().masked_fill(over, 0),
            winner=torch.from_numpy(self.winner[games]).to(self.device),
            lengths=lengths_,
        )


class ChessTask:
    """See :class:`trainer.task.Task`."""

    def __init__(self, config: TrainConfig, data: Dataset, team: Team) -> None:
        self._config, self._team = config, team
        train, val = data.split("train"), data.split("val")
        for split in (train, val):
            if not split.games:
                raise BadData(
                    f"{config.data} has no games in its {split.name} split",
                    hint="encode more games, or give that split a larger share",
                )
        self._train, self._val = GameStore(train, team), GameStore(val, team)
        learnable = self._learnable(self._train)
        if not len(learnable):
            raise BadData(
                f"{config.data} has no game with a move to learn: labels {config.labels}, "
                f"min_context {config.min_context}",
                hint="lower min_context, or take labels: all",
            )
        self._usable = train_games(config, team, self._train.games, learnable)
        self._order = Order(
            items=len(self._usable),
            batch=config.batch,
            groups=config.groups,
            seed=config.seed,
            lengths=self._train.games.length[self._usable],
        )
        weighted = config.phase_weights != (1.0,) * 4
        self._phase_weights = (
            torch.tensor(config.phase_weights, device=team.device) if weighted else None
        )

    @property
    def games(self) -> int:
        return len(self._usable)

    @property
    def units(self) -> int:
        lengths = self._val.games.length[self._held_out()]
        return int((lengths > self._config.min_context).sum())

    def prepare(self, model: nn.Module) -> None:
        """Nothing: moves have no units."""

    def batch(self, step: int) -> ChessBatch:
        epochs, items = self._order.share(step, self._team.rank, self._team.world)
        hidden = uniform(self._config.seed, "winner", epochs, items) < self._config.winner_mask
        games = self._train.take(self._usable[items])
        return ChessBatch(games, torch.from_numpy(hidden).to(self._team.device))

    def loss(self, model: nn.Module, batch: ChessBatch) -> TaskLoss:
        config = self._config
        found = policy_loss(
            cast(NextMoveLSTM, model),
            batch.games,
            positions(batch.games, config.labels, config.min_context),
            hide_winner=batch.hide_winner,
            phase_weights=self._phase_weights,
            winner_weight=config.winner_weight,
            board_weight=config.board_weight,
            hits=False,
        )
        return TaskLoss(found.loss, found.count)

    def names(self, step: int) -> list[str]:
        _, items = self._order.share(step, self._team.rank, self._team.world)
        return self._train.games.names(self._usable[items])

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Loss, top-1 and top-5 over all moves, and how often the most likely move is legal.

        The model is told '?' as the winner, as it is in the arena, unless it never learned '?'.
        The loss is that of the moves alone; a board head adds the share of squares it tells right
        (``board_accuracy``) and of whole boards (``board_exact``), before the same moves.
        """
        policy = cast(NextMoveLSTM, model)
        chosen = self._held_out()
        picked = self._pick_positions(chosen)
        sums = torch.zeros(6, dtype=torch.float64)
        legal = torch.zeros(len(BUCKETS), 2, dtype=torch.float64)
        mine = chosen[self._team.rank :: self._team.world]
        mine = mine[np.argsort(self._val.games.length[mine], kind="stable")]
        for start in range(0, len(mine), self._config.batch):
            numbers = mine[start : start + self._config.batch]
            games = self._val.take(numbers)
            hide = torch.full(
                (len(numbers),), self._config.winner_mask > 0, device=games.moves.device
            )
            labelled = positions(games, min_context=self._config.min_context)
            found = policy_loss(policy, games, labelled, hide_winner=hide)
            moves_told = (found.loss, found.count, found.top1, found.top5)
            sums += torch.stack((*moves_told, found.squares, found.boards)).double().cpu()
            moves = games.moves.cpu().numpy()
            best = np.full_like(moves, PAD)
            best.flat[labelled.where[labelled.real].cpu()] = found.best[labelled.real].cpu()
            for row, number in enumerate(numbers):
                _count_legal(moves[row], best[row], picked[int(number)], legal)
        self._team.sum(device_sums := torch.cat([sums, legal.flatten()]).to(self._team.device))
        loss, count, top1, top5, squares, boards, *rest = device_sums.tolist()
        if not count:
            raise BadData(
                f"{self._config.data} has no held-out game longer than {self._config.min_context} "
                "plies",
                hint="encode more games, or lower min_context",
            )
        metrics = {"loss": loss / count, "top1": top1 / count, "top5": top5 / count}
        metrics |= _legality(torch.tensor(rest).view(-1, 2))
        if policy.board is not None:
            metrics |= {"board_accuracy": squares / count, "board_exact": boards / count}
        return metrics

    def _learnable(self, store: GameStore) -> NDArray[np.int64]:
        """Numbers of the games that have a label."""
        long = store.games.length > self._config.min_context
        if self._config.labels != "all":
            long &= store.winner < 2
        return np.flatnonzero(long)

    def _held_out(self) -> NDArray[np.int64]:
        """Numbers of the games in a validation, the same at every one."""
        return _spread(len(self._val.games), self._config.validate_games)

    def _pick_positions(self, games: NDArray[np.int64]) -> dict[int, list[int]]:
        """Game -> plies before the moves whose legality is looked at; evenly over the games.

        Each is a position with a label: it has enough moves before it and one after it.
        """
        each = -(-self._config.legality_positions // len(games))
        picked: dict[int, list[int]] = defaultdict(list)
        for number in games[: self._config.legality_positions]:
            choices = int(self._val.games.length[number]) - self._config.min_context
            if choices > 0:
                chosen = bits(self._config.seed, "legality", number, np.arange(each))
                plies = np.unique(chosen % np.uint64(choices)).astype(int)
                picked[int(number)] = (plies + self._config.min_context).tolist()
        return picked


def _spread(games: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` game numbers, evenly over all."""
    return np.unique(np.linspace(0, games - 1, min(games, most)).round().astype(np.int64))


def _count_legal(
    moves: NDArray[np.int64], best: NDArray[np.int64], plies: list[int], counts: Tensor
) -> None:
    """Replay a game and add (legal, looked at) to the buckets of ``plies``.

    ``best``, as ``moves`` int64 [T]: the move that the model would make after each ply.
    """
    board = chess.Board()
    played = 0
    for ply in plies:
        for move in moves[played:ply]:
            board.push(chess.Move.from_uci(decode(int(move))))
        played = ply
        bucket = max(int(np.searchsorted(BUCKETS, ply, "right")) - 1, 0)
        counts[bucket] += torch.tensor([_is_legal(board, int(best[ply - 1])), 1.0])


def _is_legal(board: chess.Board, move: int) -> bool:
    try:
        return board.is_legal(chess.Move.from_uci(decode(move)))
    except (ValueError, IndexError):  # a special token is no move
        return False


def _legality(counts: Tensor) -> dict[str, float]:
    """``raw_legal`` over all positions and by ply bucket, where there were any."""
    ends = [str(first - 1) for first in BUCKETS[1:]] + [""]
    metrics = {"raw_legal": float(counts[:, 0].sum() / counts[:, 1].sum())}
    for (legal, seen), first, end in zip(counts.tolist(), BUCKETS, ends, strict=True):
        if seen:
            metrics[f"raw_legal@ply={first}-{end}"] = legal / seen
    return metrics
