from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from tests.support.cli import wmctl


def test_all_is_well_and_nothing_is_left_behind(tmp_path: Path) -> None:
    answer = wmctl(tmp_path / "store", "doctor")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert len(lines) == 8
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
    monkeypatch.setattr("wmctl.doctor.here.PACKAGES", {"trainer": ("click", "no-such-package")})
    answer = wmctl(tmp_path, "doctor")
    assert answer.code == 64
    assert "✗ trainer: no-such-package not installed; run make demo" in answer.out


def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("wmctl.doctor.here.shutil.disk_usage", lambda folder: usage(1.5e9))
    answer = wmctl(tmp_path, "doctor")
    assert answer.code == 64
    assert "✗ scratch: only 1.5 GB free in" in answer.out
    assert "make room or set TMPDIR" in answer.out


def test_only_the_checks_that_are_asked_for(tmp_path: Path) -> None:
    answer = wmctl(tmp_path, "doctor", "--only", "store", "--only", "scratch", "--json")
    assert [row["check"] for row in answer.json] == ["scratch", "store"]
    unknown = wmctl(tmp_path, "doctor", "--only", "weather")
    assert unknown.code == 64
    assert "there is no check 'weather'; there are encoder, trainer" in unknown.err


def test_a_plan_needs_a_cluster(tmp_path: Path) -> None:
    answer = wmctl(tmp_path, "doctor", "demo")
    assert answer.code == 64
    assert "--on kubernetes" in answer.err


def test_without_a_cluster_the_rest_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    images = str(tmp_path / "images.yaml")
    answer = wmctl(tmp_path / "store", "doctor", "--on", "kubernetes", "--images", images)
    assert answer.code == 64
    passed, failed = answer.out.count("✓ "), [x for x in answer.out.splitlines() if x[0] == "✗"]
    assert passed == 2  # the store, and who we are to it
    assert failed[0].startswith("✗ images: ")
    assert "make build push" in failed[0]
    assert failed[1].startswith("✗ cluster: no Kubernetes cluster is configured")
    assert len(failed) == 2


def test_where_keys_come_from_is_said_and_the_keys_are_not(
    monkeypatch: pytest.MonkeyPatch, s3_url: str
) -> None:
    answer = wmctl(s3_url, "doctor", "--only", "identity")
    assert answer.out == "✓ identity: key …cess from the environment (AWS_ACCESS_KEY_ID)\n"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    answer = wmctl(s3_url, "doctor", "--only", "identity")
    assert answer.out.startswith("✗ identity: no credentials for S3 were found")


def test_a_webhook_is_looked_at_and_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WM_WEBHOOK_URL", "https://hooks.invalid/services/T0SECRET")
    answer = wmctl(tmp_path, "doctor", "--only", "webhook")
    assert answer.code == 0
    assert "people are told at https://hooks.invalid, as slack; nothing was sent" in answer.out
    monkeypatch.setenv("WM_WEBHOOK_URL", "hooks.invalid/services/T0SECRET")
    bad = wmctl(tmp_path, "doctor", "--only", "webhook")
    assert bad.code == 64
    assert "✗ webhook: WM_WEBHOOK_URL holds no http or https address; copy the whole" in bad.out
    assert "T0SECRET" not in answer.out + answer.err + bad.out + bad.err
