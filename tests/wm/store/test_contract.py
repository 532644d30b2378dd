"""What every store promises, tried on each kind."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from wm.errors import BadConfig, BadData, InputMissing, StoreUnreachable
from wm.store import ABSENT, Conflict, NotFound, Store, Tag, open_store


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def keys(store: Store, prefix: str = "") -> list[str]:
    return [entry.key for entry in store.list(prefix)]


def test_what_is_put_is_got(store: Store) -> None:
    tag = store.put("runs/a/spec.json", b"{}")
    assert store.get("runs/a/spec.json") == b"{}"
    assert store.get_tagged("runs/a/spec.json") == (b"{}", tag)
    assert open_store(store.url).get("runs/a/spec.json") == b"{}"


def test_put_replaces_and_changes_the_tag(store: Store) -> None:
    first = store.put("k", b"one")
    second = store.put("k", b"two")
    assert first != second
    assert store.get_tagged("k") == (b"two", second)


def test_empty_objects_and_other_alphabets(store: Store) -> None:
    store.put("leer", b"")
    store.put("モデル/é ü+%?#&=.json", b"x")
    assert store.get("leer") == b""
    assert store.get("モデル/é ü+%?#&=.json") == b"x"
    assert keys(store) == ["leer", "モデル/é ü+%?#&=.json"]


def test_a_missing_key_is_named(store: Store, tmp_path: Path) -> None:
    store.put("there/is", b"")
    for missing in ("not/here", "there", "there/is/below"):
        with pytest.raises(NotFound, match=f"there is no {missing} in the store"):
            store.get(missing)
        with pytest.raises(NotFound, match=missing):
            store.get_tagged(missing)
        with pytest.raises(NotFound, match=missing):
            store.open_range(missing, 0, 1)
        with pytest.raises(NotFound, match=missing):
            store.download(missing, tmp_path / "file")
        assert store.head(missing) is None
    assert not list(tmp_path.glob("*file*"))


def test_head_and_list_tell_the_same(store: Store) -> None:
    tag = store.put("a/b", b"12345")
    entry = store.head("a/b")
    assert entry is not None
    assert (entry.key, entry.size, entry.tag) == ("a/b", 5, tag)
    [listed] = store.list("a/")
    assert (listed.key, listed.size, listed.tag) == ("a/b", 5, tag)
    assert listed.modified == pytest.approx(entry.modified, abs=1)


def test_list_is_by_prefix_in_order_of_keys(store: Store) -> None:
    names = ["a", "b-c/x", "b/10", "b/9", "b/d/e", "b0", "ba", "c"]
    for name in reversed(names):
        store.put(name, b"")
    assert keys(store) == names
    assert keys(store, "b") == ["b-c/x", "b/10", "b/9", "b/d/e", "b0", "ba"]
    assert keys(store, "b/") == ["b/10", "b/9", "b/d/e"]
    assert keys(store, "b/d/e") == ["b/d/e"]
    assert keys(store, "b/d/e/") == []
    assert keys(store, "nothing/") == []


def test_ranges_are_cut_like_slices(store: Store) -> None:
    data = bytes(range(100))
    store.put("k", data)
    for start, stop in ((0, 100), (10, 20), (99, 100), (90, 1000), (100, 110), (7, 7), (9, 3)):
        assert store.open_range("k", start, stop) == data[start:stop]


def test_create_if_absent_keeps_the_first(store: Store) -> None:
    store.put("ledger/1", b"first", only_if=ABSENT)
    with pytest.raises(Conflict, match="ledger/1"):
        store.put("ledger/1", b"second", only_if=ABSENT)
    assert store.get("ledger/1") == b"first"
    store.delete("ledger/1")
    store.put("ledger/1", b"third", only_if=ABSENT)
    assert store.get("ledger/1") == b"third"


def test_compare_and_swap(store: Store) -> None:
    old = store.put("alias", b"v1")
    new = store.put("alias", b"v2", only_if=old)
    with pytest.raises(Conflict, match="alias"):
        store.put("alias", b"v3", only_if=old)
    assert store.get_tagged("alias") == (b"v2", new)


def test_compare_and_swap_needs_an_object(store: Store) -> None:
    tag = store.put("alias", b"v1")
    store.delete("alias")
    with pytest.raises(Conflict, match="alias"):
        store.put("alias", b"v2", only_if=tag)
    with pytest.raises(Conflict, match="never"):
        store.put("never", b"v2", only_if=Tag('"0123456789abcdef0123456789abcdef"'))
    assert keys(store) == []


def test_delete_twice_is_no_error(store: Store) -> None:
    store.put("a/b", b"")
    store.put("a/c", b"")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("other/one")
    assert keys(store) == ["a/c"]


def test_a_damaged_object_is_named_with_both_digests(store: Store, tmp_path: Path) -> None:
    good, bad = b"good", b"goof"
    store.put("shards/0", bad)
    for read in (
        lambda: store.get("shards/0", sha256=digest(good)),
        lambda: store.download("shards/0", tmp_path / "file", sha256=digest(good)),
    ):
        with pytest.raises(BadData, match="shards/0") as caught:
            read()
        assert digest(bad)[:12] in caught.value.message
        assert digest(good)[:12] in caught.value.message
    assert not list(tmp_path.glob("*file*"))
    assert store.get("shards/0", sha256=digest(bad).upper()) == bad


@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_a_file_goes_up_and_comes_down(store: Store, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    source, target = tmp_path / "source", tmp_path / "new" / "target"
    source.write_bytes(data)
    entry = store.upload(source, "files/one")
    assert entry == store.head("files/one")
    assert entry.size == size
    store.download("files/one", target, sha256=digest(data))
    assert target.read_bytes() == data
    assert list(target.parent.iterdir()) == [target]


def test_download_replaces_an_older_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old and longer")
    store.put("k", b"new")
    store.download("k", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_download_by_many_at_once(store: Store, tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    store.put("k", data)
    target = tmp_path / "cache" / "file"
    threads = [
        threading.Thread(target=store.download, args=("k", target), kwargs={"sha256": digest(data)})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == data
    assert list(target.parent.iterdir()) == [target]


def test_a_full_disk_at_the_other_end_of_a_download(store: Store, small_disk: Path) -> None:
    store.put("k", bytes(2 << 20))
    with pytest.raises(StoreUnreachable, match=r"cannot copy k to .*disk.*No space left") as caught:
        store.download("k", small_disk / "file")
    assert "free space" in caught.value.hint
    assert not (small_disk / "file").exists()


def test_upload_of_no_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"there is no file .*absent"):
        store.upload(tmp_path / "absent.bin", "k")


def test_bad_keys_are_refused_by_every_method(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for use in (
        store.get,
        store.get_tagged,
        store.head,
        store.delete,
        lambda key: store.put(key, b""),
        lambda key: store.open_range(key, 0, 1),
        lambda key: store.download(key, tmp_path / "x"),
        lambda key: store.upload(tmp_path / "file", key),
    ):
        with pytest.raises(BadConfig, match="cannot name an object"):
            use("a/../../b")
    with pytest.raises(BadConfig, match="cannot name an object"):
        list(store.list("../"))


def test_one_of_many_threads_creates(store: Store) -> None:
    wins = _race(8, lambda i: store.put("claim", b"%d" % i, only_if=ABSENT))
    assert len(wins) == 1
    assert store.get("claim") == b"%d" % wins[0]


def _race(count: int, attempt) -> list[int]:
    """Which of ``count`` threads, let go at once, met no conflict."""
    barrier, wins = threading.Barrier(count), []

    def run(i: int) -> None:
        barrier.wait()
        try:
            attempt(i)
        except Conflict:
            return
        wins.append(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wins
