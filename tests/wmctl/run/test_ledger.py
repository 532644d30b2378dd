from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import RESULTS, Script, estimate, run_of, terms
from wm.store import Store, open_store
from wmctl.plan.node import Node
from wmctl.run.estimate import Estimate
from wmctl.run.fold import read_state
from wmctl.run.forecast import estimate_of
from wmctl.run.ledger import estimates, record
from wmctl.run.spec import RunSpec

DATA = {"chess": {"game": "chess", "source": "made:1000"}}
TRAIN = {"train": "lstm", "data": "enc", "steps": 1000, "batch": 64, "threads": 2}


def run(**stages: Any) -> RunSpec:
    own = {"enc": {"encode": "chess", "workers": 2}, "train": TRAIN} | stages
    return run_of({"name": "p", "data": DATA, "stages": own})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def expect(store: Store, spec: RunSpec, name: str, hardware: str = "mine") -> Estimate:
    return estimates(store, spec.plan, spec.nodes, on="local", hardware=hardware)[name]


def measured(step_s: float, **result: Any) -> dict[str, Any]:
    timing = {"step_s": step_s, "validate_s": 0.0, "save_s": 0.0}
    return {"step": 1000, "units": 50, "timing": timing} | result


def enter(
    store: Store, node: Node, seconds: float, result: dict[str, Any], number: int = 1
) -> None:
    record(store, node, seconds, result, hardware="mine", run=f"r{number}", time=float(number))


def test_what_was_measured_is_expected_on_the_same_hardware_and_no_other(store: Store) -> None:
    spec = run()
    assert expect(store, spec, "train").source == "guess"
    enter(store, spec.node("train"), 520, measured(0.5))
    made = expect(store, spec, "train")
    assert (made.source, made.seconds, made.doubt) == ("r1", 520, 0.1)
    assert expect(store, spec, "train", "another machine").source == "guess"
    assert expect(store, spec, "enc").source == "guess", "it says nothing of other stages"


def test_a_like_shape_is_scaled_by_how_much_a_step_is(store: Store) -> None:
    spec = run(wide=TRAIN | {"batch": 128}, long=TRAIN | {"batch": 128, "length": 256})
    enter(store, spec.node("train"), 520, measured(0.5))
    assert expect(store, spec, "wide").unit_s == pytest.approx(1.0)
    assert expect(store, spec, "long").unit_s == pytest.approx(2.0)
    assert expect(store, spec, "wide").doubt == 0.3
    other = run(train=TRAIN | {"model": {"hidden": 16}})
    assert expect(store, other, "train").source == "guess"


def test_the_same_shape_counts_more_than_a_like_one(store: Store) -> None:
    spec = run(wide=TRAIN | {"batch": 128})
    enter(store, spec.node("wide"), 800, measured(0.8), 1)
    enter(store, spec.node("train"), 520, measured(0.5), 2)
    assert expect(store, spec, "wide").source == "r1"
    assert expect(store, spec, "wide").unit_s == pytest.approx(0.8)


def test_paces_of_other_units_do_not_mix(store: Store) -> None:
    """The page of like shapes begins anew with each size of a unit."""
    spec = run(wide=TRAIN | {"batch": 128}, huge=TRAIN | {"batch": 256})
    enter(store, spec.node("train"), 500, measured(0.5), 1)
    enter(store, spec.node("wide"), 800, measured(0.8), 2)
    assert expect(store, spec, "huge").unit_s == pytest.approx(1.6)
    assert expect(store, spec, "huge").source == "r2"


def test_the_median_of_the_newest_samples_counts(store: Store) -> None:
    spec = run()
    for number, step_s in enumerate([0.5, 0.6, 9.0], 1):
        enter(store, spec.node("train"), 1000 * step_s, measured(step_s), number)
    made = expect(store, spec, "train")
    assert (made.unit_s, made.source) == (pytest.approx(0.6), "r3")
    for number in range(4, 12):
        enter(store, spec.node("train"), 700, measured(0.7), number)
    assert expect(store, spec, "train").unit_s == pytest.approx(0.7)


def test_eight_samples_are_kept(store: Store) -> None:
    spec = run()
    for number in range(1, 9):  # eight slow ones, then five fast ones: 5 of the last 8
        enter(store, spec.node("train"), 900, measured(0.9), number)
    for number in range(9, 14):
        enter(store, spec.node("train"), 300, measured(0.3), number)
    assert expect(store, spec, "train").unit_s == pytest.approx(0.3)


def test_a_hit_is_a_shape_of_its_own(store: Store) -> None:
    """Finding that a data set is there takes no time; a plan that insists on it expects that."""
    gate = {"after": "enc", "metric": "hit", "at_least": 1}
    plain = run()
    tree = {"name": "p", "data": DATA, "stages": {"enc": {"encode": "chess", "workers": 2}}}
    insists = run_of(tree | {"gates": [gate]})
    enter(store, plain.node("enc"), 12, {"hit": False}, 1)
    assert expect(store, plain, "enc").seconds == pytest.approx(12)
    assert expect(store, insists, "enc").source == "guess"
    enter(store, plain.node("enc"), 2, {"hit": True}, 2)
    assert expect(store, plain, "enc").seconds == pytest.approx(12)
    assert expect(store, insists, "enc").seconds == pytest.approx(2)


@pytest.mark.parametrize(
    "gate", [{"after": "enc", "metric": "games.train"}, {"after": "train", "metric": "hit"}]
)
def test_only_a_gate_on_the_hit_of_a_data_set_expects_one(
    store: Store, gate: dict[str, Any]
) -> None:
    stages = {"enc": {"encode": "chess", "workers": 2}, "train": TRAIN}
    tree = {"name": "p", "data": DATA, "stages": stages, "gates": [gate | {"at_least": 1}]}
    spec = run_of(tree)
    enter(store, spec.node("enc"), 12, {"hit": False})
    assert expect(store, spec, "enc").source == "r1"


def test_a_guess_knows_how_fast_the_gpus_are(store: Store) -> None:
    spec = run(train=TRAIN | {"resources": {"gpu": "h100"}})
    made = [
        estimates(store, spec.plan, spec.nodes, on="kubernetes", hardware="k", tflops=tflops)
        for tflops in (None, {"h100": 1000.0})
    ]
    assert made[0]["train"].unit_s == pytest.approx(10 * made[1]["train"].unit_s)


def test_damaged_pages_are_as_if_they_were_not_there(store: Store) -> None:
    spec = run()
    enter(store, spec.node("train"), 520, measured(0.5))
    pages = [entry.key for entry in store.list("ledger/")]
    assert len(pages) == 2, "one of the shape, one of those that are alike"
    for damage in (b"", b"{", b'{"shape": "x", "samples": []}', b'{"shape": "x", "pages": 1}'):
        for page in pages:
            store.put(page, damage)
        assert expect(store, spec, "train").source == "guess"
    enter(store, spec.node("train"), 520, measured(0.5), 2)
    assert expect(store, spec, "train").source == "r2"


def test_what_says_nothing_of_its_pace_is_not_entered(store: Store) -> None:
    enter(store, run().node("train"), 520, {"step": 1000})
    assert not list(store.list("ledger/"))


def test_trouble_with_the_ledger_is_no_trouble(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from wm.errors import WmError

    def full(*args: Any, **kwargs: Any) -> None:
        raise WmError("the disk is full")

    monkeypatch.setattr(store, "put", full)
    with caplog.at_level("INFO", "wm.conductor"):
        enter(store, run().node("train"), 520, measured(0.5))
    assert "the ledger could not be written: the disk is full" in caplog.text


CALIBRATED = {"cal": {"calibrate": ["train"]}, "train": TRAIN | {"after": ["cal"]}}


def calibrated(spec: RunSpec, step_s: float) -> Script:
    """The ledger expected a second for each step; the calibration says something else."""
    known = {node.name: estimate(100, 1.0, source="ledger") for node in spec.nodes}
    script = Script().add("submitted", detail=terms(estimates=known))
    script.add("started", stage="enc", attempt=1).end("enc", **RESULTS["enc"])
    script.at(10, "started", stage="cal-train", attempt=1)
    result = measured(step_s) | {"step": 100, "units": 8}
    script.at(70, "ended", stage="cal-train", attempt=1, code=0, detail=result)
    return script


def test_a_calibration_of_the_run_counts_more_than_the_ledger() -> None:
    spec = run(**CALIBRATED)
    state = read_state(spec, calibrated(spec, 0.5).events)
    made = estimate_of(spec, state, spec.node("train"))
    assert (made.source, made.unit_s, made.work) == ("r", 0.5, 1000)
    assert made.start_s == 60 - 50
    assert made.doubt == 0.1
    before = read_state(spec, calibrated(spec, 0.5).events[:-1])
    assert estimate_of(spec, before, spec.node("train")).source == "ledger"


def test_a_calibration_of_a_like_shape_is_scaled() -> None:
    wide = TRAIN | {"batch": 128, "after": ["cal"]}
    spec = run(**CALIBRATED, wide=wide)
    state = read_state(spec, calibrated(spec, 0.5).events)
    made = estimate_of(spec, state, spec.node("wide"))
    assert (made.unit_s, made.doubt) == (1.0, 0.2)


def test_a_calibration_says_nothing_of_other_shapes() -> None:
    other = TRAIN | {"model": {"hidden": 16}, "after": ["cal"]}
    spec = run(**CALIBRATED, other=other)
    state = read_state(spec, calibrated(spec, 0.5).events)
    assert estimate_of(spec, state, spec.node("other")).source == "ledger"
