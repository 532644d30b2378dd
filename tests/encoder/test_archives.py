"""Archives give up their members one by one, and a broken one never passes for a whole one."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest

from encoder.archives import members
from encoder.streams import Damaged, decompressed
from tests.support.archives import COMPRESS, SUFFIXES, write_archive
from wm.errors import BadData

NOISE = np.random.default_rng(0).bytes(60_000)
FILES = {"a.slp": NOISE, "empty.slp": b"", "deep/b.pgn": NOISE[:20_000] * 4, "c.txt": b"x"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_member_in_order(tmp_path: Path, suffix: str) -> None:
    path = write_archive(tmp_path / f"games{suffix}", FILES)
    found = [(m.name, m.open().read()) for m in members(path, path.name)]
    assert dict(found) == FILES
    if suffix != ".7z":  # which puts empty files in a list of their own
        assert [name for name, _ in found] == list(FILES)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_members_may_be_skipped_or_left_half_read(tmp_path: Path, suffix: str) -> None:
    path = write_archive(tmp_path / f"games{suffix}", FILES)
    found = [m.open().read(10) if m.name.endswith(".pgn") else None for m in members(path, "x")]
    assert [part for part in found if part] == [NOISE[:10]]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_may_be_left_in_the_middle(tmp_path: Path, suffix: str) -> None:
    path = write_archive(tmp_path / f"games{suffix}", FILES)
    threads = threading.active_count()
    iterator = members(path, "x")
    next(iterator).open().read(1)
    iterator.close()  # type: ignore[attr-defined]
    assert threading.active_count() == threads


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_cut_off_anywhere(tmp_path: Path, suffix: str, share: float) -> None:
    path = write_archive(tmp_path / f"games{suffix}", FILES)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    whole: list[str] = []
    with pytest.raises(BadData, match=r"is cut off or damaged: \d of its files") as error:
        _read_all(path, f"my{suffix}", whole)
    assert f"my{suffix} is cut off or damaged: {len(whole)} of its files" in error.value.message


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s != ".tar"])  # padded with zeros
def test_the_last_byte_counts(tmp_path: Path, suffix: str) -> None:
    path = write_archive(tmp_path / f"games{suffix}", FILES)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadData, match="is cut off or damaged"):
        _read_all(path, path.name, [])


def test_a_tar_cut_between_two_members(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "games.tar", FILES)
    path.write_bytes(path.read_bytes()[: 512 + 60_416])  # header and blocks of the first
    with pytest.raises(BadData, match="1 of its files could be read before its end mark"):
        _read_all(path, "games.tar", [])


def test_a_flipped_byte_in_a_zip_costs_one_member(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "games.zip", FILES)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    iterator = members(path, "games.zip")
    with pytest.raises(Damaged), next(iterator).open() as stream:
        stream.read()
    assert [m.name for m in iterator] == list(FILES)[1:]


def test_a_flipped_byte_in_a_7z(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "games.7z", FILES)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadData, match=r"games\.7z is cut off or damaged"):
        _read_all(path, "games.7z", [])


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_streams(suffix: str) -> None:
    data = COMPRESS[suffix](NOISE) + COMPRESS[suffix](b"second part")
    assert _read(data, suffix) == NOISE + b"second part"
    for cut in (10, len(data) // 2, len(data) - 1):
        with pytest.raises(Damaged):
            _read(data[:cut], suffix)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_is_not_compressed_at_all(suffix: str) -> None:
    with pytest.raises(Damaged):
        _read(b'[Event "plain text"]\n' * 100, suffix)


def _read(data: bytes, suffix: str) -> bytes:
    with decompressed(io.BytesIO(data), f"x{suffix}") as stream:
        return stream.read()


def _read_all(path: Path, name: str, whole: list[str]) -> None:
    for member in members(path, name):
        with member.open() as stream:
            assert stream.read() == FILES[member.name]
        whole.append(member.name)
