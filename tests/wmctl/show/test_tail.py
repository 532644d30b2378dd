"""The last lines of a log, for little."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runs import Script, small_run
from wm.stage.chunks import chunk_key
from wm.store import Store, open_store
from wmctl.run.fold import read_state
from wmctl.show.tail import MOST, last_lines, last_words

PREFIX = "runs/r/enc/01"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"one", ["one"]),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo\nthree\nfour\nfi", ["three", "four", "fi"]),
        (b"one\n\n\n  two  \n", ["one", "  two"]),
        (b"\x1b[31mred\x1b[0m\x07\xff\n", ["red\ufffd"]),
    ],
)
def test_the_last_lines(store: Store, text: bytes, lines: list[str]) -> None:
    store.put(chunk_key(PREFIX, 0), text)
    assert last_lines(store, PREFIX) == lines


def test_there_is_no_log(store: Store) -> None:
    assert last_lines(store, PREFIX) == []


def test_only_the_end_of_the_newest_chunk_is_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(chunk_key(PREFIX, 0), b"old\n" * 1000)
    store.put(chunk_key(PREFIX, 4000), b"x" * 5000 + b"\nyoung\n")
    read, inner = [], store.open_range

    def counted(key: str, start: int, stop: int) -> bytes:
        read.append(stop - start)
        return inner(key, start, stop)

    monkeypatch.setattr(store, "open_range", counted)
    assert last_lines(store, PREFIX) == ["young"]
    assert read == [MOST]


def test_a_line_longer_than_what_is_read_is_shown_in_part(store: Store) -> None:
    store.put(chunk_key(PREFIX, 0), b"x" * 5000)
    assert last_lines(store, PREFIX) == ["x" * MOST]


def test_stages_that_run_are_heard_and_no_more_than_wanted(store: Store) -> None:
    script = Script().add("submitted").walk("enc")
    for stage in ("train-winner", "train-loser"):
        script.add("started", stage=stage, attempt=1)
        store.put(chunk_key(f"runs/r/{stage}/01", 0), f"of {stage}\n".encode())
    store.put(chunk_key(PREFIX, 0), b"of enc\n")
    spec = small_run()
    state = read_state(spec, script.events)
    words = {"train/winner": ["of train-winner"], "train/loser": ["of train-loser"]}
    assert last_words(store, spec, state, ("running",)) == words
    assert list(last_words(store, spec, state, ("running",), 1)) == ["train/winner"]
    assert last_words(store, spec, state, ("failed",)) == {}
