"""``docker/images.py`` with builders that only write down what they are asked."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32

FAKE = f"""#!/bin/sh
echo "$@" >> "$0.calls"
[ -e "$0.fails" ] && {{ echo "no such image" >&2; exit 125; }}
[ "$1" = push ] || exit 0
while [ $# -gt 0 ]; do
    [ "$1" = --digestfile ] && {{ printf %s {DIGEST} > "$2"; exit 0; }}
    target=$1; shift
done
case $0 in *docker)
    echo "0123456789ab: Pushed"
    echo "${{target##*:}}: digest: {DIGEST} size: 1234"
    echo "info: not all platforms were pushed"
esac
"""


class Builder:
    """A program named like a builder, in a copy of the project's files that matter here."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.path = folder / "bin" / kind
        self.path.parent.mkdir()
        self.path.write_text(FAKE)
        self.path.chmod(0o755)
        self.project = folder / "project"
        (self.project / "docker").mkdir(parents=True)
        for name in ("docker/images.py", "pyproject.toml"):
            (self.project / name).write_text((ROOT / name).read_text())
        self.digests = self.project / "k8s" / "images" / "kustomization.yaml"

    def run(self, action: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "BUILDER": str(self.path),
            "REGISTRY": "registry.example/team",
            "TAG": "1.0-abc",
        }
        return subprocess.run(
            [sys.executable, self.project / "docker" / "images.py", action],
            env=environment | settings,
            capture_output=True,
            text=True,
        )

    def calls(self) -> list[list[str]]:
        calls = Path(f"{self.path}.calls")
        return [shlex.split(line) for line in calls.read_text().splitlines()]

    def images(self) -> dict[str, dict[str, str]]:
        return {entry["name"]: entry for entry in json.loads(self.digests.read_text())["images"]}


@pytest.fixture(params=["docker", "podman", "buildah"])
def builder(request: pytest.FixtureRequest, tmp_path: Path) -> Builder:
    return Builder(request.param, tmp_path)


def test_builds_every_image_with_its_labels(builder: Builder) -> None:
    assert builder.run("build", BASE="mirror/python", BUILD_FLAGS="--pull 'a b'").returncode == 0
    calls = builder.calls()
    assert [call[call.index("-f") + 1] for call in calls] == [
        f"docker/{part}/Dockerfile"
        for part in ("conductor", "encoder", "evaluator", "store", "trainer")
    ]
    for call in calls:
        assert call[0] == "build"
        assert call[-1] == "."
        assert "--build-arg=BASE=mirror/python" in call
        assert "--pull" in call
        assert "--label=org.opencontainers.image.version=0.1.0" in call
        assert ("--layers" in call) == (builder.path.name == "buildah")
    assert "registry.example/team/wm-trainer:1.0-abc" in calls[-1]


def test_the_pinned_base_is_left_alone_unless_another_is_named(builder: Builder) -> None:
    builder.run("build", IMAGES="encoder")
    assert not [word for word in builder.calls()[0] if "BASE" in word]


def test_push_records_what_the_registry_has(builder: Builder) -> None:
    done = builder.run("push", IMAGES="encoder trainer", PUSH_FLAGS="--quick")
    assert (done.returncode, done.stderr) == (0, "")
    assert [call[-1] for call in builder.calls()] == [
        "registry.example/team/wm-encoder:1.0-abc",
        "registry.example/team/wm-trainer:1.0-abc",
    ]
    assert all(call[:2] == ["push", "--quick"] for call in builder.calls())
    component = json.loads(builder.digests.read_text())
    assert component["kind"] == "Component"
    assert component["images"] == [
        {"name": f"wm-{part}", "newName": f"registry.example/team/wm-{part}", "digest": DIGEST}
        for part in ("encoder", "trainer")
    ]
    assert [file.name for file in builder.digests.parent.iterdir()] == ["kustomization.yaml"]


def test_push_of_one_image_keeps_what_is_known_of_the_others(builder: Builder) -> None:
    builder.run("push", IMAGES="encoder trainer")
    builder.digests.write_text(builder.digests.read_text().replace(DIGEST, OTHER))
    builder.run("push", IMAGES="trainer", REGISTRY="elsewhere.example")
    assert builder.images()["wm-encoder"]["digest"] == OTHER
    assert builder.images()["wm-trainer"]["digest"] == DIGEST
    assert builder.images()["wm-trainer"]["newName"] == "elsewhere.example/wm-trainer"


def test_a_failed_push_records_nothing(builder: Builder) -> None:
    builder.run("push", IMAGES="encoder")
    before = builder.digests.read_text()
    Path(f"{builder.path}.fails").touch()
    done = builder.run("push", IMAGES="encoder", REGISTRY="elsewhere.example")
    assert done.returncode == 1
    assert "no such image" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "ended with code 125" in done.stderr
    assert builder.digests.read_text() == before


def test_a_builder_that_tells_no_digest_is_an_error(tmp_path: Path) -> None:
    builder = Builder("docker", tmp_path)
    builder.path.write_text("#!/bin/sh\necho pushed\n")
    done = builder.run("push", IMAGES="encoder")
    assert done.returncode == 1
    assert "without telling its digest" in done.stderr
    assert not builder.digests.exists()


def test_make_pushes_what_it_built(builder: Builder) -> None:
    (builder.project / "Makefile").write_text((ROOT / "Makefile").read_text())
    done = subprocess.run(
        ["make", "-j2", "build", "push", "IMAGES=encoder store", "REGISTRY=registry.example"],
        cwd=builder.project,
        env={"PATH": os.environ["PATH"], "BUILDER": str(builder.path), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = [word for call in builder.calls() for word in call if ":0.1.0" in word]
    assert (
        names == [f"registry.example/wm-{part}:0.1.0-unknown" for part in ("encoder", "store")] * 2
    )
    assert set(builder.images()) == {"wm-encoder", "wm-store"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"REGISTRY": ""}, "REGISTRY= names no registry"),
        ({"REGISTRY": "https://registry.example"}, "https://registry.example names no registry"),
        ({"IMAGES": "encoder coder"}, "IMAGES names coder: there are conductor, encoder"),
        ({"BUILDER": "/nowhere/docker"}, "choose with BUILDER=docker|podman|buildah"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str], says: str, tmp_path: Path) -> None:
    done = Builder("docker", tmp_path).run("build", **settings)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_tag_tells_the_commit_and_what_is_not_in_it(tmp_path: Path) -> None:
    builder = Builder("docker", tmp_path)
    assert builder.run("tag").stdout == "0.1.0-unknown\n"
    for command in (
        "init --quiet",
        "add .",
        "-c user.name=t -c user.email=t@example.org commit --quiet -m one",
    ):
        subprocess.run(["git", *command.split()], cwd=builder.project, check=True)
    commit = builder.run("tag").stdout.strip()
    assert commit.startswith("0.1.0-")
    assert len(commit) == len("0.1.0-") + 12
    (builder.project / "notes.txt").write_text("not part of an image")
    assert builder.run("tag").stdout.strip() == commit
    (builder.project / "docker" / "more").write_text("part of an image")
    assert builder.run("tag").stdout.strip() == f"{commit}-dirty"
