"""Which pairing plays how long, with tests that decide as a script says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evaluator.config import ArenaConfig
from evaluator.rounds import Pair, Rounds, after, notes_on_stops
from wm.artifacts.result import Pairing, Sprt

AB, AC, BC = ("a", "b"), ("a", "c"), ("b", "c")


def arena(**settings: object) -> ArenaConfig:
    players = [{"name": name, "model": f"models/chess/{name}"} for name in "abc"]
    return ArenaConfig.model_validate({"game": "chess", "players": players, **settings})


def verdict(decision: str, llr: float = 0.0) -> Sprt:
    return Sprt(
        elo0=0,
        elo1=10,
        model="normalized",
        llr=llr,
        lower=-2.94,
        upper=2.94,
        decision=decision,
    )


def walk(rounds: Rounds, decided: Callable[[Pair, int], str]) -> list[tuple[list[Pair], int, int]]:
    """Play to the end; what was played in each round."""
    seen = []
    while not rounds.over:
        seen.append((rounds.playing, rounds.start, rounds.stop))
        stop = rounds.stop
        rounds.finish(lambda pair, stop=stop: verdict(decided(pair, stop)))
    return seen


def test_a_fixed_arena_is_one_round_of_everything() -> None:
    rounds = Rounds(arena(), 40, "pairs")
    assert rounds.left == 3 * 40
    assert walk(rounds, lambda pair, n: "accept_h1") == [([AB, AC, BC], 0, 40)]
    assert (rounds.stopped, rounds.left) == (set(), 0)
    assert set(rounds.played.values()) == {40}


def test_an_undecided_arena_plays_all_units_and_the_last_round_is_what_is_left() -> None:
    rounds = Rounds(arena(sequential=True, round=15), 40, "pairs")
    walked = walk(rounds, lambda pair, n: "continue")
    assert [(start, stop) for _, start, stop in walked] == [(0, 15), (15, 30), (30, 40)]
    assert (rounds.stopped, set(rounds.played.values())) == (set(), {40})


@pytest.mark.parametrize("accepted", ["accept_h0", "accept_h1"])
def test_a_decided_pairing_stops_and_the_others_play_on(accepted: str) -> None:
    rounds = Rounds(arena(sequential=True, round=10, least=20), 100, "pairs")
    walked = walk(rounds, lambda p, n: accepted if p == AB or (p == AC and n >= 40) else "continue")
    assert rounds.played == {AB: 20, AC: 40, BC: 100}
    assert rounds.stopped == {AB, AC}
    assert [len(playing) for playing, _, _ in walked] == [3, 3, 2, 2, *[1] * 6]


def test_nobody_is_asked_before_the_least_number_of_units() -> None:
    asked = []

    def test(pair: Pair) -> Sprt:
        asked.append(pair)
        return verdict("accept_h1")

    rounds = Rounds(arena(sequential=True, round=10, least=25), 100, "pairs")
    while not rounds.over:
        rounds.finish(test)
    assert set(rounds.played.values()) == {30}
    assert asked == [AB, AC, BC]


def test_where_there_are_fewer_units_than_the_least_all_of_them_are_played() -> None:
    rounds = Rounds(arena(sequential=True, round=10, least=100), 30, "pairs")
    walk(rounds, lambda pair, n: "accept_h1")
    assert (rounds.stopped, set(rounds.played.values())) == (set(), {30})


def test_only_pairings_of_named_players_are_waited_for() -> None:
    rounds = Rounds(arena(sequential=True, round=10, least=10, decide=["c"]), 100, "pairs")
    walked = walk(rounds, lambda p, n: "accept_h0" if p == AB or n >= (20, 50)[p == BC] else "")
    # AB is decided from the first round on, and plays until AC and BC are.
    assert rounds.played == {AB: 50, AC: 20, BC: 50}
    assert rounds.stopped == {AC, BC}
    assert [playing for playing, _, _ in walked] == [[AB, AC, BC]] * 2 + [[AB, BC]] * 3


def test_progress_of_a_round_is_that_of_the_arena() -> None:
    seen = []
    after(lambda done, total: seen.append((done, total)), 30, 90)(5, 10)
    assert seen == [(35, 90)]


def test_stopped_and_undecided_pairings_are_told() -> None:
    def duel(pair: Pair, units: int, decision: str, llr: float, *, stopped: bool) -> Pairing:
        return Pairing(
            a=pair[0],
            b=pair[1],
            units=units,
            wins=units,
            draws=0,
            losses=0,
            score=1,
            sprt=verdict(decision, llr),
            stopped=stopped,
        )

    pairings = [
        duel(AB, 125, "accept_h1", 3.1, stopped=True),
        duel(AC, 400, "continue", 1.234, stopped=False),
        duel(BC, 400, "accept_h0", -3.0, stopped=False),
    ]
    notes = notes_on_stops(arena(sequential=True), pairings, 400, "pairs")
    assert notes == [
        "a v b: stopped after 125 of 400 pairs, its SPRT accepts H1 (H0 0, H1 10 normalized Elo)",
        "a v c: undecided after all 400 pairs, the LLR 1.23 of its SPRT is between -2.94 and 2.94 "
        "(H0 0, H1 10 normalized Elo)",
        "differences in a pairing that its SPRT stopped lean to the side on which it stopped; "
        "trust the decision more than the size",
    ]
    # Nobody waited for a v c, so that it is open says nothing.
    waited = arena(sequential=True, decide=["b"])
    assert not any("undecided" in note for note in notes_on_stops(waited, pairings, 400, "pairs"))
    assert notes_on_stops(arena(), pairings, 400, "pairs") == []
