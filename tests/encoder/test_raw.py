"""Sources in the run's own store, as ``wmctl data push`` leaves them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encoder.inventory import inventory
from tests.support.archives import write_archive
from wm.artifacts.dataset import load_manifest
from wm.artifacts.raw import RawFile, RawManifest, raw_key
from wm.errors import BadConfig, BadData, InputMissing
from wm.store import Store, open_store

Run = Callable[..., dict[str, Any]]


def push(store: Store, name: str, folder: Path) -> RawManifest:
    """Every file below a folder as a raw set, manifest last."""
    files = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data, relative = path.read_bytes(), path.relative_to(folder).as_posix()
        store.put(raw_key(name, relative), data)
        digest = hashlib.sha256(data).hexdigest()
        files.append(RawFile(path=relative, size=len(data), sha256=digest))
    files.sort(key=lambda file: file.path)
    total = sum(file.size for file in files)
    manifest = RawManifest(name=name, files=files, bytes=total, created=1.0)
    store.put(raw_key(name, "manifest.json"), manifest.model_dump_json().encode())
    return manifest


@pytest.fixture(params=["directory", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return open_store(request.getfixturevalue("s3_url"))
    return open_store(str(tmp_path / "remote"))


@pytest.fixture
def folder(tmp_path: Path, replays: list[Path]) -> Path:
    """Replays as they are, in an archive, and in folders that sort otherwise than their paths."""
    folder = tmp_path / "ranked"
    for name, path in zip(("b.slp", "a-b/1.slp", "a/2.slp", "a/.hidden"), replays, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(path.read_bytes())
    packed = {path.name: path.read_bytes() for path in replays[4:8]}
    write_archive(folder / "more.tar.gz", packed)
    return folder


def test_a_raw_set_makes_the_data_set_of_its_folder(
    run: Run, store: Store, remote: Store, folder: Path
) -> None:
    push(remote, "melee/ranked", folder)
    here = run("melee", folder)
    there = run("melee", "raw:melee/ranked", store=remote)
    assert there == here
    assert sum(here["games"].values()) == 7
    manifest = load_manifest(store, here["dataset"])
    assert load_manifest(remote, here["dataset"]) == manifest
    for key in [manifest.rejects_file.key, *(shard.key for shard in manifest.shards())]:
        assert remote.get(key) == store.get(key)


def test_a_hit_reads_the_manifest_only(run: Run, remote: Store, folder: Path) -> None:
    manifest = push(remote, "melee/ranked", folder)
    first = run("melee", "raw:melee/ranked", store=remote)
    for file in manifest.files:
        remote.delete(manifest.key(file))
    assert run("melee", "raw:melee/ranked", store=remote) == first | {"hit": True}


def test_chess_from_a_raw_set(run: Run, remote: Store, pgn: bytes, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "games.pgn").write_bytes(pgn)
    push(remote, "chess", tmp_path / "in")
    assert sum(run("chess", "raw:chess", store=remote)["games"].values()) > 30


@pytest.mark.parametrize("name", ["b.slp", "more.tar.gz"])
def test_a_file_that_is_not_what_was_pushed(
    run: Run, remote: Store, folder: Path, name: str
) -> None:
    push(remote, "ranked", folder)
    key = raw_key("ranked", name)
    remote.put(key, remote.get(key)[:-1] + b"?")
    with pytest.raises(BadData, match=f"raw/ranked/{name} differs from its manifest"):
        run("melee", "raw:ranked", store=remote)
    remote.delete(key)
    with pytest.raises(InputMissing, match=f"{name} is named by its manifest but not") as error:
        run("melee", "raw:ranked", store=remote)
    assert error.value.hint == "push it again: wmctl data push FILES ranked --replace"


def test_a_raw_set_that_nobody_pushed(run: Run, remote: Store) -> None:
    with pytest.raises(InputMissing, match="there is no raw set melee/ranked") as error:
        run("melee", "raw:melee/ranked", store=remote)
    assert "wmctl data push" in error.value.hint


@pytest.mark.parametrize("name", ["", "/x", "a//b", "../x", "a b"])
def test_names_that_no_raw_set_has(run: Run, name: str) -> None:
    with pytest.raises(BadConfig, match="cannot name a raw set"):
        run("melee", f"raw:{name}")


def test_inventory_of_a_raw_set(store: Store, folder: Path) -> None:
    push(store, "ranked", folder)
    found = inventory(["raw:ranked"], store=store, workers=1)
    assert (found.files, found.accepted, found.ignored) == (5, 7, 1)
    with pytest.raises(BadConfig, match="raw:ranked lies in a store"):
        inventory(["raw:ranked"])
