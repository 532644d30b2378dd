"""Which device a setting means on this machine."""

from __future__ import annotations

import torch

from wm.errors import BadConfig


def find_device(wanted: str, worker: int = 0) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` means here.

    ``auto`` is ``cuda`` where there is a GPU, and ``cuda`` the GPU of this ``worker`` of the
    machine. Raises :class:`BadConfig` where that GPU is not there.
    """
    # A GPU whose driver this torch cannot use does not count.
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not there):
        return torch.device("cpu")
    named = wanted.removeprefix("cuda:")
    number = int(named) if named.isdecimal() else worker
    if not there:
        raise BadConfig(
            f"device {wanted} is set, and there is no GPU here",
            hint="take device auto or cpu, or run it where there is a GPU",
        )
    if number >= there:
        raise BadConfig(
            f"device {wanted}: GPU number {number} is wanted, counted from 0, of {there} here",
            hint="take no more processes than there are GPUs, or a device that is there",
        )
    return torch.device("cuda", number)
