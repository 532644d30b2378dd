from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wm.errors import BadConfig, StoreUnreachable
from wm.store import open_store


def test_a_path_is_a_directory_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("out/store").url == str(tmp_path / "out/store")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/store").url == str(tmp_path / "store")


def test_opening_creates_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    assert list(store.list("")) == []
    assert store.head("a") is None
    store.delete("a")
    assert list(tmp_path.iterdir()) == []


def test_s3_addresses(s3_url: str) -> None:
    assert open_store("s3://bucket").url == "s3://bucket"
    assert open_store("s3://bucket/a/b/").url == "s3://bucket/a/b"


@pytest.mark.parametrize("url", ["", "gs://bucket/x", "https://host/bucket", "s3://", "s3:///x"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(BadConfig) as caught:
        open_store(url)
    assert "s3://bucket/prefix" in caught.value.hint


def test_a_name_that_no_bucket_can_have(s3_url: str) -> None:
    with pytest.raises(StoreUnreachable, match="Invalid bucket name") as caught:
        open_store("s3://No Bucket!").get("k")
    assert "\n" not in caught.value.message


def test_a_profile_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreUnreachable, match="nobody"):
        open_store("s3://bucket/prefix")


def test_boto_is_imported_for_s3_only() -> None:
    code = "import sys, wm.store as s; s.open_store('x'); assert 'boto3' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
