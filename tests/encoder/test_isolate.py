"""Whatever a reader does, it costs one request and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from encoder.isolate import Isolated
from encoder.worker import Reader
from tests.support.readers import killed_once, misbehave
from wm.errors import BadConfig, Exit
from wm.games.game import Reason, Rejected
from wm.stage.memory import OutOfMemory

Ask = Callable[[bytes], bytes]


def ask_one(item: bytes, ask: Ask) -> list[bytes | Rejected]:
    try:
        return [ask(item)]
    except Rejected as rejected:
        return [rejected]


@pytest.fixture
def isolated(tmp_path: Path) -> Iterator[Callable[..., Isolated]]:
    pools = []

    def start(reader: Reader = misbehave, workers: int = 1, timeout: float = 30) -> Isolated:
        pools.append(Isolated(reader, workers, timeout, tmp_path))
        return pools[-1]

    yield start
    for pool in pools:
        pool.__exit__(None, None, None)


def test_one_bad_request_among_good_ones(isolated: Callable[..., Isolated]) -> None:
    bad = [b"panic", b"abort", b"exit", b"trip", b"reject", b"bomb"]
    items = [part for name in bad for part in (name, b"good")]
    found = list(isolated().map(ask_one, items))
    assert [item for item, _ in found] == items
    answers = [answer for _, (answer,) in found]
    assert answers[1::2] == [b"good"] * len(bad)
    reasons = {name: (a.reason, a.detail) for name, a in zip(bad, answers[::2], strict=True)}
    assert reasons == {
        b"panic": (
            Reason.PARSER_PANIC,
            "PanicException: called `Option::unwrap()` on a `None` value",
        ),
        b"abort": (
            Reason.PARSER_PANIC,
            "its reader ended by signal SIGABRT: fatal runtime error",
        ),
        b"exit": (Reason.PARSER_PANIC, "its reader ended by an early exit"),
        b"trip": (Reason.UNREADABLE, "KeyError: 'stage'"),
        b"reject": (Reason.TOO_SHORT, "3 frames"),
        b"bomb": (Reason.UNREADABLE, "needs more than 4 GiB to read"),
    }


def test_a_hang_ends_at_the_time_limit(isolated: Callable[..., Isolated]) -> None:
    pool = isolated(timeout=3)
    list(pool.map(ask_one, [b"warm"]))
    began = time.monotonic()
    (_, (hung,)), (_, (after,)) = pool.map(ask_one, [b"hang", b"good"])
    assert time.monotonic() - began < 15
    assert isinstance(hung, Rejected)
    assert (hung.reason, hung.detail) == (Reason.TIMEOUT, "no answer within 3 s")
    assert after == b"good"


def test_an_innocent_victim_of_the_kernel_is_read_again(
    isolated: Callable[..., Isolated], tmp_path: Path
) -> None:
    item = str(tmp_path / "mark").encode()
    assert list(isolated(killed_once).map(ask_one, [item])) == [(item, [b"read"])]


def test_a_reader_killed_twice_ends_the_stage_and_costs_no_input(
    isolated: Callable[..., Isolated],
) -> None:
    with pytest.raises(OutOfMemory, match="killed twice over the same input") as error:
        list(isolated(workers=2).map(ask_one, [b"good", b"killed", b"good"]))
    assert error.value.code == Exit.KILLED


def test_memory_that_runs_out_while_a_reader_starts_is_no_bug(
    isolated: Callable[..., Isolated], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -KILL $$\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(OutOfMemory):
        list(isolated().map(ask_one, [b"good"]))


def test_a_library_that_is_not_installed_is_no_bad_input(
    isolated: Callable[..., Isolated],
) -> None:
    with pytest.raises(BadConfig, match="No module named 'peppi_py'"):
        list(isolated().map(ask_one, [b"no library"]))


def test_a_process_that_does_not_start_is_no_bad_input(
    isolated: Callable[..., Isolated], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RuntimeError, match="a reader's process did not start"):
        list(isolated().map(ask_one, [b"good"]))


def test_results_keep_their_order_and_few_are_in_memory(
    isolated: Callable[..., Isolated],
) -> None:
    taken = 0

    def items() -> Iterator[bytes]:
        nonlocal taken
        for number in range(200):
            taken += 1
            yield str(number).encode()

    for number, (item, answer) in enumerate(isolated(workers=2).map(ask_one, items())):
        assert answer == [item] == [str(number).encode()]
        assert taken - number <= 8


def test_no_worker_is_left_behind(isolated: Callable[..., Isolated]) -> None:
    pool = isolated(timeout=600)
    with pool:
        results = pool.map(ask_one, [b"good", b"hang", b"hang", b"hang", b"hang"])
        next(results)
        (worker,) = pool._workers
        process = worker._process
    assert process is not None
    assert not Path(f"/proc/{process.pid}").exists()
