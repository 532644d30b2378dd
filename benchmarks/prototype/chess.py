"""The chess prototype's training, written anew from its description in words.

One sample is one prefix of a game: its line of JSON is read and decoded again, the prefix goes
through a packed LSTM, and only the last hidden state is asked for the next move.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from wm.games.chess.vocabulary import MOVES, SIZE

MIN_CONTEXT = 8
WINNERS = {"W": 0, "B": 1, "D": 2, "?": 3}
IDS = {uci: i + 2 for i, uci in enumerate(MOVES)}


class Sample(NamedTuple):
    """A prefix and the move after it."""

    context: Tensor
    label: int
    winner: int
    phase: int
    side: int


class Prefixes:
    """Every prefix of at least 8 plies with a move after it, of games as lines of JSON."""

    def __init__(self, path: Path, phases: list[np.ndarray]) -> None:
        self._file = path.open("rb")
        lines = self._file.readlines()
        offsets = np.cumsum([0, *map(len, lines)])[:-1]
        counts = [max(len(own) - MIN_CONTEXT, 0) for own in phases]
        self._offsets = np.repeat(offsets, counts)
        self._last = np.concatenate([np.arange(n) + MIN_CONTEXT - 1 for n in counts])
        self._phases = np.concatenate([own[MIN_CONTEXT - 1 : -1] for own in phases])

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, item: int) -> Sample:
        self._file.seek(int(self._offsets[item]))
        game = json.loads(self._file.readline())
        last = int(self._last[item])
        ids = [IDS[move] for move in game["moves"]]
        context = torch.tensor(ids[: last + 1])
        winner = WINNERS[game["winner_side"]]
        return Sample(context, ids[last + 1], winner, int(self._phases[item]), (last + 1) % 2)


class PrototypeModel(nn.Module):
    """Embedding -> packed LSTM -> last hidden, winner, phase, side -> logits of the next move."""

    def __init__(self, embed: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SIZE, embed, padding_idx=0)
        self.lstm = nn.LSTM(embed, hidden, layers, batch_first=True, dropout=dropout)
        self.winner, self.phase = nn.Embedding(4, 8), nn.Embedding(4, 8)
        self.side = nn.Embedding(2, 4)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden + 20, SIZE)

    def forward(
        self, moves: Tensor, lengths: Tensor, winner: Tensor, phase: Tensor, side: Tensor
    ) -> Tensor:
        """Logits [B, V] after the first ``lengths`` of ``moves`` [B, T]."""
        embedded = self.dropout(self.embedding(moves))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        facts = (self.winner(winner), self.phase(phase), self.side(side))
        logits: Tensor = self.head(self.dropout(torch.cat((hidden[-1], *facts), -1)))
        return logits


def collate(samples: list[Sample]) -> tuple[Tensor, ...]:
    """Padded contexts, their lengths, winner, phase, side and label."""
    contexts, *facts = zip(*samples, strict=True)
    label, winner, phase, side = map(torch.tensor, facts)
    lengths = torch.tensor([len(context) for context in contexts])
    return pad_sequence(list(contexts), batch_first=True), lengths, winner, phase, side, label


class Prototype:
    """A training; :meth:`step` is one update and returns its targets."""

    def __init__(self, model: PrototypeModel, data: Prefixes, batch: int) -> None:
        self.model, self._data, self._batch = model.train(), data, batch
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
        self._draw = np.random.default_rng(0)

    def step(self) -> int:
        items = self._draw.integers(len(self._data), size=self._batch).tolist()
        *inputs, label = collate([self._data[item] for item in items])
        each = F.cross_entropy(self.model(*inputs), label, reduction="none")
        loss = (each * torch.where(inputs[2] < 2, 1.2, 1.0)).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        loss.item()
        return self._batch
