"""Raw files into the store, as whoever types ``wmctl data push`` sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tiny
from tests.support.cli import wmctl
from tests.support.faults import Fault, FaultyProxy, faulty_proxy
from tests.support.s3 import S3Server
from wm.artifacts.raw import RawManifest, load_raw, verify_raw
from wm.errors import BadData
from wm.store import Store, open_store
from wmctl.transfer import push as pushing
from wmctl.transfer.progress import LineProgress, Quiet
from wmctl.transfer.push import push

MB = 1 << 20


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "s3":
        return open_store(request.getfixturevalue("s3_url"))
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def proxy(
    s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        monkeypatch.setenv("WM_STORE_PATIENCE", "0")
        yield proxy


@pytest.fixture
def games(tmp_path: Path) -> Path:
    """A folder of three files, one of them in a folder of its own, one empty."""
    folder = tmp_path / "games"
    (folder / "Game 2024-01-01").mkdir(parents=True)
    (folder / "a.slp").write_bytes(os.urandom(3000))
    (folder / "Game 2024-01-01" / "é.slp").write_bytes(os.urandom(2000))
    (folder / "empty").touch()
    return folder


def names(manifest: RawManifest) -> list[str]:
    return [file.path for file in manifest.files]


def test_a_folder_becomes_a_raw_set(store: Store, games: Path) -> None:
    answer = wmctl(store.url, "data", "push", str(games), "melee/mine")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "raw:melee/mine: 3 files, 5 KB",
        "in a plan:  source: raw:melee/mine",
        "or:         wmctl submit PLAN --data melee=raw:melee/mine",
    ]
    manifest = verify_raw(store, "melee/mine")
    assert names(manifest) == ["Game 2024-01-01/é.slp", "a.slp", "empty"]
    assert manifest.bytes == 5000
    assert store.get("raw/melee/mine/a.slp") == (games / "a.slp").read_bytes()


def test_pushing_again_sends_nothing_and_adding_sends_what_is_new(
    store: Store, games: Path
) -> None:
    first = push(store, [games], "mine", Quiet()).manifest
    again = push(store, [games], "mine", Quiet())
    assert (again.sent, again.manifest) == (0, first), "not even another manifest"
    (games / "b.slp").write_bytes(b"another game")
    (games / "a.slp").unlink()
    added = push(store, [games], "mine", Quiet())
    assert added.sent == len(b"another game")
    assert names(added.manifest) == ["Game 2024-01-01/é.slp", "a.slp", "b.slp", "empty"]
    verify_raw(store, "mine")


@pytest.mark.parametrize("content", [b"x" * 3000, b"shorter"])
def test_other_content_is_refused_unless_it_is_to_be_replaced(
    store: Store, games: Path, content: bytes
) -> None:
    push(store, [games], "mine", Quiet())
    (games / "a.slp").write_bytes(content)
    (games / "b.slp").write_bytes(b"new")
    answer = wmctl(store.url, "data", "push", str(games), "mine")
    assert answer.code == 64
    assert "a.slp in the raw set mine has other content; nothing was sent" in answer.err
    assert "--replace" in answer.err
    assert store.head("raw/mine/b.slp") is None
    verify_raw(store, "mine")
    assert wmctl(store.url, "data", "push", str(games), "mine", "--replace").code == 0
    assert store.get("raw/mine/a.slp") == content
    verify_raw(store, "mine")


def test_what_a_killed_replacement_left_is_put_right(store: Store, games: Path) -> None:
    push(store, [games], "mine", Quiet())
    time.sleep(1.1)  # S3 tells when an object was written in whole seconds.
    store.put("raw/mine/a.slp", os.urandom(3000))
    store.delete("raw/mine/empty")
    with pytest.raises(BadData, match=r"raw/mine/a.slp differs from its manifest"):
        verify_raw(store, "mine")
    assert push(store, [games], "mine", Quiet()).sent == 3000
    verify_raw(store, "mine")


def test_a_damaged_raw_set_is_not_verified(store: Store, games: Path) -> None:
    push(store, [games], "mine", Quiet())
    good = wmctl(store.url, "data", "verify", "raw:mine")
    assert (good.code, good.out) == (0, "raw:mine: 5 KB as the manifest says\n")
    store.put("raw/mine/a.slp", b"x" * 3000)
    bad = wmctl(store.url, "data", "verify", "raw:mine")
    assert bad.code == 65
    assert "raw/mine/a.slp differs from its manifest\nhint: push it again" in bad.err


def test_raw_sets_are_listed(store: Store, games: Path) -> None:
    assert "there are no raw sets" in wmctl(store.url, "data", "list", "--raw").out
    (games / "Game 2024-01-01" / "manifest.json").write_text("{}")
    push(store, [games], "melee/mine", Quiet())
    push(store, [games / "a.slp"], "one", Quiet())
    store.put("raw/unfinished/sub/manifest.json", b"no manifest of ours")
    titles, *rows = wmctl(store.url, "data", "list", "--raw").out.splitlines()
    assert titles.split() == ["raw", "set", "files", "size", "pushed"]
    assert [row.split()[0] for row in rows] == ["raw:melee/mine", "raw:one"]
    assert "raw:melee/mine  4      5 KB" in wmctl(store.url, "data", "list").out
    listed = wmctl(store.url, "data", "list", "--raw", "--json").json
    assert [(row["name"], row["files"], row["bytes"]) for row in listed] == [
        ("melee/mine", 4, 5002),
        ("one", 1, 3000),
    ]


@pytest.mark.parametrize("name", ["", "/x", "x/", "a//b", "../x", "a b", ".wm", "a/manifest.json"])
def test_bad_names_are_refused(tmp_path: Path, games: Path, name: str) -> None:
    answer = wmctl(tmp_path / "store", "data", "push", str(games), name)
    assert answer.code == 64
    assert f"{name!r} cannot name a raw set\nhint: a name has letters" in answer.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["melee", "melee/mine/more"])
def test_raw_sets_do_not_lie_within_each_other(tmp_path: Path, games: Path, name: str) -> None:
    store = open_store(str(tmp_path / "store"))
    push(store, [games], "melee/mine", Quiet())
    answer = wmctl(store.url, "data", "push", str(games), name)
    assert answer.code == 64
    assert f"{name} and the raw set melee/mine would lie within each other" in answer.err


def test_sources_that_cannot_be_pushed(tmp_path: Path, games: Path) -> None:
    def refusal(*sources: Path) -> str:
        answer = wmctl(tmp_path / "store", "data", "push", *map(str, sources), "x")
        assert answer.code in (64, 66), answer.err
        assert not (tmp_path / "store").exists()
        return answer.err

    assert "there is no file or folder" in refusal(tmp_path / "gone")
    (tmp_path / "hollow").mkdir()
    assert "there is no file in" in refusal(tmp_path / "hollow")
    assert "would both be a.slp" in refusal(games, games / "a.slp")
    (tmp_path / "hollow" / "manifest.json").touch()
    assert "manifest.json is the raw set's own" in refusal(tmp_path / "hollow")
    (tmp_path / "hollow" / "manifest.json").rename(tmp_path / "hollow" / "line\nbreak")
    assert "control character" in refusal(tmp_path / "hollow")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / os.fsdecode(b"\xff.slp")).touch()
    assert "is not UTF-8" in refusal(tmp_path / "odd")


def test_links_to_files_are_followed_and_pipes_are_not_files(store: Store, games: Path) -> None:
    (games / "link").symlink_to(games / "a.slp")
    (games / "loop").symlink_to(games, target_is_directory=True)
    os.mkfifo(games / "pipe")
    manifest = push(store, [games], "mine", Quiet()).manifest
    assert names(manifest) == ["Game 2024-01-01/é.slp", "a.slp", "empty", "link"]


def test_two_pushes_to_a_name_take_turns(store: Store, games: Path) -> None:
    class Meanwhile(Quiet):
        refusal = ""

        def begin(self, what: str, total: int) -> None:
            if what == "sending":
                Meanwhile.refusal = wmctl(store.url, "data", "push", str(games), "mine").err

    push(store, [games], "mine", Meanwhile())
    assert "somebody else pushes to mine: the lease leases/raw/mine.json is taken" in (
        Meanwhile.refusal
    )
    assert "hint: wait until it ends" in Meanwhile.refusal
    assert push(store, [games], "mine", Quiet()).sent == 0, "the lease is free again"


def test_a_manifest_of_another_writer_is_not_replaced(store: Store, games: Path) -> None:
    class Meanwhile(Quiet):
        def begin(self, what: str, total: int) -> None:
            if what == "sending":
                other = RawManifest(name="mine", files=[], bytes=0, created=1.0)
                store.put("raw/mine/manifest.json", other.model_dump_json().encode())

    with pytest.raises(pushing.Conflict, match="another push changed the raw set mine meanwhile"):
        push(store, [games], "mine", Meanwhile())
    assert load_raw(store, "mine").files == []


def test_a_cut_line_and_then_the_same_command(
    proxy: FaultyProxy, s3_url: str, tmp_path: Path
) -> None:
    data = os.urandom(30 * MB)
    (tmp_path / "ranked.tar").write_bytes(data)
    words = ("data", "push", str(tmp_path / "ranked.tar"), "melee/ranked")
    proxy.fail(Fault.CUT, request=r"partNumber=4\b")
    cut = wmctl(s3_url, *words)
    assert cut.code == 69
    assert "cannot write part 4 of raw/melee/ranked/ranked.tar at http" in cut.err
    assert "push again: it goes on where it stopped" in cut.err
    assert "there are no raw sets" in wmctl(s3_url, "data", "list", "--raw").out
    done = wmctl(s3_url, *words)
    assert (done.code, done.err) == (0, "")
    assert "was there already" in done.out
    assert len(data) < proxy.received < len(data) + 8 * MB, "nothing but the cut part came twice"
    verify_raw(open_store(s3_url), "melee/ranked")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_push_that_was_stopped_goes_on(
    proxy: FaultyProxy, s3_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    size = 130 * MB
    (tmp_path / "ranked.tar").write_bytes(os.urandom(size))
    command = tiny.wmctl(s3_url, "data", "push", str(tmp_path / "ranked.tar"), "ranked")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as pushing:
        # More than can be under way; what is still to come waits in the meantime.
        proxy.after(90 * MB, lambda: pushing.send_signal(number))
        _, err = pushing.communicate(timeout=60)
    if number is signal.SIGINT:
        assert pushing.returncode == 143
        assert err == "stopped; the same command goes on from here, what arrived is kept\n"
    assert open_store(s3_url).head("raw/ranked/manifest.json") is None
    done = tiny.run(command)
    assert (done.returncode, done.stderr) == (0, "")
    in_flight = 8 * 8 * MB + MB
    assert proxy.received <= size + in_flight
    verify_raw(open_store(s3_url), "ranked")


PUSH_AND_TELL_PEAK = """
import re, sys
from pathlib import Path
from wm.store import open_store
from wmctl.transfer.progress import Quiet
from wmctl.transfer.push import push
push(open_store(sys.argv[1]), [Path(sys.argv[2])], "big", Quiet())
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_memory_does_not_depend_on_the_size(s3_url: str, tmp_path: Path) -> None:
    with (tmp_path / "sparse.tar").open("wb") as sparse:
        sparse.truncate(400 * MB)
    command = [sys.executable, "-c", PUSH_AND_TELL_PEAK, s3_url, str(tmp_path / "sparse.tar")]
    done = tiny.run(command)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 300 * MB
    assert load_raw(open_store(s3_url), "big").bytes == 400 * MB


def test_stores_that_cannot_be_written(
    proxy: FaultyProxy, s3_url: str, games: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = wmctl("s3://not-there/x", "data", "push", str(games), "mine")
    assert (answer.code, "there is no bucket not-there" in answer.err) == (69, True)
    proxy.fail(Fault.DENIED, request="PUT .*a.slp")
    answer = wmctl(s3_url, "data", "push", str(games), "mine")
    assert answer.code == 69
    assert "cannot write raw/mine/a.slp" in answer.err
    assert "access denied" in answer.err
    assert open_store(s3_url).head("raw/mine/manifest.json") is None


def test_a_file_that_changes_while_it_is_pushed(store: Store, tmp_path: Path) -> None:
    big, small = tmp_path / "1-big", tmp_path / "2-small"
    big.write_bytes(os.urandom(200 * MB))
    small.write_bytes(b"small")

    class Overwriting(Quiet):
        def advance(self, count: int, moved: bool) -> None:
            for file in (big, small):
                file.write_bytes(b"overwritten")

    if store.url.startswith("s3://"):
        with pytest.raises(BadData, match=f"{big} changed while it was read"):
            push(store, [big, small], "mine", Overwriting())
        assert store.head("raw/mine/manifest.json") is None
        return
    # A directory is told of whole files: the next one is read as it is then.
    push(store, [big, small], "mine", Overwriting())
    assert store.get("raw/mine/2-small") == b"overwritten"
    verify_raw(store, "mine")


def test_unfinished_uploads_are_pruned(proxy: FaultyProxy, s3_url: str, tmp_path: Path) -> None:
    (tmp_path / "ranked.tar").write_bytes(bytes(9 * MB))
    proxy.fail(Fault.CUT, request=r"partNumber=1\b")
    wmctl(s3_url, "data", "push", str(tmp_path / "ranked.tar"), "ranked")
    assert wmctl(s3_url, "data", "prune").out == "0 unfinished uploads removed\n"
    found = wmctl(s3_url, "data", "prune", "--older-than", "0s", "--dry-run").out.splitlines()
    assert found[-1] == "1 unfinished upload found"
    assert "raw/ranked/ranked.tar, begun" in found[0]
    assert wmctl(s3_url, "data", "prune", "--older-than", "0s").out.endswith(
        "1 unfinished upload removed\n"
    )
    assert (
        wmctl(s3_url, "data", "prune", "--older-than", "0s").out == "0 unfinished uploads removed\n"
    )
    wrong = wmctl(s3_url, "data", "prune", "--older-than", "week")
    assert (wrong.code, "'week' is no age; write 30m, 12h or 7d" in wrong.err) == (64, True)


def test_progress_in_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lines = LineProgress()
    lines.begin("sending", 34_000_000_000)
    lines.advance(2_000_000_000, False)
    assert capsys.readouterr().out == "", "not yet"
    now[0] = 110.0
    lines.advance(1_000_000_000, True)
    line = capsys.readouterr().out.partition(" ")[2]
    assert line == "sending 3 GB of 34 GB, 100 MB/s, 5m 10s left\n"
