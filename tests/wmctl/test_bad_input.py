"""Bad input as whoever types ``wmctl submit`` sees it: one sentence, the way out, nothing lost."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import cli
from tests.support.archives import write_archive
from tests.support.disk import small_tmpfs
from tests.support.tiny import run, wmctl
from tests.support.training import LSTM, publish_chess
from wm.games.chess.made import write_games
from wm.games.melee.made import write_replays
from wm.store import open_store
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.run.history import History
from wmctl.run.spec import RunSpec
from wmctl.run.spec import submit as enter

Done = subprocess.CompletedProcess[str]


def write_plan(folder: Path, source: Path | str, game: str = "chess", **changes: Any) -> Path:
    """A plan that encodes one source and does nothing else."""
    tree = {
        "name": "own",
        "data": {"games": {"game": game, "source": str(source)}},
        "stages": {"enc": {"encode": "games", "workers": 1}},
    }
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(tree | changes))
    return path


def submit(store: Path, plan: Path) -> Done:
    """``wmctl submit`` as a process; a traceback on the screen is never right."""
    done = run(wmctl(store, "submit", str(plan)))
    assert "Traceback" not in done.stdout + done.stderr
    return done


def errors(done: Done) -> tuple[str, str]:
    """The one error and its hint, without the words in front."""
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "hint"], done.stderr
    return lines[0].partition(": ")[2], lines[1].partition(": ")[2]


def rejected(store: Path) -> list[dict[str, Any]]:
    """Rows of ``rejects.jsonl`` that are no acceptance."""
    (path,) = (store / "datasets" / "games").glob("*/rejects.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if row["verdict"] == "rejected"]


def test_an_archive_that_is_cut_off(tmp_path: Path) -> None:
    write_games(tmp_path / "games.pgn", 6, 1)
    pgn = (tmp_path / "games.pgn").read_bytes()
    archive = write_archive(tmp_path / "games.zip", {"games.pgn": pgn})
    archive.write_bytes(archive.read_bytes()[:-100])
    done = submit(tmp_path / "store", write_plan(tmp_path, archive))
    assert done.returncode == 65
    message, hint = errors(done)
    assert message.startswith("enc failed: ")
    assert "games.zip" in message
    assert hint
    assert not list((tmp_path / "store").rglob("manifest.json")), "no half of it is published"


def test_a_folder_without_games(tmp_path: Path) -> None:
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "readme.txt").write_text("the games are elsewhere")
    done = submit(tmp_path / "store", write_plan(tmp_path, tmp_path / "games"))
    assert done.returncode == 65
    message, hint = errors(done)
    assert f"no chess game of {tmp_path}/games was accepted" in message
    assert "rejects.jsonl" in hint


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    done = submit(tmp_path / "store", write_plan(tmp_path, tmp_path / "nowhere"))
    assert done.returncode == 66
    assert f"{tmp_path}/nowhere" in errors(done)[0]


def test_forty_damaged_replays_among_good_ones_are_named_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    good = write_replays(tmp_path / "replays", 3, 1)
    data = good[0].read_bytes()
    draw = random.Random(1)
    for number in range(40):
        cut = data[: draw.randrange(len(data) // 2)]
        (good[0].parent / f"bad-{number:02d}.slp").write_bytes(cut)
    store = tmp_path / "store"
    done = submit(store, write_plan(tmp_path, good[0].parent, "melee"))
    assert (done.returncode, done.stderr) == (0, "")
    assert " test games, 40 rejected\n" in done.stdout
    rows = rejected(store)
    assert [row["input"] for row in rows] == [f"bad-{number:02d}.slp" for number in range(40)]
    assert all(row["reason"] and row["detail"] for row in rows)


def test_illegal_moves_and_wrong_results_are_named_and_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "games.pgn"
    write_games(path, 6, 1)
    with path.open("a") as file:
        file.write('[Event "a"]\n[Result "1-0"]\n\n1. e4 e5 2. Ke2 Ke7 3. Qxf7 1-0\n\n')
        file.write('[Event "b"]\n[Result "1-0"]\n\n1. f3 e5 2. g4 Qh4# 1-0\n')
    store = tmp_path / "store"
    done = submit(store, write_plan(tmp_path, path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 rejected" in done.stdout
    assert [row["reason"] for row in rejected(store)] == ["illegal_move", "result_mismatch"]
    shown = cli.wmctl(store, "data", "show", "games").out
    assert "rejects: illegal_move 1, result_mismatch 1" in shown


def test_json_lines_of_the_wrong_shape(tmp_path: Path) -> None:
    path = tmp_path / "games.jsonl"
    path.write_text('{"moves": 5}\n[1, 2]\n"e2e4"\n{"moves": ["e2e4", "e9e5"]}\n{"mov\n')
    store = tmp_path / "store"
    done = submit(store, write_plan(tmp_path, path))
    assert done.returncode == 65
    message, _ = errors(done)
    assert "games.jsonl was accepted" in message
    assert not list(store.rglob("manifest.json"))


@pytest.mark.parametrize(
    ("changes", "error", "hint"),
    [
        (
            {"stages": {"enc": {"encode": "games", "worker": 1}}},
            "stage enc: unknown key 'worker' (did you mean 'workers'?)",
            None,
        ),
        ({"deadlin": "1h"}, "unknown key 'deadlin' (did you mean 'deadline'?)", None),
        (
            {"stages": {"enc": {"encode": "gamse"}}},
            "stage enc: there is no data named 'gamse' (did you mean 'games'?)",
            None,
        ),
        (
            {"stages": {"t": {"train": "lstm", "data": "enc", "steps": 1}}},
            "stage t: it reads the data set of 'enc', which no stage makes",
            "encode stages: none",
        ),
        (
            {"stages": {"a": {"arena": "chess", "players": ["random", "champion"]}}},
            "stage a: player 'champion' is no chess train stage, anchor or model",
            "anchors: random, greedy; stages: none; models: see wmctl models list, and wmctl "
            "models import",
        ),
    ],
)
def test_a_plan_that_cannot_be_run_starts_nothing(
    tmp_path: Path, changes: dict[str, Any], error: str, hint: str | None
) -> None:
    answer = cli.wmctl(tmp_path / "store", "submit", str(write_plan(tmp_path, "made:4", **changes)))
    assert (answer.code, answer.out) == (64, "")
    lines = answer.err.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[0].endswith(error)
    assert lines[1:] == ([f"hint: {hint}"] if hint else [])
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            b"name: x\nstages: {e: {encode: c}\n",
            "is not YAML: line 3, column 1: expected",
        ),
        (b"\xff\xfe\x00", "is not YAML: unacceptable character"),
        (b"- a\n- b\n", "is not a mapping of keys"),
        (b"", "is not a mapping of keys"),
        (
            b"name: x\ndata: {c: {game: chess}}\nstages: {e: 5}\n",
            "stages.e: Input should be a valid dictionary",
        ),
        (b"name: x\ndata: [1]\nstages: {e: {encode: c}}\n", "has no data named 'c'"),
        (b"name: x\ndata: {c: 5}\nstages: {e: {encode: c}}\n", "'c' holds a value, not keys"),
        (
            b"name: x\ndata: {c: {game: chess, source: a}}\n"
            b"stages: {e: {encode: c, name: n, vary: {name.x: [1]}}}\n",
            "stage e: vary name.x: 'name' holds a value, not keys",
        ),
    ],
)
def test_a_plan_file_that_is_none_is_named(tmp_path: Path, text: bytes, error: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(text)
    answer = cli.wmctl(tmp_path / "store", "plan", str(path), "--data", "c=games.pgn")
    assert (answer.code, answer.out) == (64, "")
    first = answer.err.splitlines()[0]
    assert first.startswith("error: ")
    assert error in first


TRAIN = {
    "train": "lstm",
    "data": "enc",
    "model": LSTM,
    "steps": 12,
    "batch": 8,
    "length": 16,
    "checkpoint_every": 3,
    "validate_every": 12,
    "threads": 1,
    "processes": 1,
}


def encoded(folder: Path) -> tuple[Path, Path, RunSpec]:
    """A store in which a plan's encode stage is done and its training is not begun; the plan."""
    root = folder / "store"
    plan = write_plan(
        folder, "made:30", stages={"enc": {"encode": "games", "workers": 1}, "train": TRAIN}
    )
    checked = load_plan(str(plan))
    store = open_store(str(root))
    spec = enter(store, checked, resolve(checked, lambda game, name: None))
    history = History(store, spec.run)
    history.append("submitted")
    history.append("started", stage="enc", attempt=1)
    detail = {"dataset": publish_chess(store), "games": {"train": 24, "val": 6}}
    history.append("ended", stage="enc", attempt=1, code=0, detail=detail)
    return root, plan, spec


def test_a_shard_of_which_one_byte_changed(tmp_path: Path) -> None:
    store, plan, spec = encoded(tmp_path)
    (shard,) = store.rglob("train-00001.safetensors")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    done = submit(store, plan)
    assert done.returncode == 65
    message, hint = errors(done)
    assert message.startswith("train failed: ")
    assert str(shard.relative_to(store)) in message
    assert hint
    assert "error: " in cli.wmctl(store, "logs", spec.run, "train").out
    assert cli.wmctl(store, "data", "verify").code == 65


def test_a_checkpoint_cut_in_half_costs_only_the_steps_since_the_one_before(
    tmp_path: Path,
) -> None:
    store, plan, spec = encoded(tmp_path)
    assert submit(store, plan).returncode == 0
    (weights,) = store.rglob("weights.safetensors")
    undisturbed = weights.read_bytes()
    # As after a power cut: the training was at its end, and nobody wrote that down.
    shutil.rmtree(store / "models")
    (store / "runs" / spec.run / "train" / "01" / "outcome.json").unlink()
    events = store / "runs" / spec.run / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    begun = next(i for i, line in enumerate(lines) if '"train"' in line and "started" in line)
    events.write_text("".join(lines[: begun + 1]))
    newest = max((store / "runs" / spec.run / "train" / "01" / "checkpoints").glob("step-*"))
    state = newest / "state.safetensors"
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    done = submit(store, plan)
    assert (done.returncode, done.stderr) == (0, "")
    log = cli.wmctl(store, "logs", spec.run, "train", "--attempt", "2").out
    warnings = [line for line in log.splitlines() if " WARNING " in line]
    assert len(warnings) == 1, log
    assert newest.name in warnings[0]
    (weights,) = store.rglob("weights.safetensors")
    assert weights.read_bytes() == undisturbed


def test_a_disk_that_is_full_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    replays = write_replays(tmp_path / "replays", 4, 1)
    plan = write_plan(tmp_path, replays[0].parent, "melee")
    with small_tmpfs(tmp_path / "disk", "500k") as disk:
        done = submit(disk / "store", plan)
        assert done.returncode == 69
        message, hint = errors(done)
        assert "No space left on device" in message
        assert "room" in hint or "space" in hint
        assert not list(disk.rglob("manifest.json"))
        grow = ["mount", "-o", "remount,size=50m", str(disk)]
        subprocess.run(grow, check=True)
        done = submit(disk / "store", plan)
        assert (done.returncode, done.stderr) == (0, "")
        assert cli.wmctl(disk / "store", "data", "verify").code == 0


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, "made:4")
    with small_tmpfs(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        answer = cli.wmctl(disk / "store", "submit", str(plan))
    assert (answer.code, answer.out) == (69, "")
    error, hint = answer.err.splitlines()
    assert error.startswith("error: cannot write runs/own-")
    assert f"in the store {disk}/store: Read-only file system" in error
    assert hint.startswith("hint: ")


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    answer = cli.wmctl(tmp_path / "store", "submit", str(write_plan(tmp_path, "made:4")))
    assert (answer.code, answer.out) == (69, "")
    assert answer.err.splitlines()[1] == (
        "hint: a file stands where a folder is needed; choose another place or remove it"
    )
    assert (tmp_path / "store").read_text() == "not a folder"
