"""Sending files into a directory; tests/wm/store/test_multipart.py has S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from wm.errors import BadData
from wm.store.directory import DirectoryStore
from wm.store.send import open_sender


def test_a_copy_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    (tmp_path / "file").write_bytes(b"content")
    told: list[tuple[int, bool]] = []
    with open_sender(store, lambda count, moved: told.append((count, moved))) as sender:
        for content in (b"content", b"content", b"CONTENT"):
            (tmp_path / "file").write_bytes(content)
            sent = sender.send(tmp_path / "file", "raw/n/f", store.head("raw/n/f")).result()
            assert store.get("raw/n/f", sha256=sent.sha256) == content
    assert told == [(7, True), (7, False), (7, True)]


def test_a_file_that_changes_between_reading_and_copying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryStore(tmp_path / "store")
    file = tmp_path / "file"
    file.write_bytes(b"content")
    upload = store.upload

    def changed(path: Path, key: str) -> object:
        file.write_bytes(b"CONTENT")
        return upload(path, key)

    monkeypatch.setattr(store, "upload", changed)
    sender = open_sender(store, lambda count, moved: None)
    with sender, pytest.raises(BadData, match="changed while it was read"):
        sender.send(file, "raw/n/f", None)
    assert store.head("raw/n/f") is None
