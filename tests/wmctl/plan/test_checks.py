from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import run_of
from wm.errors import BadConfig

TREE: dict[str, Any] = {
    "name": "p",
    "data": {"chess": {"game": "chess", "source": "made:8"}},
    "stages": {
        "enc": {"encode": "chess"},
        "train": {
            "train": "lstm",
            "data": "enc",
            "steps": 5,
            "vary": {"labels": ["winner", "loser"]},
        },
        "more": {"train": "lstm", "data": "enc", "steps": 5},
        "arena": {"arena": "chess", "players": ["train/*", "more", "random"]},
    },
}
TOP1 = {"metric": "top1", "at_least": 0.2}
ELO = {"metric": "elo", "of": "more", "against": "random", "above": 0}


def refusal(**changes: Any) -> BadConfig:
    with pytest.raises(BadConfig) as error:
        run_of(TREE | changes)
    assert "\n" not in error.value.message
    return error.value


def gate(**fields: Any) -> dict[str, Any]:
    return {"gates": [{"after": "train"} | fields]}


@pytest.mark.parametrize(
    "gates",
    [
        [{"after": "train"} | TOP1],
        [{"after": "train/winner"} | TOP1],
        [{"after": "train", "guards": ["arena"], "than": "more"} | TOP1],
        [{"after": "arena"} | ELO],
        [{"after": "arena", "than": "train/loser"} | ELO],
        [{"after": "arena", "metric": "fallback_rate", "of": "more", "below": 0.1}],
        [{"after": "arena", "metric": "top1", "of": "train/winner", "above": 0}],
        [{"after": "arena", "metric": "exit_code", "at_most": 0}],
        [{"after": "arena", "metric": "usd", "at_most": 1}],
        [{"after": "arena", "metric": "hours", "at_most": 1}],
        [{"after": "train", "name": "a"} | TOP1, {"after": "train", "name": "b"} | TOP1],
    ],
)
def test_gates_that_can_be_judged(gates: list[dict[str, Any]]) -> None:
    assert len(run_of(TREE | {"gates": gates}).plan.gates) == len(gates)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (TOP1 | {"after": "trian"}, "gate after 'trian': there is no such stage (did you mean 't"),
        (TOP1 | {"guards": ["arean"]}, "it guards 'arean', which is no stage (did you mean 'arena"),
        (TOP1 | {"guards": ["train/loser"]}, "train/loser cannot wait for itself"),
        (TOP1 | {"guards": ["train"]}, "train cannot wait for itself"),
        (ELO | {"against": None, "of": ""}, "elo is a figure of two players"),
        (ELO, "elo is a figure of two players"),  # a training has no opponent
        (ELO | {"after": "arena", "against": None}, "elo is a figure of two players"),
        (TOP1 | {"after": "arena"}, "whose top1?"),
        (TOP1 | {"of": "mroe"}, "'mroe' is neither a player nor a stage (did you mean 'more'?)"),
        (TOP1 | {"than": "train/win"}, "'train/win' is neither a player nor a stage"),
        (ELO | {"after": "arena", "against": "rndom"}, "'rndom' is neither a player nor a stage"),
    ],
)
def test_gates_that_cannot(fields: dict[str, Any], says: str) -> None:
    assert says in refusal(**gate(**fields)).message


@pytest.mark.parametrize("metric", ["elo", "nelo", "score", "difference", "sprt"])
def test_every_figure_of_two_needs_an_opponent(metric: str) -> None:
    error = refusal(**gate(after="arena", metric=metric, of="more", above=0))
    assert error.message.endswith(f"{metric} is a figure of two players")
    assert "name the opponent" in error.hint
    verdict = {"metric": metric, "above": 0}
    assert refusal(**verdicts(criteria=[verdict])).message == (
        f"verdict v: {metric} is a figure of two players"
    )


def test_whose_figure_names_those_who_play() -> None:
    error = refusal(**gate(after="arena", **TOP1))
    assert error.hint == "of: one of train/winner, train/loser, more, random"


def test_two_gates_of_one_name() -> None:
    gates = [{"after": "train"} | TOP1, {"after": "train", "on_fail": "skip"} | TOP1]
    assert refusal(gates=gates).message == "two gates are called 'train: top1 >= 0.2'"


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": {"pick": {"among": ["train"], "by": [{"metric": "top1"}]} | fields}}


@pytest.mark.parametrize(
    ("among", "says"),
    [
        (["tarin"], "choice pick: 'tarin' is no train stage (did you mean 'train'?)"),
        (["train", "enc"], "choice pick: 'enc' is no train stage"),
        (["arena"], "choice pick: 'arena' is no train stage"),
        (["train/draw"], "choice pick: 'train/draw' is no train stage"),
    ],
)
def test_a_choice_is_among_trainings(among: list[str], says: str) -> None:
    assert says in refusal(**choice(among=among)).message


@pytest.mark.parametrize("key", ["adopt", "survivors"])
def test_a_stage_waits_for_choices_that_there_are(key: str) -> None:
    value = ["pikc"] if key == "adopt" else "pikc"
    stage = TREE["stages"]["more"] | {key: value}
    changes = choice() | {"stages": TREE["stages"] | {"more": stage}}
    assert (
        "stage more: there is no choice 'pikc' (did you mean 'pick'" in refusal(**changes).message
    )


def verdicts(**fields: Any) -> dict[str, Any]:
    criteria = [{"metric": "elo", "against": "random", "above": 0}]
    return {
        "verdicts": {"v": {"arena": "arena", "candidate": "more", "criteria": criteria} | fields}
    }


@pytest.mark.parametrize("candidate", ["more", "train/loser", "best"])
def test_verdicts_that_can_be_reached(candidate: str) -> None:
    assert run_of(TREE | verdicts(candidate=candidate))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"arena": "train"}, "verdict v: 'train' is no arena stage"),
        ({"arena": "more"}, "verdict v: 'more' is no arena stage"),
        ({"arena": "arean"}, "verdict v: 'arean' is no arena stage (did you mean 'arena'?)"),
        ({"candidate": "mroe"}, "'mroe' does not play in arena (did you mean 'more'?)"),
        (
            {"criteria": [{"metric": "elo", "against": "champion", "above": 0}]},
            "'champion' does not play in arena",
        ),
        (
            {"criteria": [{"metric": "top1", "than": "bsae", "above": 0}]},
            "'bsae' does not play in arena",
        ),
    ],
)
def test_verdicts_that_cannot(fields: dict[str, Any], says: str) -> None:
    error = refusal(**verdicts(**fields))
    assert says in error.message
    if "does not play" in says:
        assert error.hint == "its players: train/winner, train/loser, more, random"


def test_an_opponent_that_may_be_missing_is_no_mistake() -> None:
    for key in ("against", "than"):
        metric = "elo" if key == "against" else "fallback_rate"
        criteria = [{"metric": metric, key: "champion?", "above": 0}]
        assert run_of(TREE | verdicts(criteria=criteria))


@pytest.mark.parametrize("key", ["against", "of"])
def test_what_would_never_hold_is_refused(key: str) -> None:
    """A misspelt subject, or a player's own figure against somebody, has no figure at night."""
    criterion = {"metric": "fallback_rate", "below": 1, key: "random" if key == "against" else "x"}
    assert refusal(**verdicts(criteria=[criterion])).message.startswith("verdict v: ")
    if key == "against":
        fields = {"after": "arena", "of": "more"} | criterion
        assert "fallback_rate is no figure of two players" in refusal(**gate(**fields)).message
