"""Control groups as kernels show them, and what is told of a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from wm.stage.memory import MemoryWatch, group_paths, limit_bytes, oom_kills

EVENTS_V2 = "low 0\nhigh 0\nmax 1184\noom 2\noom_kill {kills}\noom_group_kill 0\n"
CONTROL_V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"


@pytest.mark.parametrize(
    ("text", "kills"),
    [
        (EVENTS_V2.format(kills=3), 3),
        (CONTROL_V1.format(kills=1), 1),
        ("oom_kill_disable 0\nunder_oom 0\n", 0),  # before Linux 4.13
        ("", 0),
    ],
)
def test_kills_are_counted(text: str, kills: int) -> None:
    assert oom_kills(text) == kills


@pytest.mark.parametrize(
    ("text", "limit"),
    [("2000000000\n", 2_000_000_000), ("max\n", None), ("9223372036854771712\n", None), ("", None)],
)
def test_limits_are_read(text: str, limit: int | None) -> None:
    assert limit_bytes(text) == limit


def test_the_group_is_looked_for_where_kernels_and_containers_show_it() -> None:
    pod = "/kubepods/burstable/pod1/abc"
    assert group_paths(f"0::{pod}\n") == [f"sys/fs/cgroup{pod}", "sys/fs/cgroup"]
    v1 = f"9:name=systemd:/\n4:memory:{pod}\n3:cpu,cpuacct:{pod}\n"
    assert group_paths(v1) == [f"sys/fs/cgroup/memory{pod}", "sys/fs/cgroup/memory"]


def machine(root: Path, cgroup: str, folder: str, counter: str, limit: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    (root / folder).mkdir(parents=True)
    name = "memory.events" if "oom_group" in counter else "memory.oom_control"
    (root / folder / name).write_text(counter.format(kills=2))
    limits = {"memory.events": "memory.max", "memory.oom_control": "memory.limit_in_bytes"}
    (root / folder / limits[name]).write_text(limit)
    return root / folder / name


@pytest.mark.parametrize(
    ("cgroup", "folder", "counter"),
    [
        ("0::/\n", "sys/fs/cgroup", EVENTS_V2),
        ("0::/user.slice/a\n", "sys/fs/cgroup/user.slice/a", EVENTS_V2),
        ("4:memory:/kubepods/p/c\n0::/\n", "sys/fs/cgroup/memory", CONTROL_V1),
        ("4:memory:/kubepods/p/c\n0::/\n", "sys/fs/cgroup/memory/kubepods/p/c", CONTROL_V1),
    ],
)
def test_a_kill_since_then_is_seen_and_told_with_the_limit(
    tmp_path: Path, cgroup: str, folder: str, counter: str
) -> None:
    file = machine(tmp_path, cgroup, folder, counter, "2000000000\n")
    watch = MemoryWatch(tmp_path)
    assert not watch.killed()
    file.write_text(counter.format(kills=3))
    assert watch.killed()
    error = watch.error("train")
    assert error.code == 137
    assert error.message == (
        "out of memory: a process was killed at the container's limit of 2.0 GB"
    )
    assert error.hint == "raise resources.memory, or lower batch or the size of the model"


def test_without_a_limit_the_kernel_is_named(tmp_path: Path) -> None:
    machine(tmp_path, "0::/\n", "sys/fs/cgroup", EVENTS_V2, "max\n")
    error = MemoryWatch(tmp_path).error("encode")
    assert error.message == "out of memory: a process was killed by the kernel"


def test_without_control_groups_nothing_is_ever_seen(tmp_path: Path) -> None:
    assert not MemoryWatch(tmp_path).killed()
