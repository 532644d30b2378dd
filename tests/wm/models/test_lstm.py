"""The chess model: its sizes, and that every position is the prototype's packed prefix."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from wm.games.chess.vocabulary import PAD, SIZE
from wm.models.config import LSTMConfig
from wm.models.lstm import NextMoveLSTM

SMALL = LSTMConfig(embed=6, hidden=10, layers=2, dropout=0.2)


@pytest.fixture
def model() -> NextMoveLSTM:
    torch.manual_seed(1)
    return NextMoveLSTM(SMALL).double().eval()


@pytest.mark.parametrize(
    ("embed", "hidden", "layers", "parameters"),
    [
        (256, 512, 2, 5_232_610),
        (384, 768, 4, 20_030_178),
        (512, 1024, 4, 34_557_410),
        (640, 1280, 5, 66_134_242),
    ],
)
def test_parameters_of_the_known_shapes(
    embed: int, hidden: int, layers: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = NextMoveLSTM(LSTMConfig(embed=embed, hidden=hidden, layers=layers))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_every_position_is_the_last_of_a_packed_prefix(model: NextMoveLSTM) -> None:
    moves, winner, phase, side = _inputs(3, 9)
    logits, _ = model(moves, winner, phase, side)
    assert logits.shape == (3, 9, SIZE)
    for t in range(9):
        packed = pack_padded_sequence(
            model.embedding(moves), torch.full((3,), t + 1), batch_first=True
        )
        _, (hidden, _) = model.lstm(packed)
        joined = torch.cat(
            [hidden[-1], model.winner(winner), model.phase(phase[:, t]), model.side(side[:, t])], -1
        )
        torch.testing.assert_close(logits[:, t], model.head(joined), rtol=0, atol=1e-12)


def test_state_goes_on_where_it_was_cut(model: NextMoveLSTM) -> None:
    moves, winner, phase, side = _inputs(2, 9)
    whole, _ = model(moves, winner, phase, side)
    _, state = model(moves[:, :4], winner, phase[:, :4], side[:, :4])
    rest, _ = model(moves[:, 4:], winner, phase[:, 4:], side[:, 4:], state)
    torch.testing.assert_close(rest, whole[:, 4:], rtol=0, atol=1e-12)


def test_context_of_ragged_games_ignores_the_padding(model: NextMoveLSTM) -> None:
    moves, *_ = _inputs(2, 9)
    lengths = torch.tensor([4, 9])
    moves[0, 4:] = PAD
    assert model.embedding.weight[PAD].eq(0).all()
    hidden, state = model.context(moves, lengths)
    for row, length in enumerate(lengths):
        alone, (h, c) = model.lstm(model.embedding(moves[row : row + 1, :length]))
        torch.testing.assert_close(hidden[row], alone[0, -1], rtol=0, atol=1e-12)
        torch.testing.assert_close(state[0][:, row], h[:, 0], rtol=0, atol=1e-12)
        torch.testing.assert_close(state[1][:, row], c[:, 0], rtol=0, atol=1e-12)


def test_chosen_positions_have_the_same_features(model: NextMoveLSTM) -> None:
    inputs = _inputs(3, 5)
    everywhere, _ = model.features(*inputs)
    where = torch.tensor([14, 0, 7])
    some, _ = model.features(*inputs, where=where)
    torch.testing.assert_close(some, everywhere.flatten(0, 1)[where], rtol=0, atol=0)


def test_a_factored_model_is_the_plain_one_with_the_sums_as_its_tables(model: NextMoveLSTM) -> None:
    factored = NextMoveLSTM(SMALL.model_copy(update={"factored": True})).double().eval()
    assert factored.embedding_parts is not None
    assert factored.head_parts is not None
    weights = {name: weight.clone() for name, weight in factored.state_dict().items()}
    for table in ("embedding", "head"):
        weights[f"{table}.weight"] += getattr(factored, f"{table}_parts")()
        del weights[f"{table}_parts.vectors.weight"]
    model.load_state_dict(weights)
    inputs = _inputs(3, 9)
    torch.testing.assert_close(factored(*inputs)[0], model(*inputs)[0], rtol=0, atol=1e-12)
    lengths = torch.tensor([4, 9, 1])
    found, expected = (one.context(inputs[0], lengths)[0] for one in (factored, model))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_board_head_changes_no_other_weight(model: NextMoveLSTM) -> None:
    torch.manual_seed(1)
    headed = NextMoveLSTM(SMALL.model_copy(update={"board_head": True})).double()
    weights = headed.state_dict()
    assert weights.pop("board.weight").shape == (64 * 13, SMALL.hidden)
    assert weights.pop("board.bias").shape == (64 * 13,)
    plain = model.state_dict()
    assert weights.keys() == plain.keys()
    assert all(torch.equal(weights[name], plain[name]) for name in plain)


def test_the_board_is_told_from_the_lstm_alone() -> None:
    headed = NextMoveLSTM(SMALL.model_copy(update={"board_head": True, "dropout": 0.0}))
    moves, winner, phase, side = _inputs(2, 4)
    features, _ = headed.features(moves, winner, phase, side)
    told = headed.board_logits(features.flatten(0, 1))
    assert told.shape == (8, 13, 64)
    others, _ = headed.features(moves, 3 - winner, 3 - phase, 1 - side)
    torch.testing.assert_close(headed.board_logits(others.flatten(0, 1)), told)


def _inputs(batch: int, length: int) -> tuple[torch.Tensor, ...]:
    """Moves, winner, phase and side to move."""
    return (
        torch.randint(2, SIZE, (batch, length)),
        torch.randint(0, 4, (batch,)),
        torch.randint(0, 4, (batch, length)),
        (torch.arange(1, length + 1) % 2).expand(batch, length),
    )
