"""A run's results come home: whole, once, checked, from a directory and from a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Answer, wmctl
from tests.support.disk import small_tmpfs
from tests.support.faults import Fault, FaultyProxy, faulty_proxy
from tests.support.s3 import S3Server
from wm.errors import BadConfig, BadData
from wm.store import Store, open_store
from wmctl.run.find import find_run
from wmctl.transfer.collect import Collected, collect_run
from wmctl.transfer.progress import Quiet


@pytest.fixture
def bucket(finished: Path, s3_url: str) -> str:
    """The finished run's store, in a bucket."""
    copy(open_store(str(finished)), open_store(s3_url))
    return s3_url


@pytest.fixture
def proxy(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        monkeypatch.setenv("WM_STORE_PATIENCE", "0")
        yield proxy


def copy(source: Store, target: Store) -> None:
    for entry in source.list(""):
        target.put(entry.key, source.get(entry.key))


def collect(url: str, home: Path, **options: bool) -> Collected:
    store = open_store(url)
    return collect_run(store, find_run(store, None), home, Quiet(), **options)


def model_files(home: Path) -> list[Path]:
    return sorted(home.glob("models/*/*/weights.safetensors"))


@pytest.mark.parametrize("kind", ["directory", "s3"])
def test_a_finished_run_comes_home(
    kind: str, finished: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = str(finished) if kind == "directory" else request.getfixturevalue("bucket")
    home = tmp_path / "home"
    answer = wmctl(url, "collect", "demo", str(home))
    assert (answer.code, answer.err) == (0, "")
    run = find_run(open_store(url), None).run
    titles, *rows, fetched, report = answer.out.splitlines()
    assert titles.split() == [run, "files", "size"]
    kinds = {row[:10].strip(): int(row.split()[-3]) for row in rows}
    assert kinds.keys() == {"data sets", "logs", "metrics", "models", "records", "results"}
    assert fetched.startswith(f"{sum(kinds.values())} files fetched, ")
    assert report == f"report: {home / run}.html"
    assert len(model_files(home)) == 4
    for path in [p for p in home.rglob("*") if p.is_file() and p.parent != home]:
        if ".wm" not in path.parts and path.name != "index.html":
            assert path.read_bytes() == (finished / path.relative_to(home)).read_bytes()
    assert not list(home.rglob("*checkpoints*"))
    assert not list(home.rglob("shards"))
    assert "</html>" in (home / f"{run}.html").read_text()
    figures = json.loads((home / f"{run}.json").read_text())
    assert figures["verdicts"].keys() == {"chess", "melee"}

    again = wmctl(url, "collect", "demo", str(home))
    assert "nothing new; all of it was there already" in again.out
    assert again.out.splitlines()[: len(rows) + 1] == [titles, *rows]


def test_what_came_home_is_a_store(finished: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = find_run(open_store(str(finished)), None).run
    wmctl(finished, "collect", run, str(home))
    for words in (("status", run), ("report", run, "--json"), ("logs", run), ("models", "list")):
        mine, theirs = wmctl(home, *words), wmctl(finished, *words)
        assert (mine.code, mine.err) == (0, "")
        assert mine.out.replace(str(home), "") == theirs.out.replace(str(finished), "")


def test_data_sets_and_checkpoints_come_when_they_are_wanted(
    finished: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    less = collect(str(finished), home)
    more = collect(str(finished), home, datasets=True, checkpoints=True)
    new = {str(p.relative_to(home)) for p in home.rglob("*.safetensors")}
    assert any("/shards/" in name for name in new)
    assert any("/checkpoints/" in name for name in new)
    everything = sum(more.files.values())
    assert more.fetched_files == everything - sum(less.files.values())
    assert wmctl(home, "data", "verify").code == 0


def test_an_unfinished_run_comes_as_far_as_it_is(finished: Path, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    copy(open_store(str(finished)), store)
    spec = find_run(store, None)
    key = f"runs/{spec.run}/events.jsonl"
    lines = store.get(key).splitlines(keepends=True)
    done = next(i for i, line in enumerate(lines) if b'"models/' in line)
    home = tmp_path / "home"

    store.put(key, lines[0])
    assert not collect(store.url, home).finished
    assert model_files(home) == []
    store.put(key, b"".join(lines[: done + 1]))
    answer = wmctl(store.url, "collect", "demo", str(home))
    assert answer.out.splitlines()[-1] == (
        f"{spec.run} is not finished; what comes later: wmctl collect {spec.run} {home}"
    )
    assert len(model_files(home)) == 1
    store.put(key, b"".join(lines))
    last = collect(store.url, home)
    assert last.finished
    assert len(model_files(home)) == 4
    assert last.fetched_files == 1 + 3 * 3, "the history and three models of three files"


def test_a_run_that_nobody_has_taken_up_yet(finished: Path, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    spec = find_run(open_store(str(finished)), None)
    store.put(f"runs/{spec.run}/spec.json", spec.model_dump_json().encode())
    collected = collect(store.url, tmp_path / "home")
    assert collected.files == {"records": 1}
    assert not collected.finished
    assert "</html>" in collected.page.read_text()


def test_what_was_damaged_at_home_is_fetched_again(bucket: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    collect(bucket, home)
    weights = model_files(home)[0]
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    outcome = next(home.glob("runs/*/*/01/outcome.json"))
    outcome.write_bytes(b"x" * outcome.stat().st_size)
    next(home.glob("runs/*/*/01/metrics.jsonl")).unlink()
    assert collect(bucket, home).fetched_files == 3
    assert weights.read_bytes() == good
    assert collect(bucket, home).fetched_files == 0


@pytest.mark.parametrize("what", ["weights.safetensors", "metrics.jsonl"])
def test_what_arrives_damaged_is_fetched_again_or_refused(
    proxy: FaultyProxy, bucket: str, tmp_path: Path, what: str
) -> None:
    once = f"GET .*train-chess-winner.*{what}"
    proxy.fail(Fault.DAMAGED, request=once)
    collect(bucket, tmp_path / "home")
    assert sum("DAMAGED" in request for request in proxy.requests) == 1
    for path in (tmp_path / "home").rglob(what):
        assert path.read_bytes() == open_store(bucket).get(str(path.relative_to(tmp_path / "home")))

    if what == "weights.safetensors":
        proxy.fail(Fault.DAMAGED, times=3, request=once)
        with pytest.raises(BadData, match=r"weights.safetensors is damaged"):
            collect(bucket, tmp_path / "other")
        assert len(model_files(tmp_path / "other")) == 3


def test_etags_that_are_no_md5_refuse_nothing(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with SSE-KMS: two copies that agree are believed."""
    monkeypatch.setattr("wmctl.transfer.fetch.file_md5", lambda path: "0" * 32)
    assert collect(bucket, tmp_path / "home").finished
    assert collect(bucket, tmp_path / "home").fetched_files == 0


def test_a_broken_line_is_gone_on_after(proxy: FaultyProxy, bucket: str, tmp_path: Path) -> None:
    proxy.fail(Fault.DENIED, request="GET .*train-mlp.*weights")
    answer = wmctl(bucket, "collect", "demo", str(tmp_path / "home"))
    assert answer.code == 69
    assert "access denied" in answer.err
    before = len(model_files(tmp_path / "home"))
    assert before >= 1
    collect(bucket, tmp_path / "home")
    assert len(model_files(tmp_path / "home")) == 4
    got = [r for r in proxy.requests if r.startswith("GET ") and "weights" in r]
    assert len(got) == 4 + 1, "each came once, but for the refused one"


def test_a_full_disk(bucket: str, tmp_path: Path) -> None:
    with small_tmpfs(tmp_path / "disk", "1m") as disk:
        answer = wmctl(bucket, "collect", "demo", str(disk / "home"))
        assert answer.code == 69
        assert f"are to be fetched, and {disk / 'home'} has room for" in answer.err
        assert "hint: free space there or choose another folder" in answer.err
        assert model_files(disk) == []


def test_a_disk_that_fills_up_meanwhile(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmctl.transfer.fetch.Fetcher._check_space", lambda *_: None)
    with small_tmpfs(tmp_path / "disk", "1m") as disk:
        answer = wmctl(bucket, "collect", "demo", str(disk / "home"))
        assert answer.code == 69
        assert "No space left on device" in answer.err
        assert "collect again: it goes on from here" in answer.err
        assert "Traceback" not in answer.err


def test_where_it_cannot_go(finished: Path, tmp_path: Path) -> None:
    def refusal(home: Path) -> Answer:
        return wmctl(finished, "collect", "demo", str(home))

    assert f"{finished} is the store itself" in refusal(finished).err
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file").code == 64
    assert "there is no run 'nope'" in wmctl(finished, "collect", "nope", str(tmp_path)).err


def test_two_into_one_folder(finished: Path, tmp_path: Path) -> None:
    class Meanwhile(Quiet):
        def begin(self, what: str, total: int) -> None:
            store = open_store(str(finished))
            with pytest.raises(BadConfig, match="another `wmctl collect` writes into"):
                collect_run(store, find_run(store, None), tmp_path / "home", Quiet())

    store = open_store(str(finished))
    collect_run(store, find_run(store, None), tmp_path / "home", Meanwhile())


def test_a_killed_collect_leaves_a_ledger_that_can_be_read(finished: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    collect(str(finished), home)
    ledger = home / ".wm" / "collected.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    assert collect(str(finished), home).fetched_files <= 1
    assert collect(str(finished), home).fetched_files == 0
