"""What every image has to be, read from its Dockerfile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob("docker/*/Dockerfile"))


def instructions(file: Path) -> list[tuple[str, str]]:
    """A Dockerfile's instructions in order, comments gone and continued lines joined."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(verb, rest) for verb, rest in found]


def final(file: Path) -> list[tuple[str, str]]:
    """The instructions that make the image of a plain build, from the base's on."""
    stages: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for verb, rest in instructions(file):
        if verb == "FROM":
            parent, _, name = rest.partition(" AS ")
            stages[name] = list(stages.get(parent, []))
        elif name:
            stages[name].append((verb, rest))
    return stages[name]


def texts(found: list[tuple[str, str]], verb: str) -> list[str]:
    return [rest for known, rest in found if known == verb]


def test_there_is_an_image_for_each_part() -> None:
    assert [file.parent.name for file in FILES] == [
        *("conductor", "encoder", "evaluator", "store", "trainer"),
    ]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None
    done = subprocess.run([hadolint, *FILES], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
class TestImage:
    def test_starts_from_a_pinned_public_base_that_can_be_replaced(self, file: Path) -> None:
        verb, base = instructions(file)[0]
        assert verb == "ARG"
        assert re.fullmatch(r"BASE=docker\.io/library/python:3\.11\S+@sha256:[0-9a-f]{64}", base)
        names = {"${BASE}"}
        for stage in texts(instructions(file), "FROM"):
            parent, _, name = stage.partition(" AS ")
            assert parent in names
            names.add(name)

    def test_has_the_same_base_as_all_others(self, file: Path) -> None:
        assert instructions(file)[0] == instructions(FILES[0])[0]

    def test_runs_as_a_number_that_is_not_root(self, file: Path) -> None:
        assert texts(final(file), "USER") == ["10001:10001"]

    def test_starts_its_program_without_a_shell(self, file: Path) -> None:
        (entrypoint,) = texts(final(file), "ENTRYPOINT")
        part = file.parent.name
        starts = {"conductor": ["wmctl"], "store": ["weed", "mini"]}
        assert json.loads(entrypoint) == starts.get(part, ["python", "-m", part])

    def test_fetches_nothing_by_address(self, file: Path) -> None:
        assert not texts(instructions(file), "ADD")
        assert not re.search(r"https?://|curl|wget", file.read_text())

    def test_has_the_code_in_its_last_layer(self, file: Path) -> None:
        ours = {
            True: "--from=code /app /app",
            False: "--from=seaweedfs /opt/wm/bin/weed /usr/local/bin/weed",
        }
        layers = [(verb, rest) for verb, rest in final(file) if verb in ("COPY", "RUN")]
        assert layers[-1] == ("COPY", ours[file.parent.name != "store"])

    def test_keeps_no_compiler_and_no_cache(self, file: Path) -> None:
        for command in texts(final(file), "RUN"):
            assert "apt-get" not in command
            assert "install" not in command or "--no-cache-dir" in command

    def test_takes_its_packages_from_the_constraints(self, file: Path) -> None:
        for command in texts(final(file), "RUN"):
            assert "install" not in command or re.search(
                r"-c /opt/wm/(torch|constraints)\.txt", command
            )

    def test_says_its_title_and_licences(self, file: Path) -> None:
        label = " ".join(texts(final(file), "LABEL"))
        assert f'org.opencontainers.image.title="wm-{file.parent.name}"' in label
        gpl = file.parent.name in ("encoder", "evaluator", "trainer")
        assert ("GPL-3.0-or-later" in label) == gpl


def test_trainer_and_evaluator_share_the_layers_of_their_packages() -> None:
    def shared(part: str) -> str:
        return (
            (ROOT / "docker" / part / "Dockerfile")
            .read_text()
            .split("\nARG BASE=")[1]
            .split("# Own")[0]
        )

    assert "install --no-cache-dir -c /opt/wm/torch.txt torch" in shared("trainer")
    assert shared("trainer") == shared("evaluator")


def test_the_pins_of_torch_name_all_that_torch_needs() -> None:
    text = (ROOT / "docker/trainer/Dockerfile").read_text()
    pins = re.compile(re.search(r"grep -iE '(.+)'", text)[1])
    needed, waiting = set(), ["torch"]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        for line in requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
    assert "sympy" in needed
    assert [name for name in sorted(needed) if not pins.match(f"{name}==1")] == []


def test_the_builder_is_sent_what_images_are_made_of_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {
        source
        for file in FILES
        for rest in texts(instructions(file), "COPY")
        if not rest.startswith("--from=")
        for source in rest.split()[:-1]
    }
    assert allowed == copied
    assert all((ROOT / path).exists() for path in allowed)
    assert "**/__pycache__" in rules
