"""Sending files in parts: what broke off is gone on with, what is damaged is found."""

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
from tests.support.s3 import S3Server
from wm.errors import BadData, InputMissing, StoreUnreachable
from wm.store import multipart, patience
from wm.store.etag import combined, contradicts, md5_of
from wm.store.multipart import MAX_PARTS, PART, part_size
from wm.store.s3 import S3Store
from wm.store.send import Sent, open_sender

MB = 1 << 20
PART_MB = 5  # The smallest that S3 allows.


@pytest.fixture
def proxy(
    s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(multipart, "PART", PART_MB * MB)
    with faulty_proxy(s3_server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        yield proxy


@pytest.fixture
def store(proxy: FaultyProxy, s3_url: str) -> S3Store:
    """Through the proxy, with no patience: trouble ends the upload."""
    return S3Store(s3_url, patience=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Four parts, the last of them short."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 * PART_MB * MB + 17))
    return path


def send(store: S3Store, path: Path, key: str = "raw/n/file") -> tuple[Sent, int]:
    """What is there now, and how many bytes of it were sent."""
    sent: list[int] = []
    there = {entry.key: entry for entry in store.list(key)}
    with open_sender(store, lambda count, moved: sent.append(count * moved)) as sender:
        made = sender.send(path, key, there.get(key)).result()
    return made, sum(sent)


def test_a_file_arrives_in_parts(store: S3Store, proxy: FaultyProxy, file: Path) -> None:
    data = file.read_bytes()
    assert send(store, file) == (Sent(len(data), hashlib.sha256(data).hexdigest()), len(data))
    assert sum("partNumber=" in request for request in proxy.requests) == 4
    assert proxy.received == pytest.approx(len(data), abs=4000), "parts and their list, no more"
    assert store.get("raw/n/file") == data


@pytest.mark.parametrize("size", [0, 1, PART_MB * MB, PART_MB * MB + 1])
@pytest.mark.usefixtures("proxy")
def test_sizes_at_the_edges(store: S3Store, tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(os.urandom(size))
    for expected in (size, 0):
        made, sent = send(store, tmp_path / "f")
        assert (made.size, sent) == (size, expected), "the second time all of it is there"
    assert store.get("raw/n/file", sha256=made.sha256) == (tmp_path / "f").read_bytes()


def test_other_bytes_of_the_same_size_take_the_place(store: S3Store, file: Path) -> None:
    send(store, file)
    file.write_bytes(os.urandom(file.stat().st_size))
    made, sent = send(store, file)
    assert sent == file.stat().st_size
    assert store.get("raw/n/file", sha256=made.sha256) == file.read_bytes()


def test_after_a_cut_only_what_is_missing_is_sent(
    store: S3Store, proxy: FaultyProxy, file: Path
) -> None:
    proxy.fail(Fault.CUT, request=r"partNumber=3\b")
    with pytest.raises(StoreUnreachable, match=r"cannot write part 3 of raw/n/file at http"):
        send(store, file)
    assert store.head("raw/n/file") is None, "half a file is invisible"
    arrived = {
        int(request.partition("partNumber=")[2][0])
        for request in proxy.requests
        if "partNumber=" in request and "CUT" not in request
    }
    sizes = {1: PART_MB * MB, 2: PART_MB * MB, 3: PART_MB * MB, 4: 17}
    missing = sum(size for number, size in sizes.items() if number not in arrived)
    assert sizes[3] <= missing < file.stat().st_size

    proxy.received = 0
    proxy.requests.clear()
    made, sent = send(store, file)
    assert sent == missing
    assert proxy.received == pytest.approx(missing, abs=4000)
    assert not any("POST" in r and r.endswith("uploads") for r in proxy.requests), "gone on with"
    assert store.get("raw/n/file", sha256=made.sha256) == file.read_bytes()


def test_a_part_that_is_another_now_is_sent_again(
    store: S3Store, proxy: FaultyProxy, file: Path
) -> None:
    proxy.fail(Fault.DENIED, request="POST .*uploadId=")
    with pytest.raises(StoreUnreachable, match="access denied"):
        send(store, file)
    with file.open("r+b") as changed:
        changed.seek(PART_MB * MB + 3)
        changed.write(b"other")
    made, sent = send(store, file)
    assert sent == PART_MB * MB
    assert store.get("raw/n/file", sha256=made.sha256) == file.read_bytes()


def test_a_part_that_arrived_damaged_is_sent_again(
    store: S3Store, proxy: FaultyProxy, file: Path
) -> None:
    proxy.fail(Fault.BAD_DIGEST, times=2, request=r"partNumber=2\b")
    made, _ = send(store, file)
    assert store.get("raw/n/file", sha256=made.sha256) == file.read_bytes()
    proxy.fail(Fault.BAD_DIGEST, times=3, request="PUT")
    (file.parent / "small").write_bytes(b"small")
    with pytest.raises(StoreUnreachable, match="BadDigest"):
        send(store, file.parent / "small", "raw/n/small")


def test_a_store_that_says_it_holds_other_bytes(
    store: S3Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "md5_of", lambda data: md5_of(data[:-1] + b"x"))
    monkeypatch.setattr(multipart, "content_md5", lambda md5: None)
    without_md5(store, monkeypatch)
    with pytest.raises(BadData, match="arrived with another checksum than it was sent with"):
        send(store, file)
    assert store.head("raw/n/file") is None


def without_md5(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not compare what arrives with Content-MD5, as some do not."""
    upload = store._client.upload_part
    monkeypatch.setattr(
        store._client,
        "upload_part",
        lambda ContentMD5, **rest: upload(**rest),  # noqa: N803
    )


@pytest.mark.parametrize("arrived", [True, False])
def test_a_repeated_completion_that_is_refused(
    proxy: FaultyProxy, s3_url: str, file: Path, arrived: bool
) -> None:
    store = S3Store(s3_url, patience=5)
    if arrived:
        proxy.fail(Fault.UNHEARD, request="POST .*uploadId=")
    proxy.fail(Fault.NO_UPLOAD, request="POST .*uploadId=")
    if arrived:
        made, _ = send(store, file)
        assert store.get("raw/n/file", sha256=made.sha256) == file.read_bytes()
        return
    with pytest.raises(StoreUnreachable):
        send(store, file)
    assert store.head("raw/n/file") is None
    assert send(store, file)[1] == 0, "all parts are still there"


def test_a_file_that_changes_while_it_is_sent(
    store: S3Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store._client.upload_part

    def and_write(**words: object) -> object:
        with file.open("r+b") as writer:
            writer.write(b"changed")
        return upload(**words)  # type: ignore[arg-type]

    monkeypatch.setattr(store._client, "upload_part", and_write)
    monkeypatch.setattr(multipart, "IN_FLIGHT", 1)
    with pytest.raises(BadData, match=f"{file} changed while it was read") as caught:
        send(store, file)
    assert "push it again" in caught.value.hint
    assert store.head("raw/n/file") is None


def test_a_file_that_shrinks_while_it_is_sent(
    store: S3Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "IN_FLIGHT", 1)
    sender = open_sender(store, lambda count, moved: os.truncate(file, 11))
    with sender, pytest.raises(BadData, match="changed while it was read"):
        sender.send(file, "raw/n/file", None)
    assert store.head("raw/n/file") is None


def test_a_file_that_is_gone(store: S3Store, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="cannot be read: No such file"):
        send(store, tmp_path / "gone")


def test_unfinished_uploads_are_found_and_removed(
    store: S3Store, proxy: FaultyProxy, file: Path
) -> None:
    proxy.fail(Fault.CUT, request=r"partNumber=1\b")
    with pytest.raises(StoreUnreachable):
        send(store, file)
    with open_sender(store, lambda count, moved: None) as sender:
        [upload] = sender.unfinished("raw")
        assert upload.key.endswith("/raw/n/file")
        assert abs(upload.started - time.time()) < 60
        assert sender.unfinished("ra") == []
        sender.abort(upload)
        assert sender.unfinished("raw") == []
    assert send(store, file)[1] == file.stat().st_size, "from the beginning"


SEND = """
import pathlib, sys
from wm.store import multipart, open_store
from wm.store.send import open_sender
multipart.PART = 5 << 20
with open_sender(open_store(sys.argv[1]), lambda count, moved: None) as sender:
    sender.send(pathlib.Path(sys.argv[2]), "raw/n/file", None).result()
"""


def test_a_killed_upload_is_gone_on_with(
    store: S3Store, proxy: FaultyProxy, s3_url: str, tmp_path: Path
) -> None:
    size = 70 * MB + 5
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    command = [sys.executable, "-c", SEND, s3_url, str(file)]
    for enough in (15, 40):
        with subprocess.Popen(command) as uploader:
            while proxy.received < enough * MB:
                assert uploader.poll() is None
                time.sleep(0.002)
            uploader.send_signal(signal.SIGKILL)
    assert store.head("raw/n/file") is None
    made, sent = send(store, file)
    assert sent < size - PART_MB * MB
    on_their_way = 2 * multipart.IN_FLIGHT * PART_MB * MB
    assert proxy.received <= size + on_their_way + 20_000
    assert store.get("raw/n/file", sha256=made.sha256) == file.read_bytes()


def test_parts_are_as_many_as_a_store_takes() -> None:
    monstrous = 5 << 40
    assert part_size(34 * 10**9) == PART
    assert part_size(PART * MAX_PARTS) == PART
    for size in (PART * MAX_PARTS + 1, monstrous):
        assert -(-size // part_size(size)) <= MAX_PARTS
        assert part_size(size) % MB == 0


def test_etags_that_say_nothing_contradict_nothing() -> None:
    md5 = md5_of(b"a")
    assert not contradicts({"ETag": f'"{md5}"'}, md5)
    assert contradicts({"ETag": f'"{md5_of(b"b")}"'}, md5)
    assert contradicts({"ETag": f'"{md5_of(b"b")}"', "ServerSideEncryption": "AES256"}, md5)
    assert not contradicts({"ETag": f'"{md5_of(b"b")}"', "ServerSideEncryption": "aws:kms"}, md5)
    assert not contradicts({"ETag": '"some-vendors-own"'}, md5)
    assert not contradicts({"ETag": f'"{md5_of(b"b")}"'}, combined([md5, md5]))
