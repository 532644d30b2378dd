"""A data set is believed only as far as its manifest's checksums hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.support.datasets import publish_dataset
from wm.artifacts.dataset import list_datasets, load_manifest, open_dataset, verify_dataset
from wm.artifacts.shard import map_shard, view_shard
from wm.errors import BadData, InputMissing
from wm.games.game import Game
from wm.games.melee.schema import FRAME
from wm.store import Store, open_store


def chess_game(number: int, plies: int) -> Game:
    moves = np.arange(plies, dtype="<u2") + 2 + number
    rows = {"moves": moves, "phases": np.ones(plies, np.uint8)}
    return Game(f"{number:032x}", rows, facts={"winner": number % 3})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def key(store: Store) -> str:
    shards = {"train": [[chess_game(1, 9), chess_game(2, 12)], [chess_game(3, 10)]]}
    return publish_dataset(store, "chess", {**shards, "val": [[chess_game(4, 11)]]})


def test_games_come_back_in_order(store: Store, key: str, tmp_path: Path) -> None:
    dataset = open_dataset(store, key, tmp_path / "cache")
    train = dataset.split("train")
    assert (train.games, train.rows) == (3, 31)
    assert [shard.offsets.tolist() for shard in train.shards] == [[0, 9, 21], [0, 10]]
    first = train.shards[0]
    assert first.rows["moves"][9:21].tolist() == list(range(4, 16))
    assert first.rows["moves"].dtype == np.uint16
    assert first.facts["winner"].tolist() == [1, 2]
    assert bytes(first.identity[1]).hex() == f"{2:032x}"
    assert dataset.split("test").shards == []
    with pytest.raises(ValueError, match="read-only"):
        first.rows["moves"][0] = 0


def test_melee_frames_are_bytes(store: Store, tmp_path: Path) -> None:
    frames = np.zeros(5, FRAME)
    frames["f32"] = 1.5
    key = publish_dataset(store, "melee", {"train": [[Game("0" * 32, {"frames": frames})]]})
    rows = open_dataset(store, key, tmp_path).split("train").shards[0].rows["frames"]
    assert rows.shape == (5, 104)
    assert (rows.reshape(-1).view(FRAME) == frames).all()


def test_any_safetensors_reader_opens_a_shard(store: Store, key: str) -> None:
    info = next(load_manifest(store, key).shards())
    path = store.path(info.key)
    with safe_open(path, framework="np") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    ours = map_shard(path)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values)


@pytest.mark.parametrize("where", [0, 100, -1])
def test_one_changed_byte_names_the_shard(
    store: Store, key: str, tmp_path: Path, where: int
) -> None:
    info = list(load_manifest(store, key).shards())[1]
    data = bytearray(store.get(info.key))
    data[where] ^= 1
    store.put(info.key, bytes(data))
    for read in (lambda: open_dataset(store, key, tmp_path), lambda: verify_dataset(store, key)):
        with pytest.raises(BadData, match=r"train-00001\.safetensors differs from its manifest"):
            read()


def test_missing_shard_and_missing_data_set(store: Store, key: str, tmp_path: Path) -> None:
    store.delete(next(load_manifest(store, key).shards()).key)
    with pytest.raises(InputMissing, match=r"train-00000\.safetensors is named by its manifest"):
        open_dataset(store, key, tmp_path)
    with pytest.raises(InputMissing, match="there is no data set at datasets/tiny/none"):
        open_dataset(store, "datasets/tiny/none", tmp_path)


def test_a_manifest_of_another_shape(store: Store, key: str) -> None:
    store.put(f"{key}/manifest.json", b'{"format": 2}')
    with pytest.raises(BadData, match="manifest of format 1: format"):
        load_manifest(store, key)


def test_a_remote_store_is_downloaded_once(store: Store, key: str, tmp_path: Path) -> None:
    remote = _Remote(store)
    cache = tmp_path / "cache"
    games = open_dataset(remote, key, cache).split("train").games
    assert (games, remote.downloads) == (3, 3)
    open_dataset(remote, key, cache)
    assert remote.downloads == 3
    damaged = next(cache.rglob("train-00000*"))
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    open_dataset(remote, key, cache)
    assert remote.downloads == 4


def test_only_finished_data_sets_are_listed(store: Store, key: str) -> None:
    store.put("datasets/tiny/beef/shards/train-00000.safetensors", b"x")
    assert list(list_datasets(store)) == [key]
    assert verify_dataset(store, key).accepted == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        b"\x02\0\0\0\0\0\0\0{}"[:9],
        b'\x40\0\0\0\0\0\0\0{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}'.ljust(72) + b"x",
        b'\x40\0\0\0\0\0\0\0{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,1]}}'.ljust(72) + b"x",
    ],
)
def test_what_is_no_shard(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"short|cut off|outside|does not fit"):
        view_shard(np.frombuffer(data, np.uint8))


class _Remote:
    """A directory store that hides its files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.downloads = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def path(self, key: str) -> None:
        return None

    def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        self.downloads += 1
        self._store.download(key, path, sha256=sha256)
