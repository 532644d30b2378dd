"""What the images install, from pyproject.toml."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docker" / "requirements.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

spec = importlib.util.spec_from_file_location("docker_requirements", SCRIPT)
assert spec is not None
assert spec.loader is not None
module: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


def names(*extra: str) -> set[str]:
    return {re.match(r"[\w.-]+", line)[0] for line in module.requirements(PROJECT, *extra)}


def test_an_extra_brings_those_that_it_names() -> None:
    project = {
        "name": "p",
        "dependencies": ["a>=1"],
        "optional-dependencies": {"one": ["b", "p[two,three]"], "two": ["c[x]"], "three": ["d"]},
    }
    assert module.requirements(project, "one") == ["a>=1", "b", "c[x]", "d"]
    assert module.requirements(project, "two,three") == ["a>=1", "c[x]", "d"]
    assert module.requirements(project, "three,") == ["a>=1", "d"]  # as the Dockerfile asks
    assert module.requirements(project) == ["a>=1"]
    with pytest.raises(KeyError):
        module.requirements(project, "four")


def test_the_conductor_has_neither_torch_nor_a_gpl_library() -> None:
    assert not names() & {"torch", "chess", "rust-pgn-reader-python-binding"}
    assert "kubernetes" in names()


def test_trainer_and_evaluator_need_the_same() -> None:
    assert names("trainer") == names("evaluator")
    assert {"torch", "chess"} <= names("trainer")


def test_the_encoder_has_no_torch() -> None:
    assert "torch" not in names("encoder")
    assert {"chess", "peppi-py-vladfi", "py7zr"} <= names("encoder")


def test_the_trainer_can_tell_how_busy_a_gpu_is() -> None:
    assert "nvidia-ml-py" in names("trainer")


@pytest.mark.parametrize("extra", ["encoder", "trainer", "evaluator", "tensorboard,wandb"])
def test_everything_is_pinned(extra: str) -> None:
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    assert [n for n in names(extra) if f"\n{n.lower()}==" not in f"\n{pins}"] == []


def test_the_script_reads_the_file_beside_it(tmp_path: Path) -> None:
    for file in (SCRIPT, ROOT / "pyproject.toml"):
        (tmp_path / file.name).write_text(file.read_text())
    done = subprocess.run(
        [sys.executable, tmp_path / SCRIPT.name, "trainer"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == module.requirements(PROJECT, "trainer")
