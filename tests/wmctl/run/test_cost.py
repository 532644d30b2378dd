"""What a run has cost, in golden dollars."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, Script, small_run, terms
from wm.errors import BadConfig
from wmctl.run.fold import read_state
from wmctl.run.prices import Prices, check_prices
from wmctl.run.spec import RunSpec

STAGES = {
    "enc": {"encode": "chess", "workers": 2, "pods": 3},
    "train": {
        "train": "lstm",
        "data": "enc",
        "steps": 5,
        "threads": 4,
        "resources": {"gpu": "h100", "gpus": 8},
    },
    "arena": {"arena": "chess", "players": ["train", "random"]},
}
SPEC = small_run(stages=STAGES, verdicts={})
PRICES = {"cpu": 36.0, "gpus": {"h100": 3.6}}
"""A cent for a second of a core, a tenth of one for a second of a GPU."""


def submitted(on: str = "kubernetes", **prices: Any) -> Script:
    return Script().add("submitted", detail=terms(on=on, prices=PRICES | prices))


def usd(script: Script, now: float | None = None, spec: RunSpec = SPEC) -> float:
    return read_state(spec, script.events).usd(spec, script.now if now is None else now)


@pytest.mark.parametrize(
    ("node", "on", "per_second"),
    [
        ("enc", "kubernetes", 3 * 2 * 0.01),
        ("train", "kubernetes", 8 * 0.001),  # the cores beside GPUs cost nothing more
        ("arena", "kubernetes", 0.01),
        ("train", "local", 4 * 0.01),  # here there is no GPU of that price
        ("enc", "local", 2 * 0.01),
    ],
)
def test_prices_by_the_second(node: str, on: str, per_second: float) -> None:
    prices = Prices.model_validate(PRICES)
    assert prices.per_second(SPEC.node(node), on) == pytest.approx(per_second)


def test_pods_cost_from_start_to_end_of_their_containers() -> None:
    pods = [
        {"started": 10, "ended": 40},
        {"started": 10, "ended": 30},
        {"started": 20, "ended": 50},
        {"name": "never ran"},
    ]
    script = submitted().add("started", stage="enc", attempt=1)
    script.at(60, "ended", stage="enc", attempt=1, code=0, detail={"pods": pods})
    # 30 + 20 + 30 seconds of two cores each
    assert usd(script) == pytest.approx(80 * 2 * 0.01)
    assert read_state(SPEC, script.events).nodes["enc"].seconds == 40


def test_a_container_whose_end_nobody_knows_ran_until_the_end_was_seen() -> None:
    script = submitted().add("started", stage="train", attempt=1)
    detail = {"pods": [{"started": 100}]}
    script.at(600, "ended", stage="train", attempt=1, code=137, detail=detail)
    assert usd(script) == pytest.approx(500 * 0.008)


def test_without_containers_it_costs_from_when_it_was_seen_to_run() -> None:
    script = submitted().add("started", stage="train", attempt=1)
    script.seen(120, "train", 0, 0, since=100)
    script.at(600, "ended", stage="train", attempt=1, code=137)
    assert usd(script) == pytest.approx(500 * 0.008)
    waited = submitted().add("started", stage="train", attempt=1)
    waited.at(600, "ended", stage="train", attempt=1, code=137)
    assert usd(waited) == 0, "it never ran"


def test_here_a_process_costs_from_its_start() -> None:
    script = submitted("local").at(10, "started", stage="train", attempt=1)
    script.at(60, "ended", stage="train", attempt=1, code=0)
    assert usd(script) == pytest.approx(50 * 0.04)


def test_all_attempts_cost_and_those_under_way_too() -> None:
    script = submitted("local").at(10, "started", stage="enc", attempt=1)
    script.at(20, "ended", stage="enc", attempt=1, code=137)
    script.at(30, "started", stage="enc", attempt=2)
    assert usd(script, 45) == pytest.approx((10 + 15) * 0.02)
    script.at(50, "ended", stage="enc", attempt=2, code=0, detail={})
    assert usd(script, 1000) == pytest.approx((10 + 20) * 0.02)
    assert read_state(SPEC, script.events).nodes["enc"].seconds == 30


def test_the_price_of_each_moment_counts() -> None:
    script = submitted("local").at(10, "started", stage="enc", attempt=1)
    dearer = {"prices": {"cpu": 72.0, "gpus": {}}}
    script.at(40, "priced", detail=dearer, text="other prices, by ada")
    # 30 s at 2 cents, then 20 s at 4
    assert usd(script, 60) == pytest.approx(0.6 + 0.8)
    script.at(70, "priced", detail={"prices": {"cpu": 0.0}})
    script.at(90, "ended", stage="enc", attempt=1, code=0)
    assert usd(script) == pytest.approx(0.6 + 1.2)


def test_a_price_counts_from_when_it_was_said_and_not_from_when_it_was_found() -> None:
    script = submitted("local").at(10, "started", stage="enc", attempt=1)
    script.at(60, "priced", detail={"prices": {"cpu": 72.0}, "since": 40.0}, text="other prices")
    assert usd(script, 60) == pytest.approx(0.6 + 0.8)


def test_prices_of_a_later_submission_are_not_those_of_what_ran_before() -> None:
    script = submitted("local").at(10, "started", stage="enc", attempt=1)
    script.at(20, "ended", stage="enc", attempt=1, code=137)
    free = terms(on="local", prices={"cpu": 0.0})
    script.at(100, "resumed", detail=free).at(110, "started", stage="enc", attempt=2)
    assert usd(script, 200) == pytest.approx(10 * 0.02)


DATA = {"dataset": "datasets/chess/ab", "bytes": 5 * 10**9}


@pytest.mark.parametrize(("hit", "dollars"), [(False, 0.10), (True, 0.0)])
def test_what_is_kept_costs_unless_it_was_there(hit: bool, dollars: float) -> None:
    script = submitted(cpu=0, gb_month=0.02).add("started", stage="enc", attempt=1)
    assert usd(script.end("enc", **DATA, hit=hit)) == pytest.approx(dollars)


@pytest.mark.parametrize(("on", "dollars"), [("kubernetes", 0.45), ("local", 0.0)])
def test_what_is_read_costs_each_attempt_on_a_cluster(on: str, dollars: float) -> None:
    script = submitted(on, cpu=0, gpus={}, gb_read=0.09)
    script.add("started", stage="enc", attempt=1).end("enc", **DATA)
    assert usd(script) == 0
    script.add("started", stage="train", attempt=1).end("train", 137)
    assert usd(script) == pytest.approx(dollars)
    script.add("started", stage="train", attempt=2).end("train", 0, 2)
    assert usd(script) == pytest.approx(2 * dollars)


def test_a_gpu_without_a_price_cannot_keep_a_budget() -> None:
    check_prices(Prices.model_validate(PRICES), SPEC.nodes)
    with pytest.raises(BadConfig, match="stage train: nobody says what an hour of a h100 costs"):
        check_prices(Prices(), SPEC.nodes)
    check_prices(Prices(), small_run(stages=PLAN["stages"]).nodes)
