"""The chess policy: labels, the loss over them, and play in lock-step."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wm.games.chess.vocabulary import PAD, SIZE, encode
from wm.models.chess_board import boards
from wm.models.config import LSTMConfig
from wm.models.lstm import NextMoveLSTM
from wm.models.policy import (
    FILLED,
    GameBatch,
    Labels,
    PolicyState,
    Positions,
    policy_loss,
    positions,
)

WHITE, BLACK, DRAW, UNKNOWN = range(4)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> NextMoveLSTM:
    torch.manual_seed(1)
    factored = getattr(request, "param", False)
    return NextMoveLSTM(
        LSTMConfig(embed=6, hidden=10, layers=2, dropout=0, factored=factored)
    ).eval()


PLAIN_AND_FACTORED = pytest.mark.parametrize("model", [False, True], indirect=True)


@pytest.fixture
def headed() -> NextMoveLSTM:
    """The same model with a board head."""
    torch.manual_seed(1)
    config = LSTMConfig(embed=6, hidden=10, layers=2, dropout=0, board_head=True)
    return NextMoveLSTM(config).eval()


@pytest.fixture
def games() -> GameBatch:
    torch.manual_seed(2)
    lengths = torch.tensor([12, 10, 9, 11, 8])
    over = torch.arange(12) >= lengths[:, None]
    return GameBatch(
        moves=torch.randint(2, SIZE, (5, 12)).masked_fill(over, PAD),
        phases=torch.randint(0, 4, (5, 12)),
        winner=torch.tensor([WHITE, BLACK, DRAW, UNKNOWN, WHITE]),
        lengths=lengths,
    )


def test_a_game_of_n_moves_has_n_minus_8_labels(games: GameBatch) -> None:
    found = _pairs(games)
    assert found == [(b, t) for b, n in enumerate(games.lengths.tolist()) for t in range(7, n - 1)]
    assert len(found) == sum(max(n - 8, 0) for n in games.lengths.tolist())


def test_winner_and_loser_share_the_decided_games_between_them(games: GameBatch) -> None:
    # Position t predicts ply t + 1 (from 0), which White plays where that is even.
    assert _pairs(games, "winner") == [(0, 7), (0, 9), (1, 8)]
    assert _pairs(games, "loser") == [(0, 8), (0, 10), (1, 7)]


def test_min_context_and_one_position_a_game(games: GameBatch) -> None:
    assert len(_pairs(games, min_context=1)) == int((games.lengths - 1).sum())
    at = torch.tensor([7, 8, 8, 9, 7])  # game 2 ends with ply 8, game 4 before: nothing to predict
    assert _pairs(games, at=at) == [(0, 7), (1, 8), (3, 9)]


@pytest.mark.parametrize("labels", get_args(Labels))
@pytest.mark.parametrize("options", [{}, {"min_context": 1}, {"at": torch.full((5,), 8)}])
def test_positions_are_the_same_ones_however_far_their_list_is_filled_up(
    games: GameBatch, headed: NextMoveLSTM, labels: Labels, options: dict[str, Any]
) -> None:
    filled = positions(games, labels, **options)
    assert len(filled.where) % FILLED == 0
    exact = Positions(filled.where[filled.real], filled.real[filled.real])
    static = positions(games, labels, static=True, **options)
    assert static.where[static.real].tolist() == exact.where.tolist()
    turned = GameBatch(games.moves, games.phases, (games.winner + 1) % 4, games.lengths)
    assert len(positions(turned, labels, static=True, **options).where) == len(static.where)
    with torch.no_grad():
        headed.head.bias[games.moves[0, 1]] = 9  # the label that the list is filled up with is hit
    for longer in (filled, static):
        figures = zip(_figures(headed, games, longer), _figures(headed, games, exact), strict=True)
        for a, b in figures:
            torch.testing.assert_close(a, b)


def test_static_lists_hold_every_label_of_the_fullest_batch() -> None:
    for length in range(1, 14):
        for winner in (WHITE, BLACK):
            full = GameBatch(
                moves=torch.full((3, length), 5),
                phases=torch.zeros(3, length, dtype=torch.int64),
                winner=torch.full((3,), winner),
                lengths=torch.full((3,), length),
            )
            for labels in get_args(Labels):
                filled, static = (positions(full, labels, static=s) for s in (False, True))
                found, wanted = (at.where[at.real].tolist() for at in (static, filled))
                assert found == wanted


@PLAIN_AND_FACTORED
def test_loss_is_the_cross_entropy_of_the_next_move(games: GameBatch, model: NextMoveLSTM) -> None:
    logits, _ = model(games.moves, games.winner, games.phases, games.side)
    pairs = _pairs(games)
    want = [F.cross_entropy(logits[b, t], games.moves[b, t + 1]).item() for b, t in pairs]
    found = policy_loss(model, games, positions(games))
    assert found.count == len(pairs)
    assert found.loss.item() == pytest.approx(sum(want), rel=1e-5)


def test_weights_multiply_the_labels_they_belong_to(games: GameBatch, model: NextMoveLSTM) -> None:
    logits, _ = model(games.moves, games.winner, games.phases, games.side)
    phase_weights = torch.tensor([1.0, 0.5, 1.0, 2.0])
    want = 0.0
    for b, t in _pairs(games):
        weight = phase_weights[games.phases[b, t]] * (1.2 if games.winner[b] < 2 else 1.0)
        want += weight * F.cross_entropy(logits[b, t], games.moves[b, t + 1])
    found = policy_loss(
        model, games, positions(games), phase_weights=phase_weights, winner_weight=1.2
    )
    torch.testing.assert_close(found.loss, want, rtol=1e-5, atol=1e-5)


def test_hidden_winners_are_the_unknown_winner(games: GameBatch, model: NextMoveLSTM) -> None:
    hide = torch.tensor([True, False, True, False, False])
    unknown = GameBatch(
        games.moves, games.phases, games.winner.masked_fill(hide, UNKNOWN), games.lengths
    )
    at = positions(games, "winner")
    hidden, want = policy_loss(model, games, at, hide_winner=hide), policy_loss(model, unknown, at)
    assert hidden.loss == want.loss
    assert hidden.best.tolist() == want.best.tolist()
    assert hidden.loss != policy_loss(model, games, at).loss


def test_the_unknown_winner_learns_from_hidden_games(games: GameBatch, model: NextMoveLSTM) -> None:
    hide = torch.tensor([True, False, False, False, False])
    policy_loss(model, games, positions(games, "winner"), hide_winner=hide).loss.backward()
    gradient = model.winner.weight.grad
    assert gradient is not None
    assert gradient.abs().sum(-1).ne(0).tolist() == [False, True, False, True]


@PLAIN_AND_FACTORED
def test_hits_are_counted_among_the_likeliest(games: GameBatch, model: NextMoveLSTM) -> None:
    at = positions(games)
    label = games.moves.roll(-1, 1).flatten()[at.where]
    with torch.no_grad():
        model.head.weight.zero_()  # the same logits everywhere: its bias
        model.head.bias.zero_()
        ranked = torch.tensor([6, 5, 4, 3, 2, 1]).float()
        model.head.bias[label.unique()[:6]] = ranked
    likeliest = label.unique()[:6].tolist()
    found = policy_loss(model, games, at)
    assert found.top1 == label.eq(likeliest[0]).sum() > 0
    assert found.top5 == sum(label.eq(move).sum() for move in likeliest[:5]) < len(label)
    assert found.best.eq(likeliest[0]).all()


def test_the_loss_does_not_depend_on_whether_hits_are_counted(
    games: GameBatch, model: NextMoveLSTM
) -> None:
    at = positions(games)
    counted, found = policy_loss(model, games, at), policy_loss(model, games, at, hits=False)
    assert (found.loss, found.count) == (counted.loss, counted.count)
    assert (found.top1, found.top5, len(found.best)) == (0, 0, 0)


@PLAIN_AND_FACTORED
def test_the_best_moves_are_those_of_the_whole_games(games: GameBatch, model: NextMoveLSTM) -> None:
    at = positions(games)
    with torch.no_grad():
        logits, _ = model(games.moves, games.winner, games.phases, games.side)
    want = logits.argmax(-1).flatten()[at.where]
    assert policy_loss(model, games, at).best.tolist() == want.tolist()


@PLAIN_AND_FACTORED
def test_pieces_of_the_loss_add_up(model: NextMoveLSTM) -> None:
    batch, length = 30, 40  # more labels than one piece of 512 holds
    games = GameBatch(
        moves=torch.randint(2, SIZE, (batch, length)),
        phases=torch.zeros(batch, length, dtype=torch.int64),
        winner=torch.zeros(batch, dtype=torch.int64),
        lengths=torch.full((batch,), length),
    )
    logits, _ = model(games.moves, games.winner, games.phases, games.side)
    want = F.cross_entropy(logits[:, 7:-1].flatten(0, 1), games.moves[:, 8:].flatten())
    found = policy_loss(model, games, positions(games))
    assert found.count == batch * (length - 8) > 512
    torch.testing.assert_close(found.loss / found.count, want)


def test_no_label_is_no_loss_and_no_gradient(games: GameBatch, headed: NextMoveLSTM) -> None:
    drawn = GameBatch(games.moves, games.phases, torch.full((5,), DRAW), games.lengths)
    found = policy_loss(headed, drawn, positions(drawn, "winner"), board_weight=2.0)
    found.loss.backward()
    assert (found.loss, found.count, found.top5, found.squares) == (0, 0, 0, 0)
    assert all(p.grad is not None and p.grad.eq(0).all() for p in headed.parameters())


@pytest.mark.parametrize("static", [False, True])
def test_the_board_before_each_label_is_learned_with_its_weight(
    games: GameBatch, model: NextMoveLSTM, headed: NextMoveLSTM, static: bool
) -> None:
    features, _ = headed.features(games.moves, games.winner, games.phases, games.side)
    after = boards(games.moves).long()
    want = sum(
        F.cross_entropy(headed.board_logits(features[b, t : t + 1])[0].T, after[b, t])
        for b, t in _pairs(games, "winner")
    )
    at = positions(games, "winner", static=static)
    moves_alone = policy_loss(model, games, at).loss
    found = policy_loss(headed, games, at, board_weight=0.5, winner_weight=1.0)
    torch.testing.assert_close(found.loss, moves_alone + 0.5 * want)
    torch.testing.assert_close(policy_loss(headed, games, at).loss, moves_alone)


def test_learning_the_board_teaches_the_lstm(games: GameBatch, headed: NextMoveLSTM) -> None:
    with torch.no_grad():
        headed.head.weight.zero_()  # no gradient comes from the moves
    policy_loss(headed, games, positions(games), board_weight=1.0).loss.backward()
    gradients = (headed.lstm.weight_hh_l0.grad, headed.board.weight.grad)  # type: ignore[union-attr]
    assert all(gradient is not None and gradient.any() for gradient in gradients)


@pytest.mark.parametrize("static", [False, True])
def test_right_squares_and_whole_boards_are_counted(headed: NextMoveLSTM, static: bool) -> None:
    """A head that always tells the board after 1. e4: right once, and then off by what moved."""
    opening = [encode(move) for move in ("e2e4", "e7e5", "g1f3")]
    games = GameBatch(
        moves=torch.tensor([[*opening, 5, PAD]]),
        phases=torch.zeros(1, 5, dtype=torch.int64),
        winner=torch.tensor([DRAW]),
        lengths=torch.tensor([4]),
    )
    assert headed.board is not None
    with torch.no_grad():
        headed.board.weight.zero_()
        first = F.one_hot(boards(games.moves)[0, 0].long(), 13).T.flatten()
        headed.board.bias.copy_(first.float())
    at = positions(games, min_context=1, static=static)
    found = policy_loss(headed, games, at)
    assert found.count == 3
    assert found.boards == 1
    assert found.squares == 1 + 62 / 64 + 60 / 64


def test_a_model_without_a_board_head_tells_no_board(games: GameBatch, model: NextMoveLSTM) -> None:
    found = policy_loss(model, games, positions(games))
    assert (found.squares, found.boards) == (0, 0)


@PLAIN_AND_FACTORED
def test_play_in_lock_step_is_the_whole_game_at_once(model: NextMoveLSTM) -> None:
    torch.manual_seed(5)
    moves, phases = torch.randint(2, SIZE, (3, 14)), torch.randint(0, 4, (3, 14))
    unknown = torch.full((3,), UNKNOWN)
    openings = [8, 10, 9]
    whole = [
        model(moves[b : b + 1], unknown[:1], phases[b : b + 1], _side(14))[0][0] for b in range(3)
    ]
    state = PolicyState(model)
    contexts = [moves[b, :n].tolist() for b, n in enumerate(openings)]
    logits = state.start(contexts, [int(phases[b, n - 1]) for b, n in enumerate(openings)])
    playing = [0, 1, 2]
    for ply in range(5):
        for row, b in enumerate(playing):
            torch.testing.assert_close(logits[row], whole[b][openings[b] - 1 + ply])
        if ply == 2:
            playing = [2, 0]
            state.keep(playing)
        if ply < 4:
            at = [(b, openings[b] + ply) for b in playing]
            logits = state.step([int(moves[i]) for i in at], [int(phases[i]) for i in at])
    assert len(logits) == 2


def test_play_for_a_side(model: NextMoveLSTM) -> None:
    context = list(range(2, 10))
    white = PolicyState(model).start([context], [1], winner=WHITE)
    want, _ = model(
        torch.tensor([context]), torch.tensor([WHITE]), torch.ones(1, 8).long(), _side(8)
    )
    torch.testing.assert_close(white, want[:, -1])


def _pairs(games: GameBatch, *args: Any, **options: Any) -> list[tuple[int, int]]:
    """(game, position) of every label."""
    where, real = positions(games, *args, **options)
    where = where[real]
    return [divmod(i, games.moves.shape[1]) for i in where.tolist()]


def _figures(model: NextMoveLSTM, games: GameBatch, at: Any) -> tuple[Tensor, ...]:
    found = policy_loss(model, games, at)
    return found.loss, found.count, found.top1, found.top5, found.squares, found.boards


def _side(length: int) -> Tensor:
    return (torch.arange(1, length + 1) % 2)[None]
