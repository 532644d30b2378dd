"""What only a directory must stand: other processes, kills, full and read-only disks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wm.errors import StoreUnreachable
from wm.store import ABSENT, Conflict, NotFound, open_store

fork = multiprocessing.get_context("fork")


def _increment(url: str, times: int) -> None:
    store = open_store(url)
    done = 0
    while done < times:
        data, tag = store.get_tagged("count")
        try:
            store.put("count", b"%03d" % (int(data) + 1), only_if=tag)
        except Conflict:
            continue
        done += 1


def _claim(url: str, who: int) -> None:
    store = open_store(url)
    for number in range(20):
        try:
            store.put(f"claims/{number}", b"%d" % who, only_if=ABSENT)
        except Conflict:
            continue
        store.put(f"wins/{number}/{who}", b"")


def _write_each_with_a_new_store(url: str, who: int) -> None:
    for number in range(60):
        open_store(url).put(f"{who}/{number}", b"")


def _run_all(target, arguments: list[tuple]) -> None:
    processes = [fork.Process(target=target, args=args) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def test_processes_lose_no_increment(tmp_path: Path) -> None:
    """The values are of one length and may fall within one tick of the clock."""
    store = open_store(str(tmp_path))
    store.put("count", b"000")
    _run_all(_increment, [(store.url, 40)] * 4)
    assert store.get("count") == b"160"


def test_each_claim_is_won_by_one_process(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    _run_all(_claim, [(store.url, who) for who in range(5)])
    for number in range(20):
        winner = store.get(f"claims/{number}").decode()
        assert [e.key for e in store.list(f"wins/{number}/")] == [f"wins/{number}/{winner}"]


def test_a_sweep_spares_what_was_just_begun(tmp_path: Path) -> None:
    """Each new store sweeps at its first write, while the others begin theirs."""
    _run_all(_write_each_with_a_new_store, [(str(tmp_path), who) for who in range(3)])
    assert len(list(open_store(str(tmp_path)).list(""))) == 180


def test_tags_never_repeat(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    tags = {store.put("k", b"%03d" % i) for i in range(60)}
    assert len(tags) == 60


def test_versions_go_on_though_the_clock_went_back(tmp_path: Path) -> None:
    """Else a freed inode, the same size and one tick of the clock could bring a tag again."""
    store = open_store(str(tmp_path))
    store.put("k", b"one")
    future = time.time_ns() + 3600 * 10**9
    os.utime(store.path("k"), ns=(future, future))
    store.put("k", b"two")
    assert store.path("k").stat().st_mtime_ns > future


def test_an_edit_by_hand_changes_the_tag(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    tag = store.put("k", b"one")
    store.path("k").write_bytes(b"two")
    with pytest.raises(Conflict):
        store.put("k", b"three", only_if=tag)


WRITER = """
import pathlib, sys
from wm.store import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
for i in range(1_000_000):
    if sys.argv[2] == "put":
        store.put(f"objects/{i}", b"x" * (1 << 20))
    else:
        store.upload(pathlib.Path(sys.argv[3]), f"objects/{i}")
"""


@pytest.mark.parametrize("how", ["put", "upload"])
def test_a_killed_writer_leaves_whole_objects_only(tmp_path: Path, how: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * (1 << 20))
    store = open_store(str(tmp_path / "store"))
    for pause in (0.01, 0.05, 0.12):
        command = [sys.executable, "-c", WRITER, store.url, how, str(source)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(pause)
            writer.send_signal(signal.SIGKILL)
        assert {entry.size for entry in store.list("")} <= {1 << 20}
    assert list(store.list(""))


def test_temporaries_are_invisible_and_those_of_the_dead_are_swept(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from wm.store import open_store
store = open_store(sys.argv[1])
with store._temporary("k") as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    store = open_store(str(tmp_path))
    temporaries = tmp_path / ".wm" / "tmp"
    assert [file.read_bytes() for file in temporaries.iterdir()] == [b"half"]
    assert list(store.list("")) == []

    store.put("other", b"")
    assert list(temporaries.iterdir()) == []
    assert [entry.key for entry in store.list("")] == ["other"]


def test_the_living_are_not_swept(tmp_path: Path) -> None:
    writer = open_store(str(tmp_path))
    with writer._temporary("k") as file:
        file.write(b"half")
        open_store(str(tmp_path)).put("other", b"")
        file.write(b" and half")
        writer._publish(file, "k", None)
    assert writer.get("k") == b"half and half"
    assert list((tmp_path / ".wm" / "tmp").iterdir()) == []


def test_objects_have_the_usual_permissions(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    old = os.umask(0o027)
    try:
        store.put("k", b"")
    finally:
        os.umask(old)
    assert store.path("k").stat().st_mode & 0o777 == 0o640


def test_path_is_the_file(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put("a/b", b"x")
    assert store.path("a/b") == tmp_path / "a/b"
    with pytest.raises(NotFound, match="a/c"):
        store.path("a/c")


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(StoreUnreachable, match=r"cannot write a/b .*store") as caught:
        store.put("a/b", b"")
    assert "a file stands where a folder is needed" in caught.value.hint


def test_an_object_in_place_of_a_folder(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put("a", b"kept")
    store.put("b/c", b"kept")
    for key in ("a/b", "b"):
        with pytest.raises(StoreUnreachable, match=f"cannot write {key} "):
            store.put(key, b"")
    assert [entry.key for entry in store.list("")] == ["a", "b/c"]


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    store = open_store(str(small_disk / "store"))
    store.put("k", b"old")
    big = tmp_path / "big"
    big.write_bytes(bytes(2 << 20))
    for write in (lambda: store.put("k", bytes(2 << 20)), lambda: store.upload(big, "k")):
        with pytest.raises(StoreUnreachable, match=r"cannot write k .*No space left") as caught:
            write()
        assert "free space" in caught.value.hint
    assert store.get("k") == b"old"
    assert [entry.key for entry in store.list("")] == ["k"]
    assert list((small_disk / "store/.wm/tmp").iterdir()) == []

    store.put("k", b"new")
    assert store.get("k") == b"new"


def test_a_read_only_disk(small_disk: Path) -> None:
    store = open_store(str(small_disk))
    store.put("k", b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for write in (lambda: store.put("k", b"new"), lambda: store.delete("k")):
        with pytest.raises(StoreUnreachable, match="Read-only") as caught:
            write()
        assert "can be written" in caught.value.hint
    assert open_store(str(small_disk)).get("k") == b"old"
