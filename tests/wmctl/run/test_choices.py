"""Choices: by figures of what has run, and by what fits before anything has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, Script, actions, estimate, small_run, started, terms
from wmctl.plan.rules import Choice, keep_count
from wmctl.run.fold import read_state
from wmctl.run.rules import Choose, rank
from wmctl.run.spec import RunSpec

TRAIN = {"train": "lstm", "data": "enc", "threads": 1, "steps": 10}
VARIANTS = {name: {"lr": lr} for name, lr in zip("abcd", (0.1, 0.2, 0.3, 0.4), strict=True)}


def picking(**choice: Any) -> RunSpec:
    """Variants a to d of one training; the arena is among those that are chosen."""
    stages = {
        "enc": PLAN["stages"]["enc"],
        "t": TRAIN | {"variants": VARIANTS},
        "arena": {"arena": "chess", "players": ["chosen(pick)", "greedy", "random"]},
    }
    choices = {"pick": {"among": ["t"]} | choice}
    return small_run(stages=stages, choices=choices, verdicts={})


def trained(values: dict[str, float | None], *, took: dict[str, float] | None = None) -> Script:
    """Each variant with its top1 (None: it has failed), after one second or what it took."""
    script = Script().add("submitted", detail=terms(prices={"cpu": 3600.0})).walk("enc")
    for name, value in values.items():
        script.add("started", stage=f"t-{name}", attempt=1)
        end = script.now + (took or {}).get(name, 1)
        result = {"model": f"models/chess/{name}", "step": 10, "metrics": {"top1": value, "n": 1}}
        code = 70 if value is None else 0
        script.at(end, "ended", stage=f"t-{name}", attempt=1, code=code, detail=result)
    return script


def chosen(spec: RunSpec, script: Script) -> Choose:
    [made] = script.decide(spec)
    assert isinstance(made, Choose)
    assert made.name == "pick"
    return made


TOP1 = {"metric": "top1"}
FIGURES: dict[str, float | None] = {"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.38}


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        ({"by": [TOP1]}, ["b"]),
        ({"by": [TOP1 | {"least": True}]}, ["a"]),
        ({"by": [TOP1], "keep": 2}, ["b", "d"]),
        ({"by": [TOP1], "keep": 0.5}, ["b", "d"]),
        ({"by": [TOP1], "keep": 0.6}, ["b", "d", "c"]),
        ({"by": [TOP1], "keep": 9}, ["b", "d", "c", "a"]),
        ({"by": [TOP1 | {"tie": 0.03}]}, ["b"]),  # of equals the plan's first
        ({"by": [TOP1 | {"tie": 0.03}, TOP1 | {"least": True}]}, ["d"]),
        ({"by": [TOP1 | {"tie": 0.03}, TOP1 | {"least": True}], "keep": 3}, ["d", "b", "c"]),
        ({"by": [{"metric": "nothing"}]}, ["a"]),
        ({"by": [{"metric": "nothing"}, TOP1]}, ["b"]),
        ({"by": [TOP1], "among": ["t/c", "t/a"]}, ["c"]),
    ],
)
def test_the_best_by_the_plans_measures(choice: dict[str, Any], taken: list[str]) -> None:
    made = chosen(picking(**choice), trained(FIGURES))
    assert made.detail["chosen"] == [f"t-{name}" for name in taken]
    among = [name.removeprefix("t/") for name in choice.get("among", "abcd")]
    assert made.detail["left_out"] == [f"t-{name}" for name in among if name not in taken]


def test_the_sentence_shows_what_they_were_ranked_by() -> None:
    spec = picking(by=[TOP1, {"metric": "n", "per": "usd"}, {"metric": "n", "per": "hour"}])
    made = chosen(spec, trained({"a": 0.1, "b": 0.45678, "c": None, "d": 0.2}))
    assert made.text == (
        "t/b taken: t/b top1 0.4568, n per USD 1, n per hour 3600; "
        "t/d top1 0.2, n per USD 1, n per hour 3600; t/a top1 0.1, n per USD 1, n per hour 3600"
    )
    assert made.detail["values"]["t-b"] == [0.45678, 1.0, 3600.0]


@pytest.mark.parametrize(("per", "taken"), [(None, "b"), ("usd", "d"), ("hour", "d")])
def test_skill_for_the_money_or_the_time(per: str | None, taken: str) -> None:
    script = trained(FIGURES, took={"a": 1, "b": 4, "c": 4, "d": 1})
    made = chosen(picking(by=[TOP1 | {"per": per}]), script)
    assert made.detail["chosen"] == [f"t-{taken}"]


def test_a_choice_waits_until_all_are_over_and_what_failed_is_not_taken() -> None:
    spec = picking(by=[TOP1], keep=0.5)
    script = trained({"a": 0.1, "b": None, "c": 0.2})
    assert started(actions(spec, script)) == [("t-d", 1)]
    script = trained({"a": 0.1, "b": None, "c": 0.2, "d": None})
    made = chosen(spec, script)
    assert made.detail["chosen"] == ["t-c"], "half of the two that ended well"
    [arena] = actions(spec, script)
    assert [p["name"] for p in arena.config["players"]] == ["t/c", "greedy", "random"]


def test_where_nobody_is_left_nobody_is_taken_and_nothing_is_compared() -> None:
    spec, script = picking(by=[TOP1]), trained(dict.fromkeys("abcd"))
    made = chosen(spec, script)
    assert made.detail["chosen"] == []
    assert made.text == "none taken: none of them has ended well"
    arena = read_state(spec, script.events).nodes["arena"]
    assert (arena.phase, arena.why) == (
        "skipped",
        "there is nobody to compare: choice pick took nobody",
    )


def test_what_has_no_value_comes_last() -> None:
    choice = Choice.model_validate({"among": ["t"], "by": [TOP1]})
    values: dict[str, list[float | None]] = {"a": [None], "b": [-5.0], "c": [None], "d": [-4.0]}
    assert rank(choice, values) == ["d", "b", "a", "c"]
    assert rank(choice, {}) == []


@pytest.mark.parametrize(
    ("keep", "of", "count"),
    [(1, 4, 1), (3, 2, 2), (0.5, 4, 2), (0.5, 5, 3), (0.1, 4, 1), (0.34, 3, 2), (0.9, 1, 1)],
)
def test_how_many_are_kept(keep: float, of: int, count: int) -> None:
    assert keep_count(keep, of) == count


def betting(*, budget: float | None = None, deadline: str | None = None) -> RunSpec:
    """Bets of 10, 20 and 40 steps, and a duel of what was taken."""
    bets = {name: {"steps": steps} for name, steps in (("safe", 10), ("mid", 20), ("bold", 40))}
    stages = {
        "enc": PLAN["stages"]["enc"],
        "bet": TRAIN | {"variants": bets, "shorten_to": 0.5},
        "arena": {"arena": "chess", "players": ["chosen(bet)", "random"]},
    }
    choices = {"bet": {"among": ["bet/safe", "bet/mid", "bet/bold"], "fits": True}}
    limits = {"budget": budget, "deadline": deadline}
    return small_run(stages=stages, choices=choices, verdicts={}, **limits)


def at_hand(deadline: float | None = None, doubt: float = 0.1) -> Script:
    """A second is a dollar and a step, and the arena takes five."""
    known = {f"bet-{name}": estimate(1, doubt=doubt) for name in ("safe", "mid", "bold")}
    known["arena"] = estimate(1, 5.0, doubt=doubt)
    made = terms(deadline=deadline, prices={"cpu": 3600.0}, estimates=known, cpus=4)
    return Script().add("submitted", detail=made).walk("enc")


def bet(spec: RunSpec, script: Script) -> Choose:
    [made] = script.decide(spec)
    assert isinstance(made, Choose)
    return made


@pytest.mark.parametrize(
    ("budget", "taken"),
    # $1 for the encoding, $5 for the arena, and 90 % confidence needs some reserve
    [(100, "bold"), (54, "bold"), (47, "mid"), (45, "mid"), (30, "mid"), (25, "safe")],
)
def test_the_boldest_that_fits_the_budget(budget: float, taken: str) -> None:
    spec, script = betting(budget=budget), at_hand()
    made = bet(spec, script)
    assert made.detail["chosen"] == [f"bet-{taken}"]
    assert set(made.detail["left_out"]) == {"bet-safe", "bet-mid", "bet-bold"} - {f"bet-{taken}"}
    assert started(actions(spec, script)) == [(f"bet-{taken}", 1)]


@pytest.mark.parametrize(("seconds", "taken"), [(60, "bold"), (40, "mid"), (20, "safe")])
def test_the_boldest_that_fits_the_deadline(seconds: float, taken: str) -> None:
    made = bet(betting(), at_hand(deadline=3 + seconds))
    assert made.detail["chosen"] == [f"bet-{taken}"]


def test_doubt_makes_cautious() -> None:
    assert bet(betting(budget=54), at_hand(doubt=0.1)).detail["chosen"] == ["bet-bold"]
    assert bet(betting(budget=54), at_hand(doubt=0.7)).detail["chosen"] == ["bet-mid"]


def test_without_limits_the_boldest_is_taken() -> None:
    assert bet(betting(), at_hand()).detail["chosen"] == ["bet-bold"]


def test_why_the_others_do_not_fit_is_said() -> None:
    # bold: $1 + 45 * exp(1.2816 * sqrt(ln(1 + (4^2 + 0.5^2) / 45^2))) at 90 %
    made = bet(betting(budget=30), at_hand())
    assert made.text == (
        "bet/mid is taken: bet/bold: the run would cost $51.46 of $30; "
        "bet/mid: fits, $26.00, risk 4 %; bet/safe: fits, $16.00, risk 0 %"
    )
    rows = {row["label"]: row for row in made.detail["bets"]}
    assert list(rows) == ["bet/safe", "bet/mid", "bet/bold"]
    assert [rows[f"bet/{n}"]["usd"] for n in ("safe", "mid", "bold")] == [16, 26, 46]
    assert rows["bet/mid"]["finish"] == 3 + 25
    assert rows["bet/bold"]["misses"] == "the run would cost $51.46 of $30"
    assert rows["bet/mid"]["misses"] == ""


def test_where_none_fits_the_most_cautious_is_taken_and_will_be_shortened() -> None:
    spec, script = betting(budget=14), at_hand()
    made = bet(spec, script)
    assert made.detail["chosen"] == ["bet-safe"]
    assert made.text.startswith("bet/safe is taken and will be shortened: bet/bold: the run would")
    assert "bet/safe: the run would cost $" in made.text


def test_a_bet_is_placed_when_its_turn_has_come_and_not_before() -> None:
    spec = betting(budget=100)
    script = Script().add("submitted", detail=at_hand().events[0].detail)
    assert started(actions(spec, script)) == [("enc", 1)]
    script.add("started", stage="enc", attempt=1)
    assert actions(spec, script) == []
