"""Several processes on one encode stage leave what one would have left."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from encoder.__main__ import main
from encoder.config import EncodeConfig
from encoder.encode import encode
from encoder.members import MemberFailed, Members
from tests.support.archives import write_archive
from wm.errors import BadConfig, BadData, Exit, Hang, Preempted
from wm.stage import Outcome, StageContext, StageSpec
from wm.store import Store, open_store

Run = Callable[..., dict[str, Any]]


class Fleet:
    """The pods of one attempt as processes; whatever fails is started again, as a Job would."""

    def __init__(self, store: Store, config: dict[str, Any], pods: int) -> None:
        settings = EncodeConfig.model_validate(config | {"pods": pods}).model_dump(mode="json")
        self.spec = StageSpec(run="r", stage="e", attempt=1, kind="encode", config=settings)
        self.store, self.pods = store, pods
        store.put(f"{self.spec.prefix}/spec.json", self.spec.model_dump_json().encode())
        self.processes = {member: self.start(member) for member in range(pods)}

    def start(self, member: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "encoder", "--spec",
             f"{self.store.url}/{self.spec.prefix}/spec.json"],
            env=os.environ | {"WM_MEMBER": str(member)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def kill(self, member: int) -> None:
        os.killpg(self.processes[member].pid, signal.SIGKILL)
        self.processes[member].communicate()
        self.processes[member] = self.start(member)

    def codes(self) -> list[int]:
        """Exit codes of all members, which must come within a minute."""
        for process in self.processes.values():
            process.communicate(timeout=60)
        return [process.returncode for process in self.processes.values()]

    def end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def fleet() -> Iterator[Callable[..., Fleet]]:
    started: list[Fleet] = []

    def start(*arguments: Any) -> Fleet:
        started.append(Fleet(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(params=["directory", "s3"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store that members share."""
    if request.param == "s3":
        return open_store(request.getfixturevalue("s3_url"))
    return open_store(str(tmp_path / "shared"))


@pytest.fixture
def many(tmp_path: Path, replays: list[Path]) -> Path:
    """Ninety replays, some twice, some broken: eleven chunks and a bit."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(90):
        data = replays[number % 12].read_bytes()
        (folder / f"{number:03d}.slp").write_bytes(b"x" if number % 7 == 3 else data)
    (folder / "notes.txt").touch()
    return folder


def objects(store: Store) -> dict[str, str]:
    """Key -> SHA-256 of everything that belongs to data sets, but for the index of inputs."""
    return {
        entry.key: hashlib.sha256(store.get(entry.key)).hexdigest()
        for entry in store.list("datasets/")
        if not entry.key.endswith("inputs.json")
    }


@pytest.mark.parametrize("pods", [2, 3])
def test_any_number_of_members_makes_the_same_bytes(
    pods: int, run: Run, store: Store, shared: Store, many: Path, fleet: Callable[..., Fleet]
) -> None:
    config = {"game": "melee", "source": str(many), "shard_mb": 0.05, "name": "made", "workers": 1}
    alone = run("melee", many, shard_mb=0.05)
    together = fleet(shared, config, pods)
    assert together.codes() == [0] * pods
    assert objects(shared) == objects(store)
    prefix = together.spec.prefix
    spoken = Outcome.model_validate_json(shared.get(f"{prefix}/outcome.json"))
    assert spoken.result == alone
    for member in range(1, pods):
        text = shared.get(f"{prefix}/members/{member}/outcome.json")
        assert Outcome.model_validate_json(text).result == {}
        assert b"inputs or pieces" in shared.get(f"{prefix}/members/{member}/heartbeat.json")


@pytest.mark.parametrize("game", ["melee", "chess"])
def test_members_killed_at_random_moments(
    game: str, run: Run, store: Store, shared: Store, many: Path, pgn: bytes,
    fleet: Callable[..., Fleet], tmp_path: Path,
) -> None:  # fmt: skip
    source, shard_mb = many, 0.05
    if game == "chess":
        files = {f"{n}.pgn": b'[Event "%d"]\n\n1. e4 1-0\n\n' % n + pgn for n in range(40)}
        source, shard_mb = write_archive(tmp_path / "games.tar.gz", files), 0.002
    run(game, source, shard_mb=shard_mb)
    config = {"game": game, "name": "made", "source": str(source), "shard_mb": shard_mb}
    together = fleet(shared, config | {"workers": 1}, 3)
    chance = random.Random(5)
    for _ in range(6):
        time.sleep(chance.uniform(0.8, 2.5))
        together.kill(chance.choice([0, 0, 1, 2]))
    assert together.codes() == [0, 0, 0]
    assert objects(shared) == objects(store)


def test_what_members_parsed_serves_a_run_of_another_size(
    run: Run, store: Store, many: Path, tmp_path: Path
) -> None:
    """Member 1 of 2 comes alone and goes; then three share what is left."""
    run("melee", many, shard_mb=0.05)
    other = open_store(str(tmp_path / "other"))
    with pytest.raises(Hang, match=r"member 0 has made no progress for 0\.5 s; it has not begun"):
        share(other, many, tmp_path, Members(1, 2, "runs/r/e/01"), patience=0.5)
    left = [e.key[-12:] for e in other.list("datasets/") if "answers" in e.key]
    assert left == ["00000001.bin", "00000003.bin", "00000005.bin", "00000007.bin", "00000009.bin"]
    threads = [
        threading.Thread(target=share, args=(other, many, tmp_path, Members(k, 3, "runs/r/e/02")))
        for k in (0, 1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert objects(other) == objects(store)


def test_a_member_that_never_comes_is_named(many: Path, store: Store, tmp_path: Path) -> None:
    with pytest.raises(Hang, match=r"member 1 has .* it has not begun, and chunk 1 is waited for"):
        share(store, many, tmp_path, Members(0, 2, "runs/r/e/01"), patience=0.5)


def test_a_member_that_has_failed_for_good_ends_the_stage(
    many: Path, store: Store, tmp_path: Path
) -> None:
    failed = Outcome(code=Exit.BAD_DATA, message="x.zip is cut off", started=0, ended=1)
    store.put("runs/r/e/01/members/1/outcome.json", failed.model_dump_json().encode())
    with pytest.raises(MemberFailed, match=r"member 1: x\.zip is cut off") as error:
        share(store, many, tmp_path, Members(0, 2, "runs/r/e/01"))
    assert error.value.code == Exit.BAD_DATA


def test_a_member_that_was_preempted_is_waited_for(
    many: Path, store: Store, tmp_path: Path
) -> None:
    gone = Outcome(code=Exit.PREEMPTED, message="stopped", started=0, ended=1)
    store.put("runs/r/e/01/members/1/outcome.json", gone.model_dump_json().encode())
    with pytest.raises(Hang):
        share(store, many, tmp_path, Members(0, 2, "runs/r/e/01"), patience=0.5)


@pytest.mark.parametrize("code", [Exit.BUG, Exit.KILLED, Exit.HANG])
def test_a_stage_stopped_because_of_another_member_says_so(
    code: Exit, many: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Job of which one pod has failed for good sends SIGTERM to all others."""
    monkeypatch.setenv("WM_MEMBER", "0")
    failed = Outcome(code=code, message="KeyError: 'x'", started=0, ended=1)
    store.put("runs/r/e/01/members/1/outcome.json", failed.model_dump_json().encode())
    config = {"game": "melee", "source": str(many), "name": "made", "pods": 2}
    spec = StageSpec(run="r", stage="e", attempt=1, kind="encode", config=config)
    context = StageContext(spec, store, "", tmp_path)
    context.stopping.set()
    permanent = code != Exit.HANG
    with pytest.raises(MemberFailed if permanent else Preempted) as error:
        main(context)
    assert error.value.code == (code if permanent else Exit.PREEMPTED)


def test_a_member_too_many_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WM_MEMBER", "2")
    config = {"game": "melee", "source": "made:3", "name": "made", "pods": 2}
    spec = StageSpec(run="r", stage="e", attempt=1, kind="encode", config=config)
    with pytest.raises(BadConfig, match="this is member 2 of an encode stage of 2 pods"):
        main(StageContext(spec, store, "", tmp_path, 2))


def test_one_machine_ignores_how_many_pods_there_would_be(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WM_MEMBER", raising=False)
    config = {"game": "chess", "source": "made:30", "name": "made", "pods": 5, "workers": 1}
    spec = StageSpec(run="r", stage="e", attempt=1, kind="encode", config=config)
    assert sum(main(StageContext(spec, store, "", tmp_path))["games"].values()) > 0


def test_a_damaged_chunk_is_not_believed(many: Path, store: Store, tmp_path: Path) -> None:
    with pytest.raises(Hang):
        share(store, many, tmp_path, Members(1, 2, "runs/r/e/01"), patience=0.5)
    key = next(e.key for e in store.list("datasets/") if "answers" in e.key)
    data = store.get(key)
    store.put(key, data[:-1])
    with pytest.raises(BadData, match="chunk 1 of another member's answers is damaged"):
        share(store, many, tmp_path, Members(0, 2, "runs/r/e/01"))


def share(
    store: Store, source: Path, tmp_path: Path, members: Members, patience: float = 60
) -> dict[str, Any]:
    """One member's part, in this process."""
    scratch = tmp_path / f"scratch-{members.prefix[-2:]}-{members.member}"
    scratch.mkdir()
    config = {"game": "melee", "source": str(source), "shard_mb": 0.05, "name": "made"}
    settings = EncodeConfig.model_validate(config | {"workers": 1})
    return encode(settings, store, scratch, members=members, patience=patience)
