"""Logs on their way to a store that is slow, away, or back again."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.disk import small_tmpfs
from tests.support.faults import Fault, FaultyProxy, faulty_proxy
from tests.support.s3 import S3Server
from wm.stage.chunks import read_log
from wm.store import open_store
from wm.store.s3 import S3Store

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "runs/r/s/01"

SHIP = """
import os, pathlib, sys, time
from wm.stage import log
from wm.store import open_store
log.SHIP_EVERY = 0.2
store = open_store(sys.argv[1], patience=0.2)
with log.LogShipper(store, "runs/r/s/01", pathlib.Path(sys.argv[2])):
    exec(sys.argv[3])
"""


def ship(url: str, spool: Path, deed: str) -> subprocess.CompletedProcess[bytes]:
    """A process that does the deed while its log is shipped every 0.2 s."""
    command = [sys.executable, "-c", SHIP, url, str(spool), deed]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)


@pytest.fixture
def proxy(
    s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        yield proxy


MUCH = "for n in range(60_000): print(f'line {n} ' + 'x' * 20)"


def test_a_long_log_comes_whole_in_chunks_that_are_sent_once(
    proxy: FaultyProxy, s3_url: str, tmp_path: Path
) -> None:
    done = ship(s3_url, tmp_path / "spool", MUCH)
    assert done.returncode == 0, done.stderr
    store = open_store(s3_url)
    assert read_log(store, PREFIX) == done.stdout
    sizes = [entry.size for entry in store.list(PREFIX)]
    assert sum(sizes) > 1_800_000
    assert all(256 << 10 <= size < 321 << 10 for size in sizes[:-1])
    sent = sum(request.startswith("PUT ") for request in proxy.requests)
    assert sent <= 2 * len(sizes) + 2, "only the open chunk is sent again"
    assert [path.name for path in (tmp_path / "spool").iterdir()] == [f"{sum(sizes[:-1]):012d}"], (
        "what is shipped leaves the disk, but for the open chunk"
    )


def test_a_store_that_is_away_neither_blocks_nor_loses_anything(
    proxy: FaultyProxy, s3_url: str, tmp_path: Path
) -> None:
    """More is written than a pipe holds, at once; after the store's return all of it is there."""
    proxy.fail(Fault.SLOW_DOWN, times=1_000_000)
    (tmp_path / "back").touch()
    deed = f"""
began = time.monotonic()
{MUCH}
sys.stdout.flush()
took = time.monotonic() - began
print('took', took)
pathlib.Path({str(tmp_path / "written")!r}).touch()
while pathlib.Path({str(tmp_path / "back")!r}).exists(): time.sleep(0.05)
"""
    result: list[subprocess.CompletedProcess[bytes]] = []
    running = threading.Thread(
        target=lambda: result.append(ship(s3_url, tmp_path / "spool", deed)), daemon=True
    )
    running.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "written").exists():
        assert time.monotonic() < deadline, "output is held up by a store that is away"
        time.sleep(0.05)
    while not proxy.requests:
        assert time.monotonic() < deadline, "nobody tried to ship it"
        time.sleep(0.05)
    proxy.heal()
    (tmp_path / "back").unlink()
    running.join(60)
    assert result[0].returncode == 0
    assert read_log(S3Store(s3_url, patience=5), PREFIX) == result[0].stdout


def test_a_store_that_stays_away_holds_up_the_end_for_seconds_only(
    proxy: FaultyProxy, s3_url: str, tmp_path: Path
) -> None:
    proxy.fail(Fault.INTERNAL, times=1_000_000)
    began = time.monotonic()
    done = ship(s3_url, tmp_path / "spool", "print('hello')")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")
    assert time.monotonic() - began < 20


def test_a_full_disk_does_not_stop_the_stage(tmp_path: Path) -> None:
    deed = f"{MUCH}\nprint('last words', flush=True)"
    with small_tmpfs(tmp_path / "disk", "1m") as disk:
        done = ship(str(tmp_path / "store"), disk / "spool", deed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"last words\n")
    text = read_log(open_store(str(tmp_path / "store")), PREFIX)
    assert text.startswith(b"line 0 "), "what there was room for is kept"


def test_a_second_process_goes_on_behind_the_first(tmp_path: Path) -> None:
    for number in (1, 2):
        ship(str(tmp_path / "store"), tmp_path / f"spool{number}", f"print('process {number}')")
    text = read_log(open_store(str(tmp_path / "store")), PREFIX)
    assert text == b"process 1\nprocess 2\n"


def test_lines_are_in_the_store_soon_and_after_sigkill(tmp_path: Path) -> None:
    deed = "print('early', flush=True); time.sleep(1.5); os.kill(os.getpid(), 9)"
    done = ship(str(tmp_path / "store"), tmp_path / "spool", deed)
    assert done.returncode == -9
    assert read_log(open_store(str(tmp_path / "store")), PREFIX) == b"early\n"
