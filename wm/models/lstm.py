"""Next-move LSTM of the chess policy: moves in, the next move out, no board."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from wm.games.chess.vocabulary import PAD, SIZE
from wm.models.chess_board import CLASSES, SQUARES
from wm.models.config import LSTMConfig
from wm.models.move_parts import MoveParts

WINNERS = 4
"""White, Black, draw, unknown."""
PHASES = 4
"""Unknown, opening, middlegame, endgame."""

State = tuple[Tensor, Tensor]
"""Hidden and cell state of every layer, each [layers, B, hidden]."""


class NextMoveLSTM(nn.Module):
    """Embedding -> LSTM -> [hidden, winner, phase, side to move] -> logits over the moves.

    With ``factored`` moves share what they know of squares, on the way in and out. With
    ``board_head`` the LSTM's output also tells the board, as a second thing to learn.

    The shape is the chess prototype's, whose last-hidden-of-a-packed-prefix is the special case of
    one position; here every position of a game predicts its next move in one pass.
    """

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SIZE, config.embed, padding_idx=PAD)
        self.lstm = nn.LSTM(
            config.embed,
            config.hidden,
            config.layers,
            batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.winner = nn.Embedding(WINNERS, 8)
        self.phase = nn.Embedding(PHASES, 8)
        self.side = nn.Embedding(2, 4)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden + 8 + 8 + 4, SIZE)
        self.embedding_parts = self.head_parts = None
        if config.factored:
            self.embedding_parts = MoveParts(config.embed, std=0.6)
            self.head_parts = MoveParts(self.head.in_features, std=0.02)
            with torch.no_grad():
                self.embedding.weight.mul_(0.3)  # the sum is as large as without parts
        self.board = nn.Linear(config.hidden, SQUARES * CLASSES) if config.board_head else None
        """For training only: the board after each ply, told from the LSTM's output."""

    def forward(
        self,
        moves: Tensor,
        winner: Tensor,
        phase: Tensor,
        side: Tensor,
        state: State | None = None,
    ) -> tuple[Tensor, State]:
        """Logits [B, T, V] of the next move at every position, and the state to go on from.

        ``moves``, ``phase`` and ``side`` are int64 [B, T], ``winner`` int64 [B]: position t has
        seen ``moves[:, :t + 1]`` and is told the phase and the side to move after them. The state
        is that after the last column; where games differ in length, see :meth:`context`.
        """
        features, state = self.features(moves, winner, phase, side, state)
        return self.scorer()(features), state

    def features(
        self,
        moves: Tensor,
        winner: Tensor,
        phase: Tensor,
        side: Tensor,
        state: State | None = None,
        *,
        where: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """As :meth:`forward`, up to the head: [B, T, hidden + 20].

        With ``where``, int64 [N] of positions b * T + t, only those: [N, hidden + 20]. The head is
        most of a small model's work, so it should see no position that nobody asks for.
        """
        hidden, state = self.lstm(self.dropout(self.embedder()(moves)), state)
        winner = winner[:, None].expand_as(moves)
        if where is not None:
            hidden = hidden.flatten(0, 1)[where]
            winner, phase, side = (x.flatten()[where] for x in (winner, phase, side))
        return self.join(hidden, winner, phase, side), state

    def embedder(self) -> Callable[[Tensor], Tensor]:
        """What embeds moves: int64 [...] to [..., embed].

        What moves share is summed up once, here, for as many calls as the weights stay the same.
        """
        if self.embedding_parts is None:
            return self.embedding
        shared = self.embedding_parts()
        return lambda moves: self.embedding(moves) + F.embedding(moves, shared)

    def scorer(self) -> Callable[[Tensor], Tensor]:
        """The head: features [..., hidden + 20] to logits [..., V]; once, as :meth:`embedder`."""
        if self.head_parts is None:
            return self.head
        return partial(F.linear, weight=self.head.weight + self.head_parts(), bias=self.head.bias)

    def board_logits(self, features: Tensor) -> Tensor:
        """Logits [N, 13, 64] of the piece on each square, from features [N, hidden + 20].

        Only of a model whose configuration has ``board_head``. The squares come last because a
        softmax over 13 numbers that lie side by side is several times slower.
        """
        assert self.board is not None, "the model has no board head"
        logits: Tensor = self.board(features[:, : self.board.in_features])
        return logits.view(-1, CLASSES, SQUARES)

    def context(self, moves: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Top hidden [B, hidden] and state after the first ``lengths`` [B] of ``moves`` [B, T]."""
        embedded = self.dropout(self.embedder()(moves))
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, state = self.lstm(packed)
        return state[0][-1], state

    def join(self, hidden: Tensor, winner: Tensor, phase: Tensor, side: Tensor) -> Tensor:
        """What the head reads: [..., hidden] and three ids [...] to [..., hidden + 20]."""
        facts = (self.winner(winner), self.phase(phase), self.side(side))
        joined = torch.cat([hidden, *(fact.to(hidden.dtype) for fact in facts)], dim=-1)
        dropped: Tensor = self.dropout(joined)
        return dropped
