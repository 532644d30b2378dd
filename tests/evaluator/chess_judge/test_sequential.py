"""Sequential chess arenas between scripted policies: they stop, and count as fixed ones do."""

from __future__ import annotations

import pytest

from evaluator.chess_judge.judge import judge
from evaluator.config import ArenaConfig
from tests.support.policies import ScriptedPolicy, capturing, noise
from wm.artifacts.result import ArenaResult, Pairing
from wm.errors import Preempted

RULES = {"capturing": capturing, "noise": noise}
COARSE = {"elo0": 0, "elo1": 250}
"""A question that few pairs answer."""


def arena(*names: str, **settings: object) -> ArenaConfig:
    players = [{"name": n, "model": f"models/x/{n}"} for n in names]
    return ArenaConfig.model_validate(
        {
            "game": "chess",
            "players": players,
            "pairs": 24,
            "max_plies": 40,
            "adjudicate": "material",
            "sprt": COARSE,
            "round": 3,
            "least": 6,
            "bootstrap": 100,
            "temperature": 0.7,
            **settings,
        }
    )


def play(config: ArenaConfig, tick=lambda done, total: None) -> tuple[ArenaResult, str]:
    policies = {p.name: ScriptedPolicy(RULES[p.name.split("-")[0]]) for p in config.players}
    return judge(config, policies, tick)


def unstopped(pairing: Pairing) -> Pairing:
    return pairing.model_copy(update={"stopped": False})


def test_the_much_stronger_player_is_found_at_the_least_number_of_pairs() -> None:
    result, text = play(arena("capturing", "noise", sequential=True))
    [pairing] = result.pairings
    assert (pairing.units, pairing.stopped) == (6, True)
    assert pairing.sprt is not None
    assert pairing.sprt.decision == "accept_h1"
    assert text.count("[Event ") == 12
    assert any("stopped after 6 of 24 pairs, its SPRT accepts H1" in n for n in result.notes)
    assert any(note.startswith("6 pairs a pairing: below 100") for note in result.notes)

    fixed, games = play(arena("capturing", "noise", pairs=6))
    assert fixed.pairings == [unstopped(pairing)]
    assert games == text
    assert fixed.players == result.players
    assert fixed.settings["openings_sha256"] == result.settings["openings_sha256"]


def test_the_weaker_player_is_found_as_well() -> None:
    result, _ = play(arena("noise", "capturing", sequential=True))
    [pairing] = result.pairings
    assert pairing.sprt is not None
    assert (pairing.sprt.decision, pairing.stopped) == ("accept_h0", True)


def test_every_pairing_counts_what_a_fixed_arena_of_its_size_counts() -> None:
    names = ("noise-1", "noise-2", "capturing")
    result, _ = play(arena(*names, sequential=True, pairs=20, round=4, sprt={"elo1": 150}))
    assert len({pairing.units for pairing in result.pairings}) > 1
    for units in {pairing.units for pairing in result.pairings}:
        fixed, _ = play(arena(*names, pairs=units, sprt={"elo1": 150}))
        for pairing in result.pairings:
            if pairing.units == units:
                assert fixed.pairing(pairing.a, pairing.b) == unstopped(pairing)


def test_equal_players_are_not_told_apart() -> None:
    result, _ = play(arena("noise-1", "noise-2", sequential=True))
    [pairing] = result.pairings
    assert pairing.sprt is not None
    assert pairing.sprt.decision in ("accept_h0", "continue")
    undecided, _ = play(arena("noise-1", "noise-2", sequential=True, pairs=8, sprt={}))
    [pairing] = undecided.pairings
    assert pairing.sprt is not None
    assert (pairing.units, pairing.stopped, pairing.sprt.decision) == (8, False, "continue")
    assert any("noise-1 v noise-2: undecided after all 8 pairs" in n for n in undecided.notes)


def test_copies_are_never_decided() -> None:
    config = arena("capturing-1", "capturing-2", sequential=True, temperature=0, pairs=8, least=2)
    [pairing] = play(config)[0].pairings
    assert (pairing.units, pairing.sprt, pairing.stopped) == (8, None, False)


def test_pairings_that_nobody_waits_for_play_as_long_as_the_others() -> None:
    names = ("capturing-1", "capturing-2", "noise")
    config = arena(*names, sequential=True, decide=["noise"], round=2, least=4, pairs=12)
    result, _ = play(config)
    waited = [result.pairing(name, "noise") for name in names[:2]]
    assert all(pairing and pairing.stopped for pairing in waited)
    other = result.pairing("capturing-1", "capturing-2")
    assert other is not None
    assert not other.stopped
    assert other.units == max(pairing.units for pairing in waited if pairing) < 12


def test_equal_settings_give_equal_bytes() -> None:
    config = arena("capturing", "noise", "noise-2", sequential=True, pairs=9)
    first, again = play(config), play(config)
    assert first[0].model_dump_json() == again[0].model_dump_json()
    assert first[1] == again[1]


def test_progress_goes_on_from_round_to_round_and_ends_whole() -> None:
    seen: list[tuple[int, int]] = []
    play(
        arena("capturing", "noise", sequential=True),
        lambda done, total: seen.append((done, total)),
    )
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert seen[0][1] == 48
    assert seen[-1] == (12, 12)


def test_stopping_is_heard_in_a_later_round() -> None:
    def stop(done: int, total: int) -> None:
        if done > 6:
            raise Preempted("stopped")

    with pytest.raises(Preempted):
        play(arena("capturing", "noise", sequential=True), stop)
