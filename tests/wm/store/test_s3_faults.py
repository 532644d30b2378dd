"""S3 under faults: each is recovered from, or ends in one clear error; nothing is half visible."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import Fault, FaultyProxy, faulty_proxy
from tests.support.s3 import S3Server, free_ports
from wm.errors import StoreUnreachable
from wm.store import ABSENT, Conflict, open_store, patience, s3
from wm.store.s3 import S3Store

MB = 1 << 20
PATIENCE = 1.0
FOR_GOOD = 10_000
"""Times: more than anybody tries in that time."""


@pytest.fixture
def proxy(
    s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.01)
    with faulty_proxy(s3_server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        yield proxy


@pytest.fixture
def store(proxy: FaultyProxy, s3_url: str) -> S3Store:
    """Through the proxy, with little patience."""
    return S3Store(s3_url, patience=PATIENCE)


@pytest.mark.parametrize("fault", [Fault.INTERNAL, Fault.SLOW_DOWN, Fault.UNHEARD])
def test_passing_faults_are_recovered(
    store: S3Store, proxy: FaultyProxy, fault: Fault, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"file")
    steps = (
        lambda: store.put("k", b"value"),
        lambda: store.get("k"),
        lambda: store.head("k"),
        lambda: store.open_range("k", 1, 3),
        lambda: list(store.list("")),
        lambda: store.upload(tmp_path / "file", "f"),
        lambda: store.download("f", tmp_path / "copy"),
        lambda: store.delete("k"),
    )
    for step in steps:
        proxy.fail(fault, times=2)
        step()
    assert sum(fault.name in request for request in proxy.requests) == 2 * len(steps)
    assert (tmp_path / "copy").read_bytes() == b"file"
    assert [entry.key for entry in store.list("")] == ["f"]


@pytest.mark.parametrize("fault", [Fault.INTERNAL, Fault.SLOW_DOWN])
def test_lasting_faults_end_in_one_error(store: S3Store, proxy: FaultyProxy, fault: Fault) -> None:
    proxy.fail(fault, times=FOR_GOOD)
    began = time.monotonic()
    with pytest.raises(StoreUnreachable) as caught:
        store.put("runs/k", b"value")
    assert PATIENCE <= time.monotonic() - began < PATIENCE + 2
    proxy.heal()
    assert caught.value.message.startswith(f"cannot write runs/k at {proxy.endpoint}: the store ")
    assert "\n" not in caught.value.message
    assert list(store.list("")) == []


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.TRUNCATED])
def test_a_broken_body_is_resumed(
    store: S3Store, proxy: FaultyProxy, fault: Fault, tmp_path: Path
) -> None:
    data = os.urandom(3 * MB + 17)
    digest = hashlib.sha256(data).hexdigest()
    store.put("k", data)

    proxy.fail(fault, times=2, request="GET ")
    assert store.get("k", sha256=digest) == data
    proxy.fail(fault, request="GET ")
    assert store.open_range("k", MB, 2 * MB) == data[MB : 2 * MB]
    proxy.fail(fault, times=2, request="GET ")
    store.download("k", tmp_path / "file", sha256=digest)
    assert (tmp_path / "file").read_bytes() == data


def test_a_download_goes_on_where_the_last_one_broke(
    store: S3Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    data = os.urandom(4 * MB)
    store.put("k", data)
    proxy.fail(Fault.TRUNCATED, request="GET ")
    proxy.fail(Fault.INTERNAL, times=FOR_GOOD, request="GET ")
    with pytest.raises(StoreUnreachable, match="cannot read k"):
        store.download("k", tmp_path / "file")
    proxy.heal()
    assert not (tmp_path / "file").exists()
    [part] = tmp_path.iterdir()
    assert part.stat().st_size >= MB

    proxy.requests.clear()
    store.download("k", tmp_path / "file", sha256=hashlib.sha256(data).hexdigest())
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_part_of_another_version_is_not_gone_on_with(
    store: S3Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    store.put("k", os.urandom(4 * MB))
    proxy.fail(Fault.TRUNCATED, request="GET ")
    proxy.fail(Fault.INTERNAL, times=FOR_GOOD, request="GET ")
    with pytest.raises(StoreUnreachable):
        store.download("k", tmp_path / "file")
    proxy.heal()
    data = os.urandom(4 * MB)
    store.put("k", data)
    store.download("k", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == data


def test_a_body_that_never_comes_whole(store: S3Store, proxy: FaultyProxy) -> None:
    store.put("k", b"ab")
    proxy.fail(Fault.TRUNCATED, times=FOR_GOOD, request="GET ")
    with pytest.raises(StoreUnreachable, match=f"cannot read k at {proxy.endpoint}: .*broke off"):
        store.get("k")


@pytest.mark.parametrize("only_if", ["absent", "tag"])
def test_a_conditional_write_whose_answer_was_lost_has_won(
    store: S3Store, proxy: FaultyProxy, only_if: str
) -> None:
    condition = ABSENT if only_if == "absent" else store.put("k", b"old")
    proxy.fail(Fault.UNHEARD, request="PUT ")
    tag = store.put("k", b"mine", only_if=condition)
    assert store.get_tagged("k") == (b"mine", tag)


def test_the_same_bytes_of_another_writer_are_still_a_conflict(
    store: S3Store, proxy: FaultyProxy
) -> None:
    store.put("k", b"same", only_if=ABSENT)
    proxy.fail(Fault.UNHEARD, request="PUT ")
    with pytest.raises(Conflict):
        store.put("k", b"same", only_if=ABSENT)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault.SKEWED, "this machine's clock is .* s ahead of the store's"),
        (Fault.EXPIRED, "the credentials have expired"),
        (Fault.DENIED, "access denied"),
    ],
)
def test_refusals_are_told_at_once(
    store: S3Store, proxy: FaultyProxy, fault: Fault, says: str
) -> None:
    proxy.fail(fault)
    with pytest.raises(StoreUnreachable, match=f"cannot write k at .*: {says}"):
        store.put("k", b"")
    assert len(proxy.requests) == 1
    proxy.fail(fault)
    with pytest.raises(StoreUnreachable, match=f"cannot read k at .*: {says}"):
        store.get("k")
    assert list(store.list("")) == []


def test_wrong_credentials_are_told_and_not_shown(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-value")
    with pytest.raises(StoreUnreachable, match="the secret key does not fit") as caught:
        open_store(s3_url).get("k")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who-is-this")
    with pytest.raises(StoreUnreachable, match="the access key is unknown"):
        open_store(s3_url).get("k")
    assert "s3cr3t" not in f"{caught.value}{caught.value.hint}{caplog.text}"


def test_no_credentials(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreUnreachable, match="no credentials were found"):
        open_store(s3_url).get("k")


def test_no_such_bucket(s3_url: str) -> None:
    store = open_store("s3://not-there/prefix")
    for use in (
        lambda: store.get("k"),
        lambda: store.put("k", b""),
        lambda: store.put("k", b"", only_if=ABSENT),
        lambda: list(store.list("")),
    ):
        with pytest.raises(StoreUnreachable, match="there is no bucket not-there"):
            use()


def test_nothing_listens(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(StoreUnreachable, match=f"cannot read k at {endpoint}: nothing answers"):
        S3Store(s3_url, patience=0).get("k")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multipart from 5 MB, the smallest part that S3 allows, to keep the tests light."""
    monkeypatch.setattr(s3, "MULTIPART_ABOVE", 5 * MB)
    monkeypatch.setattr(s3, "PART", 5 * MB)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("request_", ["POST .*uploads", "PUT", "POST .*uploadId="])
@pytest.mark.parametrize("fault", [Fault.INTERNAL, Fault.UNHEARD])
def test_a_multipart_upload_survives_faults(
    store: S3Store, proxy: FaultyProxy, fault: Fault, request_: str, tmp_path: Path
) -> None:
    data = os.urandom(11 * MB)
    (tmp_path / "file").write_bytes(data)
    proxy.fail(fault, request=request_)
    entry = store.upload(tmp_path / "file", "shards/0")
    assert sum("partNumber=" in request for request in proxy.requests) >= 3
    assert entry.size == len(data)
    assert store.get("shards/0") == data


@pytest.mark.usefixtures("small_parts")
def test_a_failed_multipart_upload_is_invisible(
    store: S3Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(bytes(11 * MB))
    proxy.fail(Fault.INTERNAL, times=FOR_GOOD, request="partNumber=2")
    with pytest.raises(StoreUnreachable, match="cannot write shards/0"):
        store.upload(tmp_path / "file", "shards/0")
    proxy.heal()
    assert store.head("shards/0") is None
    assert list(store.list("")) == []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("arrived", [True, False])
def test_a_repeated_completion_that_is_refused(
    store: S3Store, proxy: FaultyProxy, arrived: bool, tmp_path: Path
) -> None:
    """AWS answers so when the first completion was carried out, and when the upload is gone."""
    (tmp_path / "file").write_bytes(bytes(6 * MB))
    if arrived:
        proxy.fail(Fault.UNHEARD, request="POST .*uploadId=")
    proxy.fail(Fault.NO_UPLOAD, request="POST .*uploadId=")
    if arrived:
        assert store.upload(tmp_path / "file", "shards/0").size == 6 * MB
        return
    with pytest.raises(StoreUnreachable, match="NoSuchUpload"):
        store.upload(tmp_path / "file", "shards/0")
    assert list(store.list("")) == []


UPLOAD = """
import pathlib, sys
from wm.store import open_store
open_store(sys.argv[1]).upload(pathlib.Path(sys.argv[2]), "shards/0")
"""


def test_a_killed_upload_is_invisible(proxy: FaultyProxy, s3_url: str, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as sparse:
        sparse.truncate(200 * MB)
    command = [sys.executable, "-c", UPLOAD, s3_url, str(tmp_path / "file")]
    with subprocess.Popen(command) as uploader:
        while not any("partNumber=" in request for request in proxy.requests):
            assert uploader.poll() is None
            time.sleep(0.01)
        uploader.send_signal(signal.SIGKILL)
    assert uploader.returncode == -signal.SIGKILL
    store = open_store(s3_url)
    assert list(store.list("")) == []
    assert store.head("shards/0") is None
