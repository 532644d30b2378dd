from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from tests.support.cli import wmctl


def test_all_is_well_and_nothing_is_left_behind(tmp_path: Path) -> None:
    answer = wmctl(tmp_path / "store", "doctor")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("✓ ") for line in lines)
    assert not list((tmp_path / "store" / "doctor").glob("*"))


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_text("a file")
    answer = wmctl(store, "doctor")
    assert answer.code == 64
    bad = [line for line in answer.out.splitlines() if line.startswith("✗ ")]
    assert len(bad) == 1
    assert bad[0].startswith("✗ store: cannot write doctor/")
    assert str(store) in bad[0]
    assert "a file stands where a folder is needed" in bad[0]
    checks = wmctl(store, "doctor", "--json").json
    assert [c["check"] for c in checks if not c["passed"]] == ["store"]


def test_an_address_of_no_store() -> None:
    answer = wmctl("gs://bucket", "doctor")
    assert answer.code == 64
    assert "✗ store: 'gs://bucket' is not the address of a store" in answer.out


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmctl.cli.doctor.PACKAGES", {"trainer": ("click", "no-such-package")})
    answer = wmctl(tmp_path, "doctor")
    assert answer.code == 64
    assert "✗ trainer: no-such-package not installed; run make demo" in answer.out


def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("wmctl.cli.doctor.shutil.disk_usage", lambda folder: usage(1.5e9))
    answer = wmctl(tmp_path, "doctor")
    assert answer.code == 64
    assert "✗ scratch: only 1.5 GB free in" in answer.out
    assert "make room or set TMPDIR" in answer.out
