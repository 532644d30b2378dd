"""GPU profiles: complete, and priced with a date."""

from __future__ import annotations

import re

import yaml

from tests.k8s.manifests import K8S

TEXT = (K8S / "profiles.yaml").read_text()
PROFILES = yaml.safe_load(TEXT)


def test_every_profile_says_everything():
    assert set(PROFILES) == {"h100", "a100", "l4", "t4", "fake"}
    for name, profile in PROFILES.items():
        keys = {"selector", "tolerations", "resource", "price_per_hour", "spot"}
        assert set(profile) == keys, name
        assert profile["selector"], name
        assert profile["resource"] == "nvidia.com/gpu", name


def test_real_gpus_tolerate_the_taint_of_gpu_nodes_and_fake_ones_need_none():
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    tolerations = {name: p["tolerations"] for name, p in PROFILES.items()}
    assert tolerations.pop("fake") == []
    assert all(t == [taint] for t in tolerations.values())


def test_prices_are_said_to_be_notional_and_of_when():
    assert re.search(r"prices are notional.* 20\d\d", TEXT)
    assert PROFILES["h100"]["price_per_hour"] > PROFILES["t4"]["price_per_hour"] > 0
