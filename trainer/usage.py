"""What this process uses of its machine, sampled while it trains: memory, processor, GPU."""

from __future__ import annotations

import logging
import resource
import sys
import threading
import time
from pathlib import Path

import torch

logger = logging.getLogger("wm.trainer")

EVERY = 5.0
"""Seconds between samples; one costs well under a millisecond."""

STATUS = Path("/proc/self/status")
GB = 1e9

_LINES = {"VmRSS": "memory_gb", "VmHWM": "memory_peak_gb", "RssAnon": "memory_anon_gb"}
_PEAKS = ("memory_peak_gb", "gpu_memory_peak_gb")


class Usage:
    """Samples on a thread of its own, between :meth:`start` and :meth:`stop`.

    Figures, those that the machine has; GB are 10^9 bytes:

    - ``memory_gb``, ``memory_peak_gb``: resident memory now, and the most since the process began;
      ``memory_anon_gb``: the part that no file backs. The rest is mapped files, such as a data set,
      which the kernel takes back when memory is short.
    - ``cpu_cores``: processor seconds per second since the sample before, over all threads.
    - ``gpu_memory_gb``, ``gpu_memory_peak_gb``: tensors now, and at most; ``gpu_reserved_gb``: held
      by torch's allocator; ``gpu_total_gb``: what the GPU has.
    - ``gpu_utilization``: share of the last moments in which the GPU was at work (NVML's, over all
      processes), where nvidia-ml-py is installed.
    """

    def __init__(self, device: torch.device, every: float = EVERY) -> None:
        self._device, self._every = device, every
        self._figures: dict[str, float] = {}
        self._before: tuple[float, float] | None = None
        self._has_nvml = device.type == "cuda"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="usage", daemon=True)

    def start(self) -> None:
        """Take the first sample, and go on in the background."""
        if self._sampled():
            self._thread.start()

    def stop(self) -> None:
        """Take no more samples."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def newest(self) -> dict[str, float]:
        """Figures of the newest sample, by name; ``cpu_cores`` from the second one on."""
        return dict(self._figures)

    def peaks(self) -> dict[str, float]:
        """The peaks up to this moment, in GB, by name."""
        figures = memory() | self._gpu_memory()
        return {name: round(figures[name], 3) for name in _PEAKS if name in figures}

    def sample(self) -> None:
        """Read everything now."""
        figures = memory() | self._cores() | self._gpu_memory() | self._gpu_utilization()
        self._figures = {name: round(value, 3) for name, value in figures.items()}

    def _go_on(self) -> None:
        while not self._stopping.wait(self._every) and self._sampled():
            pass

    def _sampled(self) -> bool:
        try:
            self.sample()
        except Exception as error:  # noqa: BLE001  figures for people must not end a training
            self._figures = {}
            logger.info("device use is not sampled: %s", error)
            return False
        return True

    def _cores(self) -> dict[str, float]:
        now, used = time.monotonic(), time.process_time()
        before, self._before = self._before, (now, used)
        if before is None or now <= before[0]:
            return {}
        return {"cpu_cores": (used - before[1]) / (now - before[0])}

    def _gpu_memory(self) -> dict[str, float]:
        if self._device.type != "cuda":
            return {}
        cuda = torch.cuda
        sizes = {
            "gpu_memory_gb": cuda.memory_allocated(self._device),
            "gpu_memory_peak_gb": cuda.max_memory_allocated(self._device),
            "gpu_reserved_gb": cuda.memory_reserved(self._device),
            "gpu_total_gb": cuda.get_device_properties(self._device).total_memory,
        }
        return {name: size / GB for name, size in sizes.items()}

    def _gpu_utilization(self) -> dict[str, float]:
        if not self._has_nvml:
            return {}
        try:
            return {"gpu_utilization": torch.cuda.utilization(self._device) / 100}
        except Exception:  # noqa: BLE001  no package, no driver's library, a part of a GPU: no figure
            self._has_nvml = False
            return {}


def memory(status: Path = STATUS) -> dict[str, float]:
    """``memory_gb``, ``memory_peak_gb`` and ``memory_anon_gb`` of this process.

    The peak always; the others as far as Linux's /proc, or what stands for it, has them.
    """
    try:
        lines = [line.partition(":") for line in status.read_text().splitlines()]
    except OSError:
        lines = []
    sizes = {name: int(value.split()[0]) * 1024 for name, _, value in lines if name in _LINES}
    figures = {_LINES[name]: size / GB for name, size in sizes.items()}
    if "memory_peak_gb" not in figures:
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
        figures["memory_peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GB
    # The kernel counts both by threads, inexactly: the peak may come out below the present.
    figures["memory_peak_gb"] = max(figures["memory_peak_gb"], figures.get("memory_gb", 0.0))
    return figures
