"""Answers survive the way through the store, or are not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.chunks import dump_chunk, load_chunk
from wm.errors import BadData
from wm.games.game import Reason, Rejected

rejections = st.builds(Rejected, st.sampled_from(Reason), st.text())
chunks = st.lists(st.lists(st.binary() | rejections))


def plain(tasks: list[list[bytes | Rejected]]) -> list[list[object]]:
    """Exceptions do not compare by what they say."""
    return [[a if isinstance(a, bytes) else (a.reason, a.detail) for a in task] for task in tasks]


@given(chunks, st.integers(0, 10**8))
def test_what_goes_in_comes_out(tasks: list[list[bytes | Rejected]], chunk: int) -> None:
    data = dump_chunk(chunk, tasks)
    assert plain(load_chunk(chunk, data)) == plain(tasks)
    with pytest.raises(BadData, match=f"chunk {chunk + 1} of another member's answers is damaged"):
        load_chunk(chunk + 1, data)


@given(chunks, st.data())
def test_one_wrong_byte_is_found(tasks: list[list[bytes | Rejected]], drawn: st.DataObject) -> None:
    data = bytearray(dump_chunk(7, tasks))
    data[drawn.draw(st.integers(0, len(data) - 1))] ^= drawn.draw(st.integers(1, 255))
    with pytest.raises(BadData, match="is damaged"):
        load_chunk(7, bytes(data))
