"""Which device a setting means on this machine."""

from __future__ import annotations

import pytest

from wm.errors import BadConfig
from wm.models.device import find_device


def machine(monkeypatch: pytest.MonkeyPatch, gpus: int, usable: bool = True) -> None:
    """This one, with so many GPUs."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0 and usable)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)


@pytest.mark.parametrize(
    ("gpus", "wanted", "worker", "found"),
    [
        (0, "auto", 1, "cpu"),
        (0, "cpu", 0, "cpu"),
        (2, "cpu", 1, "cpu"),
        (2, "auto", 1, "cuda:1"),
        (2, "cuda", 0, "cuda:0"),
        (12, "cuda:10", 0, "cuda:10"),
    ],
)
def test_a_device_that_is_here(
    monkeypatch: pytest.MonkeyPatch, gpus: int, wanted: str, worker: int, found: str
) -> None:
    machine(monkeypatch, gpus)
    assert str(find_device(wanted, worker)) == found


def test_a_gpu_that_this_torch_cannot_use_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 1, usable=False)
    assert str(find_device("auto")) == "cpu"


@pytest.mark.parametrize(
    ("gpus", "wanted", "worker", "words"),
    [
        (0, "cuda", 0, "device cuda is set, and there is no GPU here"),
        (0, "cuda:1", 0, "device cuda:1 is set, and there is no GPU here"),
        (2, "auto", 2, "device auto: GPU number 2 is wanted, counted from 0, of 2 here"),
        (2, "cuda:2", 0, "device cuda:2: GPU number 2 is wanted, counted from 0, of 2 here"),
    ],
)
def test_a_device_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, gpus: int, wanted: str, worker: int, words: str
) -> None:
    machine(monkeypatch, gpus)
    with pytest.raises(BadConfig, match=words):
        find_device(wanted, worker)
