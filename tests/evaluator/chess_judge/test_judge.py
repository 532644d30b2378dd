"""Whole chess arenas between scripted policies and anchors."""

from __future__ import annotations

import io
from pathlib import Path

import chess.pgn
import pytest

from evaluator.chess_judge.judge import judge, load_openings
from evaluator.config import ArenaConfig
from tests.support.policies import ScriptedPolicy, capturing, illegal, noise
from wm.artifacts.result import ArenaResult
from wm.errors import BadConfig, Preempted

RULES = {"capturing": capturing, "noise": noise, "illegal": illegal}


def arena(*names: str, **settings: object) -> ArenaConfig:
    players = [
        {"name": n, "anchor": n}
        if n in ("random", "greedy")
        else {"name": n, "model": f"models/x/{n}"}
        for n in names
    ]
    return ArenaConfig.model_validate(
        {"game": "chess", "players": players, "pairs": 4, "max_plies": 60, **settings}
    )


def play(config: ArenaConfig) -> tuple[ArenaResult, str]:
    policies = {
        p.name: ScriptedPolicy(RULES[p.name.split("-")[0]]) for p in config.players if p.model
    }
    return judge(config, policies, lambda done, total: None)


def row(result: ArenaResult, name: str):
    return next(player for player in result.players if player.name == name)


def test_the_stronger_of_two_models_is_found() -> None:
    result, _ = play(arena("capturing", "noise", pairs=25, adjudicate="material"))
    [pairing] = result.pairings
    assert pairing.elo is not None
    assert pairing.elo.low > 0
    assert pairing.los is not None
    assert pairing.los > 0.99
    assert pairing.units == 25
    assert sum(pairing.pentanomial or []) == 25
    assert pairing.wins + pairing.draws + pairing.losses == 50
    assert pairing.score == pytest.approx((pairing.wins + pairing.draws / 2) / 50)
    assert any("below 100 pairs" in note for note in result.notes)


def test_anchors_are_rated_and_the_random_mover_is_zero() -> None:
    result, _ = play(arena("greedy", "random", pairs=25, adjudicate="material"))
    assert row(result, "random").rating.value == 0
    assert row(result, "greedy").rating.low > 0
    assert set(row(result, "greedy").metrics) == {"draw_rate", "plies"}


def test_a_model_that_only_says_illegal_moves_plays_on() -> None:
    result, _ = play(arena("illegal", "noise"))
    metrics = row(result, "illegal").metrics
    assert metrics["raw_legal"].value == 0
    assert metrics["fallback_rate"].value == 1
    assert metrics["raw_legal"].n == metrics["fallback_rate"].n > 4 * 8
    assert metrics["mean_legal_mass"].value < 0.1
    [pairing] = result.pairings
    assert pairing.wins + pairing.draws + pairing.losses == 8


def test_legality_counts_only_a_players_own_turns() -> None:
    result, _ = play(arena("capturing", "noise", pairs=2))
    plies = result.players[0].metrics["plies"].value * 4 - 4 * 8
    assert sum(p.metrics["raw_legal"].n for p in result.players) == plies
    by_ply = [m for name, m in result.players[0].metrics.items() if name.startswith("raw_legal@")]
    assert sum(m.n for m in by_ply) == result.players[0].metrics["raw_legal"].n


def test_copies_carry_no_verdict() -> None:
    result, _ = play(arena("capturing-1", "capturing-2"))
    [pairing] = result.pairings
    assert pairing.distinct == 4
    assert (pairing.elo, pairing.nelo, pairing.los, pairing.sprt) == (None, None, None, None)
    assert any("no verdict possible" in note and "copies" in note for note in result.notes)


def test_equal_settings_give_equal_bytes() -> None:
    config = arena("capturing", "random", temperature=0.5)
    first, again = play(config), play(config)
    assert first[0].model_dump_json() == again[0].model_dump_json()
    assert first[1] == again[1]


def test_another_seed_gives_other_games() -> None:
    assert play(arena("noise", "random"))[1] != play(arena("noise", "random", seed=1))[1]


def test_a_game_does_not_depend_on_the_others() -> None:
    """Randomness is keyed by the turn, so fewer pairs are a prefix of more."""
    few, many = (play(arena("noise", "random", pairs=n, temperature=1.0))[1] for n in (2, 4))
    assert many.startswith(few)


def test_sampling_prefers_what_the_model_prefers() -> None:
    cold, _ = play(arena("capturing", "noise", pairs=12, adjudicate="material", temperature=0.1))
    assert cold.pairings[0].score > 0.6


def test_python_chess_reads_the_games() -> None:
    result, text = play(arena("capturing", "random", pairs=3))
    stream, games = io.StringIO(text), []
    while game := chess.pgn.read_game(stream):
        games.append(game)
    assert len(games) == 6
    assert [g.errors for g in games] == [[]] * 6
    for number, game in enumerate(games):
        assert game.headers["Round"] == str(number // 2 + 1)
        assert game.headers["White"] == ("random" if number % 2 else "capturing")
        assert game.headers["PlyCount"] == str(game.end().ply())
    first, second = (list(g.mainline_moves())[:8] for g in games[:2])
    assert first == second
    wins = sum(g.headers["Result"] == ("0-1" if i % 2 else "1-0") for i, g in enumerate(games))
    assert wins == result.pairings[0].wins


def test_a_capped_game_is_flagged() -> None:
    result, text = play(arena("noise", "random", max_plies=12))
    [pairing] = result.pairings
    assert pairing.capped == pairing.draws == 8
    assert text.count('[Termination "ply_cap"]') == 8
    assert any("reached 12 plies, counted as draws" in note for note in result.notes)


def test_stopping_is_heard() -> None:
    def stop(done: int, total: int) -> None:
        raise Preempted("stopped")

    with pytest.raises(Preempted):
        judge(arena("greedy", "random"), {}, stop)


def test_openings_of_a_file(tmp_path: Path) -> None:
    book = tmp_path / "book.pgn"
    line = "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 4. {} Nf6 *\n\n"
    book.write_text("".join(line.format(move) for move in ("Ba4", "Bxc6", "Ba4")))
    config = arena("greedy", "random", pairs=2, openings=str(book))
    openings = load_openings(config)
    assert [moves[6] for moves in openings] == ["b5a4", "b5c6"]
    with pytest.raises(BadConfig, match="2 different openings"):
        load_openings(config.model_copy(update={"pairs": 3}))
