"""Supervised targets per second of the 20M LSTM: every position against one prefix per sample.

    PYTHONPATH=. python benchmarks/chess_speed.py [--rounds 3] [--seconds 4] [--threads 2]

Whole updates (input, forward, backward, clipping, AdamW) of the shape 384/768 x 4 on the same made
games of 80 plies, the sides in turns in one process on the same cores. Ours is the trainer's own
path; the prototype's is written anew (benchmarks/prototype/chess.py).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch

from benchmarks.prototype.chess import Prefixes, Prototype, PrototypeModel, collate
from benchmarks.support.made import chess_games, publish_chess
from benchmarks.support.rates import rates, table
from benchmarks.support.trainer import LSTM, Ours, ready
from wm.games.chess.vocabulary import decode
from wm.games.game import Game
from wm.models.lstm import NextMoveLSTM
from wm.store import open_store

PREFIXES = "prototype, one prefix a sample"
DROPOUT = 0.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of a side in a round, at least")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prefixes", type=int, default=64, help="in a batch of the prototype")
    parser.add_argument("--games", type=int, default=32, help="in a batch of ours")
    options = parser.parse_args()

    made = chess_games(1000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prefixes = write_lines(folder / "train.jsonl", made)
        store = open_store(str(folder / "store"))
        common = {"data": publish_chess(store, made), "model": LSTM | {"dropout": DROPOUT}}
        common["batch"] = options.games
        trainings = {
            f"ours, every position, {kind}": ready(
                store, folder, options.threads, precision=kind, **common
            )
            for kind in ("fp32", "bf16")
        }
        model = next(iter(trainings.values())).model
        assert isinstance(model, NextMoveLSTM)
        theirs = Prototype(prototype_of(model), prefixes, options.prefixes)
        sides = {PREFIXES: theirs.step}
        sides |= {name: Ours(training).step for name, training in trainings.items()}

        print("same weights, largest difference of a logit:", same(model, made, prefixes))
        print(table(rates(sides, options.rounds, options.seconds), PREFIXES))


def write_lines(path: Path, made: list[Game]) -> Prefixes:
    """Games as the prototype stores them."""
    with path.open("w") as file:
        for game in made:
            moves = [decode(int(move)) for move in game.rows["moves"]]
            line = {"game_id": game.identity, "winner_side": "WB"[game.facts["winner"]]}
            file.write(json.dumps(line | {"plies": len(moves), "moves": moves}) + "\n")
    return Prefixes(path, [game.rows["phases"] for game in made])


def prototype_of(model: NextMoveLSTM) -> PrototypeModel:
    """The prototype's model with our weights."""
    shape = (model.embedding.embedding_dim, model.lstm.hidden_size, model.lstm.num_layers)
    theirs = PrototypeModel(*shape, DROPOUT)
    theirs.load_state_dict(model.state_dict())
    return theirs


@torch.no_grad()
def same(model: NextMoveLSTM, made: list[Game], prefixes: Prefixes) -> str:
    """How far the prototype's prefixes of the first game are from its positions, and how large."""
    theirs = prototype_of(model).eval()
    rows = made[0].rows
    moves = torch.from_numpy(rows["moves"].astype("i8"))[None]
    phases = torch.from_numpy(rows["phases"].astype("i8"))[None]
    side = torch.arange(1, moves.shape[1] + 1)[None] % 2
    model.eval()
    expected, _ = model(moves, torch.tensor([made[0].facts["winner"]]), phases, side)
    model.train()
    *inputs, _ = collate([prefixes[i] for i in range(moves.shape[1] - 8)])
    found = theirs(*inputs)
    return f"{(found - expected[0, 7:-1]).abs().max():.1e} of {found.abs().max():.2f}"


if __name__ == "__main__":
    main()
