from __future__ import annotations

import time
from pathlib import Path

import pytest

from wm.errors import BadData
from wm.store import Conflict, Store, open_store
from wmctl.run.history import History

KEY = "runs/r/events.jsonl"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def test_events_are_appended_and_read_again(store: Store) -> None:
    history = History(store, "r")
    assert history.events == []
    history.append("submitted", at=1.5)
    first = store.get(KEY)
    event = history.append("ended", at=2.5, stage="enc", attempt=1, code=0, detail={"hit": True})
    assert store.get(KEY).startswith(first), "what was written stays as it was"
    assert history.events[-1] == event
    assert History(store, "r").events == history.events
    assert [e.time for e in history.events] == [1.5, 2.5]


def test_without_a_moment_it_is_now(store: Store) -> None:
    before = time.time()
    event = History(store, "r").append("submitted")
    assert before <= event.time <= time.time()
    assert History(store, "r").append("finished", at=0.0).time == 0.0


def test_a_later_writer_goes_on_where_the_first_one_ended(store: Store) -> None:
    History(store, "r").append("submitted", at=1.0)
    History(store, "r").append("resumed", at=2.0)
    assert [e.event for e in History(store, "r").events] == ["submitted", "resumed"]


def test_two_writers_at_once_are_a_conflict_and_nothing_is_lost(store: Store) -> None:
    one, other = History(store, "r"), History(store, "r")
    one.append("submitted", at=1.0)
    with pytest.raises(Conflict):
        other.append("submitted", at=2.0)
    late = History(store, "r")
    one.append("cancelled", at=3.0)
    with pytest.raises(Conflict):
        late.append("finished", at=4.0)
    assert late.events[-1].event == "submitted", "what was not written did not happen"
    assert [e.time for e in History(store, "r").events] == [1.0, 3.0]


@pytest.mark.parametrize("line", [b'{"time": 1, "event": "rested"}', b"{", b'{"event": "gate"}'])
def test_a_damaged_history_is_one_sentence(store: Store, line: bytes) -> None:
    History(store, "r").append("submitted", at=1.0)
    store.put(KEY, store.get(KEY) + line + b"\n")
    with pytest.raises(BadData, match=r"events\.jsonl is damaged or of another version"):
        History(store, "r")
