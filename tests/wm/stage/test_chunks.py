"""A log in chunks: read on from anywhere, completed from what the platform kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm.stage import chunks
from wm.stage.chunks import LogReader, append_missing, chunk_key, log_end, read_log, tail_start
from wm.store import Store, open_store

PREFIX = "runs/r/s/01"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def write(store: Store, *pieces: bytes) -> None:
    """Each piece as a chunk of its own behind what is there."""
    for piece in filter(None, pieces):
        store.put(chunk_key(PREFIX, log_end(store, PREFIX)), piece)


def test_what_is_not_there_is_empty(store: Store) -> None:
    assert (read_log(store, PREFIX), log_end(store, PREFIX)) == (b"", 0)
    assert tail_start(store, PREFIX, 3) == 0


def test_a_log_is_read_from_any_offset(store: Store) -> None:
    write(store, b"one\ntw", b"o\nthree\n")
    whole = b"one\ntwo\nthree\n"
    assert [read_log(store, PREFIX, start) for start in range(16)] == [
        whole[start:] for start in range(16)
    ]


def test_a_chunk_that_grows_is_read_on(store: Store) -> None:
    write(store, b"closed\n", b"op")
    reader = LogReader(store, PREFIX)
    assert b"".join(reader.new()) == b"closed\nop"
    assert list(reader.new()) == []
    store.put(chunk_key(PREFIX, 7), b"open\n")
    store.put(chunk_key(PREFIX, 12), b"next\n")
    assert list(reader.new()) == [b"en\n", b"next\n"]


def test_members_and_other_objects_are_no_part_of_it(store: Store) -> None:
    write(store, b"mine\n")
    store.put(f"{PREFIX}/members/1/log/000000000000.txt", b"another's\n")
    store.put(f"{PREFIX}/log/notes.txt", b"a note\n")
    assert read_log(store, PREFIX) == b"mine\n"


@pytest.mark.parametrize("text", [b"", b"a\n", b"a\nbc\n\nd\n", b"a\nbc\nd"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_last_lines_are_found(store: Store, text: bytes, size: int) -> None:
    write(store, *(text[at : at + size] for at in range(0, len(text), size)))
    lines = text.splitlines(keepends=True)
    for count in range(len(lines) + 2):
        kept = lines[max(0, len(lines) - count) :]
        assert text[tail_start(store, PREFIX, count) :] == b"".join(kept), count


BEFORE = b"a warning of a library\n"
SHIPPED = b"12:00 begun\n12:01 step 1\n12:02 st"
LOST = b"ep 2\n12:03 step 3\nKilled\n"


@pytest.mark.parametrize(
    ("there", "text", "then"),
    [
        (SHIPPED, SHIPPED + LOST, SHIPPED + LOST),
        (SHIPPED, BEFORE + SHIPPED + LOST, SHIPPED + LOST),
        (SHIPPED, b"gun\n12:01 step 1\n12:02 st" + LOST, SHIPPED + LOST),  # cut off in front
        (SHIPPED + LOST, SHIPPED + LOST, SHIPPED + LOST),
        (SHIPPED + LOST, BEFORE + SHIPPED + LOST, SHIPPED + LOST),
        (SHIPPED + LOST, LOST[-12:], SHIPPED + LOST),
        (b"", SHIPPED + LOST, SHIPPED + LOST),
        (SHIPPED, b"", SHIPPED),
        (b"tick\n", b"tick\ntick\ntick\n", b"tick\ntick\ntick\n"),
        # an earlier process of the same member, of which nothing is in this text
        (b"11:00 earlier\n", SHIPPED, b"11:00 earlier\n" + SHIPPED),
        (b"11:00 earl", SHIPPED, b"11:00 earl\n" + SHIPPED),
        (b"11:00 earlier\n" + SHIPPED, SHIPPED + LOST, b"11:00 earlier\n" + SHIPPED + LOST),
        (b"11:00 earlier\n\n", b"a\n\nb\n", b"11:00 earlier\n\na\n\nb\n"),
    ],
)
def test_a_log_is_completed_and_no_line_comes_twice(
    store: Store, there: bytes, text: bytes, then: bytes
) -> None:
    write(store, there)
    append_missing(store, PREFIX, text)
    assert read_log(store, PREFIX) == then
    append_missing(store, PREFIX, text)
    assert read_log(store, PREFIX) == then, "doing it again changes nothing"


def test_what_was_missing_comes_in_chunks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 100)
    text = b"".join(b"line %d\n" % n for n in range(50))
    write(store, text[:33])
    append_missing(store, PREFIX, text)
    assert read_log(store, PREFIX) == text
    assert max(entry.size for entry in store.list(PREFIX)) == 100


@given(
    lines=st.lists(st.integers(0, 10**6), max_size=30, unique=True),
    data=st.data(),
)
def test_any_cut_behind_a_whole_line_is_found(lines: list[int], data: st.DataObject) -> None:
    text = b"".join(b"%07d\n" % line for line in lines)
    begun = 8 * data.draw(st.integers(0, max(0, len(lines) - 1)))
    shipped = data.draw(st.integers(min(begun + 8, len(text)), len(text)))
    assert chunks._unseen(text[begun:shipped], text) == text[shipped:]
