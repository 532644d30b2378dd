"""Successive halving from the plan to the last survivor, by a scripted history."""

from __future__ import annotations

from typing import Any

from tests.support.runs import PLAN, Script, run_of, started
from wmctl.plan.expand import write_out
from wmctl.plan.graph import resolve
from wmctl.plan.model import Plan
from wmctl.run.fold import read_state
from wmctl.run.pressure import alternatives
from wmctl.run.rules import Choose
from wmctl.run.spec import RunSpec

STAGES: dict[str, Any] = {
    "enc": PLAN["stages"]["enc"],
    "t": {
        "train": "lstm",
        "data": "enc",
        "threads": 1,
        "steps": 100,
        "variants": {name: {"lr": lr} for name, lr in zip("abcd", (1, 2, 3, 4), strict=True)},
        "halve": {"rungs": [0.25, 0.5], "by": [{"metric": "top1"}], "keep": 0.5},
    },
    "arena": {"arena": "chess", "players": ["t-3/*", "random"]},
}
TOP1 = {"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.2}
"""At the first rung; at the second the order is another."""
LATER = {"b": 0.5, "c": 0.6}


def halving() -> RunSpec:
    plan = write_out(Plan.model_validate(PLAN | {"stages": STAGES, "verdicts": {}}))
    nodes = resolve(plan, lambda game, name: None)
    return RunSpec(run="r", plan=plan, nodes=nodes, created=0.0, version="0")


def ended(script: Script, names: list[str], top1: dict[str, float]) -> None:
    """Trainings end well, with the figure of their variant."""
    for name in names:
        variant = name[-1]
        script.end(name, model=f"models/chess/{name}", step=1, metrics={"top1": top1[variant]})


def test_only_the_better_ones_go_on_from_rung_to_rung() -> None:
    spec, script = halving(), Script().add("submitted").walk("enc")
    rung = started(script.decide(spec))
    assert rung == [(f"t-{v}", 1) for v in "abcd"]
    ended(script, ["t-a", "t-b", "t-c"], TOP1)
    assert script.decide(spec) == [], "nobody goes on before the last has ended"
    ended(script, ["t-d"], TOP1)
    [first] = script.decide(spec)
    assert isinstance(first, Choose)
    assert (first.name, first.detail["chosen"]) == ("t", ["t-b", "t-c"])
    made = script.decide(spec)
    assert started(made) == [("t-2-b", 1), ("t-2-c", 1)]
    configs = [action.config for action in made]  # type: ignore[union-attr]
    assert [c["continues"] for c in configs] == ["t-b", "t-c"]
    assert [(c["steps"], c["schedule_steps"]) for c in configs] == [(50, 100)] * 2
    ended(script, ["t-2-b", "t-2-c"], LATER)
    [second] = script.decide(spec)
    assert isinstance(second, Choose)
    assert (second.name, second.detail["chosen"]) == ("t-2", ["t-2-c"])
    [last] = script.decide(spec)
    assert started([last]) == [("t-3-c", 1)]
    assert (last.config["steps"], last.config["lr"]) == (100, 3)  # type: ignore[union-attr]
    ended(script, ["t-3-c"], LATER)
    [arena] = script.decide(spec)
    assert [p["name"] for p in arena.config["players"]] == ["t-3/c", "random"]  # type: ignore[union-attr]
    phases = {n: own.phase for n, own in read_state(spec, script.events).nodes.items()}
    skipped = {name for name, phase in phases.items() if phase == "skipped"}
    assert skipped == {"t-2-a", "t-2-d", "t-3-a", "t-3-b", "t-3-d"}


def test_why_a_variant_went_no_further() -> None:
    spec, script = halving(), Script().add("submitted").walk("enc")
    script.decide(spec)
    ended(script, [f"t-{v}" for v in "abcd"], TOP1)
    script.decide(spec)
    nodes = read_state(spec, script.events).nodes
    assert nodes["t-2-a"].why == nodes["t-3-a"].why == "choice t took another"


def test_a_rung_that_nobody_survives_ends_the_run() -> None:
    spec, script = halving(), Script().add("submitted").walk("enc")
    script.decide(spec)
    for variant in "abcd":
        script.end(f"t-{variant}", 70)
    [choice] = script.decide(spec)
    assert isinstance(choice, Choose)
    assert choice.detail["chosen"] == []
    # The later choices are among those that were left out: they take nobody either.
    while not read_state(spec, script.events).finished:
        assert script.decide(spec)
    nodes = read_state(spec, script.events).nodes
    assert {nodes[n].phase for n in nodes if n.startswith(("t-2", "t-3", "arena"))} <= {
        "skipped",
        "blocked",
    }


def test_forecasts_expect_as_many_as_may_survive() -> None:
    spec, script = halving(), Script().add("submitted")
    out = alternatives(spec, read_state(spec, script.events))
    assert len([n for n in out if n.startswith("t-2-")]) == 2, "half of four go on"
    assert not any(n in out for n in ("t-a", "t-b", "t-c", "t-d", "arena"))


def test_the_same_halving_written_by_hand() -> None:
    """``halve`` is short for shares, continues, survivors and choices."""
    part = {k: v for k, v in STAGES["t"].items() if k != "halve"}
    by_hand = {
        "enc": STAGES["enc"],
        "t": part | {"share": 0.25},
        "t-2": part | {"share": 0.5, "continues": "t", "survivors": "t"},
        "t-3": part | {"share": 1.0, "continues": "t-2", "survivors": "t-2"},
        "arena": STAGES["arena"],
    }
    by = {"by": [{"metric": "top1"}], "keep": 0.5}
    choices = {name: {"among": [name]} | by for name in ("t", "t-2")}
    spec = run_of(PLAN | {"stages": by_hand, "choices": choices, "verdicts": {}})
    assert spec.nodes == halving().nodes
    assert spec.plan.choices == halving().plan.choices
