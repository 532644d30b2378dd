"""``wmctl logs``: attempts, members, the conductor; followed while the store comes and goes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pytest

from tests.support.cli import wmctl
from tests.support.faults import Fault, faulty_proxy
from tests.support.runs import PLAN, small_run
from tests.support.s3 import S3Server
from wm.stage.chunks import chunk_key, log_end
from wm.store import Store, open_store
from wmctl.run.history import History

ROOT = Path(__file__).resolve().parents[3]


def begin(store: Store, *, pods: int = 1) -> History:
    """A run whose encode stage has failed once and works on its second attempt."""
    plan = deepcopy(PLAN)
    plan["stages"]["enc"]["pods"] = pods
    store.put("runs/r/spec.json", small_run(**plan).model_dump_json().encode())
    history = History(store, "r")
    history.append("submitted")
    history.append("started", stage="enc", attempt=1)
    history.append("ended", stage="enc", attempt=1, code=137)
    history.append("started", stage="enc", attempt=2)
    return history


def say(store: Store, prefix: str, text: bytes) -> None:
    store.put(chunk_key(prefix, log_end(store, prefix)), text)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_earlier_attempts_come_first(store: Store, tmp_path: Path) -> None:
    begin(store)
    say(store, "runs/r/enc/01", b"first\nKilled")  # a killed process leaves half a line
    say(store, "runs/r/enc/02", b"second\nhalf a li")
    assert wmctl(tmp_path, "logs", "r", "enc").out == "first\nKilled\nsecond\n"
    assert wmctl(tmp_path, "logs", "r", "enc", "--attempt", "1").out == "first\nKilled\n"
    assert wmctl(tmp_path, "logs", "r").out == "enc: first\nenc: Killed\nenc: second\n"


def test_members_are_told_apart(store: Store, tmp_path: Path) -> None:
    begin(store, pods=3)
    say(store, "runs/r/enc/02", b"of the first\n")
    say(store, "runs/r/enc/02/members/2", b"of the third\n")
    lines = "enc[0]: of the first\nenc[2]: of the third\n"
    assert wmctl(tmp_path, "logs", "r", "enc").out == lines
    assert wmctl(tmp_path, "logs", "r").out == lines


@pytest.mark.parametrize(("tail", "lines"), [(0, ""), (1, "c\n"), (2, "b\nc\n"), (9, "a\nb\nc\n")])
def test_the_last_lines(store: Store, tmp_path: Path, tail: int, lines: str) -> None:
    begin(store)
    say(store, "runs/r/enc/02", b"a\nb")
    say(store, "runs/r/enc/02", b"\nc\n")
    assert wmctl(tmp_path, "logs", "r", "enc", "--tail", str(tail)).out == lines


def test_the_conductors_own_log(store: Store, tmp_path: Path) -> None:
    begin(store)
    say(store, "runs/r/conductor/01", b"begun\n")
    say(store, "runs/r/conductor/02", b"gone on\n")
    assert wmctl(tmp_path, "logs", "r", "conductor").out == "begun\ngone on\n"
    assert wmctl(tmp_path, "logs", "r", "conductor", "--attempt", "2").out == "gone on\n"
    assert wmctl(tmp_path, "logs", "r").out == "", "it is no stage"


@contextmanager
def following(url: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    main = "from wmctl.cli import main; main()"
    command = [sys.executable, "-c", main, "--store", url, "logs", "r", *words, "-f"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_followed_until_the_run_is_finished_and_everything_is_printed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    history = begin(store)
    say(store, "runs/r/enc/01", b"first\n")
    say(store, "runs/r/enc/02", b"second\nhalf a li")
    with following(str(tmp_path), "enc") as process:
        assert process.stdout
        assert [process.stdout.readline() for _ in range(2)] == ["first\n", "second\n"]
        say(store, "runs/r/enc/02", b"ne\n")
        assert process.stdout.readline() == "half a line\n"
        say(store, "runs/r/enc/02", b"last words")
        history.append("ended", stage="enc", attempt=2, code=65)
        history.append("finished", code=65)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "last words\n", "")


def test_following_the_conductor_waits_for_its_last_lines(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    history = begin(store)
    say(store, "runs/r/conductor/01", b"begun\n")
    with following(str(tmp_path), "conductor") as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        history.append("finished", code=0)
        time.sleep(1.5)
        say(store, "runs/r/conductor/01", b"that was it\n")
        assert process.communicate(timeout=30)[0] == "that was it\n"


def test_following_survives_a_store_that_is_away(s3_server: S3Server, s3_url: str) -> None:
    store = open_store(s3_url)
    history = begin(store)
    say(store, "runs/r/enc/02", b"before\n")
    with faulty_proxy(s3_server.port) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        with following(s3_url, "enc") as process:
            assert process.stdout
            assert process.stderr
            assert process.stdout.readline() == "before\n"
            proxy.fail(Fault.INTERNAL, times=1_000_000)
            said = process.stderr.readline()
            assert said.endswith("the store answered InternalError planned; still trying\n")
            time.sleep(3)
            say(store, "runs/r/enc/02", b"after\n")
            proxy.heal()
            assert process.stdout.readline() == "after\n"
            assert process.stderr.readline() == "the store is back\n", "and nothing in between"
            history.append("finished", code=0)
            assert process.communicate(timeout=30) == ("", "")
            assert process.returncode == 0
