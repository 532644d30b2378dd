"""GPU profiles: what wmctl reads in them, and that nobody takes the prices for an offer."""

from __future__ import annotations

import re

from tests.k8s.manifests import K8S
from wmctl.launch.profiles import CPU, load_profiles

PROFILES = load_profiles(K8S / "profiles.yaml")
GPUS = {name: profile for name, profile in PROFILES.items() if name != CPU}


def test_the_profiles_and_the_nodes_that_they_ask_for():
    assert {name: profile.node_selector for name, profile in GPUS.items()} == {
        "h100": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        "h100-spot": {
            "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
            "karpenter.sh/capacity-type": "spot",
        },
        "a100": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"},
        "l4": {"nvidia.com/gpu.product": "NVIDIA-L4"},
        "t4": {"nvidia.com/gpu.product": "Tesla-T4"},
        "fake": {"wm.dev/gpu": "fake"},
    }


def test_real_gpus_tolerate_the_taint_of_gpu_nodes_and_fake_ones_need_none():
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    tolerations = {name: profile.tolerations for name, profile in GPUS.items()}
    assert tolerations.pop("fake") == []
    assert all(t == [taint] for t in tolerations.values())


def test_every_gpu_has_a_price_that_is_said_to_be_notional_and_of_when():
    assert re.search(r"prices are notional.* 20\d\d", (K8S / "profiles.yaml").read_text())
    assert all(profile.price_per_hour for profile in GPUS.values())


def test_spot_is_cheaper_and_the_same_gpu():
    spot, demand = GPUS["h100-spot"], GPUS["h100"]
    assert spot.price_per_hour < demand.price_per_hour
    assert (spot.selector, spot.tflops) == (demand.selector, demand.tflops)


def test_real_gpus_say_how_fast_they_are_so_that_nights_can_be_guessed():
    assert {name for name, profile in GPUS.items() if not profile.tflops} == {"fake"}


def test_pods_without_a_gpu_ask_for_no_nodes_of_their_own_and_have_a_price():
    assert PROFILES[CPU].price_per_vcpu_hour
    assert PROFILES[CPU].node_selector == {}
    assert PROFILES[CPU].tolerations == []
