"""The entry point: fast help, and mistakes that end in one sentence, a hint and a code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import wmctl
from wmctl.cli import COMMANDS, HIDDEN

HEAVY = {"torch", "boto3", "pydantic", "matplotlib", "numpy", "yaml", "rich"}
"""What ``--help`` must not wait for."""


def imported_by(*words: str) -> set[str]:
    code = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"from wmctl.cli import main; main({list(words)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_lists_every_command_with_one_line(tmp_path: Path) -> None:
    answer = wmctl(tmp_path, "--help")
    assert answer.code == 0
    lines = {line.split()[0]: line for line in answer.out.splitlines() if line.startswith("  ")}
    assert "conduct" not in lines, "people do not call it"
    for name in COMMANDS.keys() - HIDDEN:
        assert lines[name].endswith(COMMANDS[name])
    assert max(map(len, answer.out.splitlines())) <= 80


def test_help_is_fast_because_it_imports_nothing_heavy() -> None:
    modules = imported_by("--help")
    assert not HEAVY & modules
    assert not {m for m in modules if m.startswith("wmctl.cli.")}, "no command's own module either"


def test_a_command_that_starts_nothing_needs_no_torch_and_no_s3(tmp_path: Path) -> None:
    modules = imported_by("--store", str(tmp_path), "runs")
    assert not {"torch", "boto3", "matplotlib"} & modules


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command: str, tmp_path: Path) -> None:
    answer = wmctl(tmp_path, command, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: wmctl {command}")
    assert "--help" in answer.out


def test_no_command_shows_the_help(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from wmctl.cli import main; main()"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 64
    assert "Run a plan, or go on" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["submitt"], 64, "there is no command 'submitt' (did you mean 'submit'?)", "wmctl --help"),
        (["models", "bogus"], 64, "No such command 'bogus'.", "wmctl models --help"),
        (["submit"], 64, "Missing argument 'PLAN'.", "wmctl submit --help"),
        (["plan", "demo", "--cpus", "0"], 64, "'--cpus': 0 is not in the range", "plan --help"),
        (["runs", "--store", "x"], 64, "No such option '--store'", "stands before the command"),
        (["plan", "demoo"], 66, "there is no plan 'demoo' (did you mean 'demo'?)", "overnight"),
        (["plan", "my.yaml"], 66, "there is no plan file my.yaml", ""),
        (["plan", "demo", "--data", "ches=x"], 64, "(did you mean 'chess'?)", "chess, melee"),
        (["plan", "demo", "--data", "chess"], 64, "--data chess: expected NAME=VALUE", ""),
        (["plan", "demo", "--set", "a=["], 64, "--set a=[ is not YAML: line 1, column 2", ""),
        (
            ["plan", "demo", "--set", "stages.train-ches.steps=1"],
            64,
            "there is no 'train-ches' (did you mean 'train-chess'?)",
            "known here: encode-chess",
        ),
        (
            ["plan", "demo", "--set", "stages.train-mlp.step=1"],
            64,
            "stage train-mlp: unknown key 'step' (did you mean 'steps'?)",
            "",
        ),
        (["status"], 66, "there are no runs in", "wmctl submit demo"),
        (["status", "demo-0101-aaaa"], 66, "there are no runs in", "wmctl submit demo"),
        (["logs"], 66, "there are no runs in", "wmctl submit demo"),
        (["report"], 66, "there are no runs in", "wmctl submit demo"),
        (["models", "show", "chess/x"], 66, "there is no model 'chess/x'", "wmctl models list"),
        (["models", "promote", "x"], 66, "there is no model 'x'", "wmctl models list"),
        (["data", "show", "chess"], 66, "there is no data set 'chess'", "wmctl data list"),
        (["data", "inventory", "/nowhere"], 66, "there is no file or folder /nowhere", ""),
    ],
)
def test_a_mistake_ends_in_one_sentence_a_hint_and_a_code(
    tmp_path: Path, words: list[str], code: int, error: str, hint: str
) -> None:
    answer = wmctl(tmp_path / "store", *words)
    assert answer.code == code
    assert answer.out == ""
    first, *rest = answer.err.splitlines()
    assert first.startswith("error: ")
    assert error in first
    if hint:
        assert rest[0].startswith("hint: ")
        assert hint in rest[0]
    assert len(rest) <= 1
    assert not (tmp_path / "store").exists(), "a mistake leaves nothing behind"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runs"], "there are no runs in {store}; start one: wmctl submit demo\n"),
        (["models", "list"], "there are no models in {store}\n"),
        (["data", "list"], "there are no data sets in {store}\n"),
        (["data", "verify"], "there are no data sets in {store}\n"),
        (["runs", "--json"], "[]\n"),
        (["models", "list", "--json"], "[]\n"),
        (["data", "list", "--json"], "[]\n"),
    ],
)
def test_an_empty_store_is_no_error(tmp_path: Path, words: list[str], says: str) -> None:
    answer = wmctl(tmp_path, *words)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == says.format(store=tmp_path)


@pytest.mark.parametrize("command", ["runs", "models", "data"])
def test_an_address_of_no_store_is_named(command: str) -> None:
    words = [command] if command == "runs" else [command, "list"]
    answer = wmctl("gs://bucket", *words)
    assert answer.code == 64
    assert answer.err == (
        "error: 'gs://bucket' is not the address of a store\n"
        "hint: give s3://bucket/prefix or the path of a directory\n"
    )


@pytest.mark.parametrize("command", ["runs", "status"])
def test_a_damaged_run_in_the_store_is_named(tmp_path: Path, command: str) -> None:
    spec = tmp_path / "runs" / "demo-0101-aaaa" / "spec.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"run": 3')
    answer = wmctl(tmp_path, command)
    assert answer.code == 65
    assert answer.err == (
        f"error: {spec} is damaged or of another version of wmctl\n"
        "hint: use that version, or remove the folder runs/demo-0101-aaaa from the store\n"
    )


def test_a_reader_that_has_had_enough_sees_no_traceback(tmp_path: Path) -> None:
    words = ["--store", str(tmp_path), "plan", "demo", "--json"]
    code = f"from wmctl.cli import main; main({words!r})"
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; {sys.executable} -c "$0" | true', code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, "")
