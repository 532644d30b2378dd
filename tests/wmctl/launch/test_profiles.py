from __future__ import annotations

from pathlib import Path

import pytest

from wm.errors import BadConfig, InputMissing
from wmctl.launch.profiles import known_profiles, load_profiles, prices_of, tflops_of
from wmctl.run.prices import Prices

FILE = """
cpu: {price_per_vcpu_hour: 0.05, price_per_gb_month: 0.02, price_per_gb_read: 0.09}
h100:
  selector: {gpu: h100}
  tolerations: [{key: gpu, operator: Exists}]
  price_per_hour: 3.0
  tflops: 989
h100-spot: {selector: {gpu: h100}, spot: {capacity: spot}, price_per_hour: 1.5, tflops: 989}
own: {selector: {gpu: own}, resource: amd.com/gpu}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "profiles.yaml"
    path.write_text(FILE)
    return path


def test_a_gpus_name_means_nodes_and_a_price(path: Path) -> None:
    profiles = load_profiles(path)
    assert list(profiles) == ["cpu", "h100", "h100-spot", "own"]
    assert profiles["h100"].node_selector == {"gpu": "h100"}
    assert profiles["h100"].resource == "nvidia.com/gpu"
    assert profiles["h100"].tolerations == [{"key": "gpu", "operator": "Exists"}]
    assert profiles["h100-spot"].node_selector == {"gpu": "h100", "capacity": "spot"}
    assert profiles["own"].resource == "amd.com/gpu"


def test_prices_are_those_that_the_profiles_say(path: Path) -> None:
    assert prices_of(load_profiles(path)) == Prices(
        cpu=0.05, gpus={"h100": 3.0, "h100-spot": 1.5}, gb_month=0.02, gb_read=0.09
    )


def test_what_they_do_not_say_costs_what_it_costs_by_default() -> None:
    assert prices_of({}) == Prices()
    assert Prices().cpu == 0.04


def test_a_core_may_be_free(tmp_path: Path) -> None:
    path = tmp_path / "profiles.yaml"
    path.write_text("cpu: {price_per_vcpu_hour: 0}")
    assert prices_of(load_profiles(path)).cpu == 0


def test_peaks_are_those_that_are_known(path: Path) -> None:
    assert tflops_of(load_profiles(path)) == {"h100": 989, "h100-spot": 989}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("h100: {price_per_hour: -1}", "price_per_hour"),
        ("h100: {tflops: 0}", "tflops"),
        ("cpu: {price_per_vcpu_hour: -1}", "price_per_vcpu_hour"),
        ("cpu: {price_per_gb_month: -1}", "price_per_gb_month"),
        ("cpu: {price_per_gb_read: -1}", "price_per_gb_read"),
        ("h100: {prize: 3}", "prize"),
        ("- h100", "holds no mapping"),
        ("h100: [", "cannot be read"),
    ],
)
def test_wrong_profiles_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "profiles.yaml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=says):
        load_profiles(path)


def test_a_laptop_needs_no_profiles_and_a_cluster_does(tmp_path: Path) -> None:
    assert known_profiles(tmp_path / "none.yaml") == {}
    with pytest.raises(InputMissing, match=r"none\.yaml does not exist"):
        load_profiles(tmp_path / "none.yaml")
