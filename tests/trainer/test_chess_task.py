import dataclasses
from collections.abc import Callable
from typing import Any

import chess
import pytest
import torch

from tests.support.datasets import publish_dataset
from tests.support.training import LSTM, chess_games
from trainer.batch import split
from trainer.chess_task import PLIES, ChessTask, _legality, _spread
from trainer.loop import Training, train
from wm.errors import BadData
from wm.games.chess.vocabulary import decode, encode
from wm.models.lstm import NextMoveLSTM
from wm.models.policy import GameBatch, PolicyLoss, Positions, policy_loss
from wm.store import Store

Begin = Callable[..., Training]
HEADED = LSTM | {"board_head": True}


def chess_task(t: Training) -> ChessTask:
    assert isinstance(t.task, ChessTask)
    return t.task


def test_a_batch_holds_whole_games_with_their_facts(training: Begin, chess_data: str) -> None:
    task = chess_task(training(chess_data, batch=24))
    by_moves = {tuple(g.rows["moves"].tolist()): g for g in chess_games(24)}

    seen = set()
    for step in range(3):
        games = task.batch(step).games
        for moves, winner, length in zip(games.moves, games.winner, games.lengths, strict=True):
            game = by_moves[tuple(moves[:length].tolist())]
            assert game.facts["winner"] == winner
            assert not moves[length:].any()
            seen.add(game.identity)

    assert seen == {g.identity for g in by_moves.values()}


def test_batches_have_few_shapes(training: Begin, chess_data: str) -> None:
    task = chess_task(training(chess_data))
    for step in range(6):
        games = task.batch(step).games
        padded, longest = games.moves.shape[1], int(games.lengths.max())
        assert padded % PLIES == 0
        assert padded - PLIES < longest <= padded


def test_a_batch_is_a_function_of_its_step(training: Begin, chess_data: str) -> None:
    task, twin = chess_task(training(chess_data)), chess_task(training(chess_data, attempt=2))
    for step in (5, 0, 40):
        twin.batch(step + 1)
        assert torch.equal(task.batch(step).games.moves, twin.batch(step).games.moves)
        assert torch.equal(task.batch(step).hide_winner, twin.batch(step).hide_winner)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_winner_is_hidden_for_the_share_asked_for(
    training: Begin, chess_data: str, share: float
) -> None:
    task = chess_task(training(chess_data, batch=32, winner_mask=share))

    hidden = torch.cat([task.batch(step).hide_winner for step in range(100)]).float().mean()

    assert abs(hidden - share) < 0.03


def test_the_hidden_winner_reaches_the_model(training: Begin, chess_data: str) -> None:
    t = training(chess_data, winner_mask=1.0)

    loss = t.task.loss(t.model, t.task.batch(0))
    loss.sum.backward()

    gradient = t.model.get_submodule("winner").weight.grad
    assert isinstance(gradient, torch.Tensor)
    assert gradient[3].any()
    assert not gradient[:3].any()


@pytest.mark.parametrize("labels", ["winner", "loser"])
def test_only_decided_games_have_winners_to_learn_from(
    training: Begin, chess_data: str, labels: str
) -> None:
    task = chess_task(training(chess_data, batch=24, labels=labels))

    winners = torch.cat([task.batch(step).games.winner for step in range(4)])
    assert set(winners.tolist()) == {0, 1}


def test_names_are_those_of_the_batch(training: Begin, chess_data: str) -> None:
    task = chess_task(training(chess_data))
    by_name = {g.identity: g.rows["moves"].tolist() for g in chess_games(24)}

    games, names = task.batch(3).games, task.names(3)

    for name, moves, length in zip(names, games.moves, games.lengths, strict=True):
        assert by_name[name] == moves[:length].tolist()


def test_legality_is_counted_by_the_rules(
    training: Begin, chess_data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A player who repeats the recorded game is always legal, one who always plays a1h8 never."""

    def playing(choose: Callable[[GameBatch], torch.Tensor]) -> dict[str, float]:
        def told(model: NextMoveLSTM, games: GameBatch, at: Positions, **rest: Any) -> PolicyLoss:
            found = policy_loss(model, games, at, **rest)
            return dataclasses.replace(found, best=choose(games).flatten()[at.where])

        monkeypatch.setattr("trainer.chess_task.policy_loss", told)
        return t.task.validate(t.model)

    t = training(chess_data)
    right = playing(lambda games: games.moves.roll(-1, dims=1))
    wrong = playing(lambda games: torch.full_like(games.moves, encode("a1h8")))
    special = playing(lambda games: torch.zeros_like(games.moves))

    assert right["raw_legal"] == right["raw_legal@ply=8-19"] == right["raw_legal@ply=20-39"] == 1
    assert wrong["raw_legal"] == special["raw_legal"] == 0


def test_a_board_head_is_judged_on_held_out_boards(training: Begin, chess_data: str) -> None:
    plain, headed = training(chess_data), training(chess_data, model=HEADED, attempt=2)
    without, with_head = (t.task.validate(t.model.eval()) for t in (plain, headed))

    assert with_head.keys() - without.keys() == {"board_accuracy", "board_exact"}
    assert with_head["loss"] == without["loss"]  # that of the moves alone
    assert 0 <= with_head["board_exact"] <= with_head["board_accuracy"] < 1


def test_the_board_is_learned(training: Begin, chess_data: str) -> None:
    t = training(chess_data, model=HEADED, board_weight=1.0, steps=60, lr=0.02)

    before = t.task.validate(t.model)["board_accuracy"]
    after = train(t, 0)["board_accuracy"]

    assert before < 0.3
    assert after > 0.6


def test_the_loss_with_a_board_is_a_sum_over_games(training: Begin, chess_data: str) -> None:
    """So any number of processes that share a batch find the same."""
    t = training(chess_data, model=HEADED, board_weight=1.0)
    t.model.eval()

    whole = t.task.loss(t.model, t.task.batch(0))
    parts = [t.task.loss(t.model, part) for part in split(t.task.batch(0), 4)]

    assert sum(part.count for part in parts) == whole.count
    torch.testing.assert_close(torch.stack([part.sum for part in parts]).sum(), whole.sum)


def test_random_games_are_legal() -> None:
    """What the tests here are built on."""
    board = chess.Board()
    for move in chess_games(1)[0].rows["moves"]:
        board.push_uci(decode(int(move)))


def test_legality_has_its_buckets() -> None:
    counts = torch.tensor([[9, 10], [5, 10], [0, 0], [1, 2]], dtype=torch.float64)

    assert _legality(counts) == pytest.approx(
        {
            "raw_legal": 15 / 22,
            "raw_legal@ply=8-19": 0.9,
            "raw_legal@ply=20-39": 0.5,
            "raw_legal@ply=80-": 0.5,
        }
    )


def test_validation_games_are_spread_evenly() -> None:
    assert _spread(10, 20).tolist() == list(range(10))
    assert _spread(1001, 11).tolist() == list(range(0, 1001, 100))


def test_units_are_the_held_out_games_with_a_move_to_judge(training: Begin, store: Store) -> None:
    games = chess_games(6)
    lengths = sorted(len(g) for g in games)
    data = publish_dataset(store, "chess", {"train": [games], "val": [games]})

    assert training(data, min_context=1).task.units == 6
    assert training(data, min_context=1, validate_games=4).task.units == 4
    assert training(data, min_context=lengths[2]).task.units == sum(
        length > lengths[2] for length in lengths
    )


@pytest.mark.parametrize(
    ("shards", "changes", "message"),
    [
        ({"train": [chess_games(2)]}, {}, "no games in its val split"),
        ({"val": [chess_games(2)]}, {}, "no games in its train split"),
        (
            {"train": [chess_games(2)], "val": [chess_games(2)]},
            {"min_context": 90},
            "no game with a move to learn: labels all, min_context 90",
        ),
    ],
)
def test_a_data_set_that_cannot_be_learned_is_named(
    training: Begin, store: Store, shards: Any, changes: dict[str, Any], message: str
) -> None:
    data = publish_dataset(store, "chess", shards)

    with pytest.raises(BadData, match=message):
        training(data, **changes)
