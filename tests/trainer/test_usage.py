import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trainer import usage as module
from trainer.usage import Usage, memory

STATUS = """Name:\tpython
VmPeak:\t 9000000 kB
VmHWM:\t 3000000 kB
VmRSS:\t 2000000 kB
RssAnon:\t  500000 kB
RssFile:\t 1500000 kB
"""
CPU = torch.device("cpu")
GPU = torch.device("cuda", 0)


def test_resident_memory_is_told_apart_from_mapped_files(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(STATUS)

    assert memory(status) == {
        "memory_peak_gb": 3.072,
        "memory_gb": 2.048,
        "memory_anon_gb": 0.512,
    }


def test_memory_that_was_taken_is_seen_at_once_and_its_peak_for_ever() -> None:
    before = memory()
    held = b"x" * 300_000_000
    during = memory()
    del held
    after = memory()

    for name in ("memory_gb", "memory_anon_gb"):
        assert during[name] - before[name] == pytest.approx(0.3, abs=0.05)
        assert after[name] - before[name] == pytest.approx(0, abs=0.05)
    assert after["memory_peak_gb"] > during["memory_gb"] - 0.05


def test_a_kernel_that_does_not_tell_the_peak_leaves_nothing_else_out(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("VmRSS:\t 2000000000 kB\n")

    assert memory(status) == {"memory_gb": 2048.0, "memory_peak_gb": 2048.0}


def test_where_there_is_no_proc_the_peak_is_known_all_the_same(tmp_path: Path) -> None:
    found = memory(tmp_path / "missing")

    assert list(found) == ["memory_peak_gb"]
    assert found["memory_peak_gb"] == pytest.approx(memory()["memory_peak_gb"], rel=0.2)


def test_cores_are_processor_seconds_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = SimpleNamespace(now=100.0, used=7.0)
    clock = SimpleNamespace(monotonic=lambda: hands.now, process_time=lambda: hands.used)
    monkeypatch.setattr(module, "time", clock)
    usage = Usage(CPU)
    usage.sample()
    assert "cpu_cores" not in usage.newest()

    for seconds, used, cores in ((4.0, 6.0, 1.5), (10.0, 1.0, 0.1)):
        hands.now += seconds
        hands.used += used
        usage.sample()
        assert usage.newest()["cpu_cores"] == cores


def test_samples_come_until_it_is_stopped() -> None:
    usage = Usage(CPU, every=0.005)
    usage.start()
    assert usage.newest().keys() == {"memory_gb", "memory_peak_gb", "memory_anon_gb"}
    until = time.monotonic() + 30
    while "cpu_cores" not in usage.newest() and time.monotonic() < until:
        time.sleep(0.005)
    assert usage.newest()["cpu_cores"] >= 0

    usage.stop()

    assert not usage._thread.is_alive()


def test_trouble_with_samples_ends_only_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = Usage(CPU, every=0.005)
    usage.start()

    def broken() -> Any:
        raise RuntimeError("no memory today")

    monkeypatch.setattr(module, "memory", broken)
    usage._thread.join(30)
    assert usage.newest() == {}

    at_once = Usage(CPU)
    at_once.start()
    at_once.stop()
    assert at_once.newest() == {}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of 80 GB, as torch would tell of it."""
    told = {
        "memory_allocated": 2_000_000_000,
        "max_memory_allocated": 5_000_000_000,
        "memory_reserved": 6_000_000_000,
        "get_device_properties": SimpleNamespace(total_memory=80_000_000_000),
        "utilization": 73,
    }
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)


@pytest.mark.usefixtures("gpu")
def test_a_gpu_tells_its_memory_and_how_busy_it_is() -> None:
    usage = Usage(GPU)
    usage.sample()

    found = {name: value for name, value in usage.newest().items() if name.startswith("gpu")}
    assert found == {
        "gpu_memory_gb": 2,
        "gpu_memory_peak_gb": 5,
        "gpu_reserved_gb": 6,
        "gpu_total_gb": 80,
        "gpu_utilization": 0.73,
    }
    assert usage.peaks().keys() == {"memory_peak_gb", "gpu_memory_peak_gb"}


@pytest.mark.usefixtures("gpu")
def test_without_nvml_the_one_figure_is_left_out_and_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def missing(device: torch.device) -> int:
        asked.append(device)
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "utilization", missing)
    usage = Usage(GPU)
    for _ in range(3):
        usage.sample()

    assert "gpu_utilization" not in usage.newest()
    assert usage.newest()["gpu_memory_peak_gb"] == 5
    assert asked == [GPU]
