"""Builds and pushes the container images: ``python docker/images.py build|push|tag``.

The settings come from the environment, as ``make build push`` hands them over: BUILDER (docker,
podman or buildah), REGISTRY, BASE, IMAGES, BUILD_FLAGS, PUSH_FLAGS, TAG. Only the standard library
is needed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGESTS = Path("k8s/images/kustomization.yaml")
IMAGES = ("conductor", "encoder", "evaluator", "store", "trainer")
CONTENT = (
    *("encoder", "evaluator", "trainer", "wm", "wmctl"),
    "docker",
    "LICENSE",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
)
"""What the images are made of."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Trouble(Exception):
    """A sentence for the user: what is wrong and the way out."""


@dataclass(frozen=True)
class Settings:
    """What a user can choose."""

    builder: list[str]
    """The builder's command, most often one word."""
    registry: str
    """Registry and path, without the image's name: ``registry.example/team``."""
    tag: str
    images: tuple[str, ...]
    base: str = ""
    """Base image in place of the pinned one."""
    build_flags: tuple[str, ...] = ()
    push_flags: tuple[str, ...] = ()

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings of an environment; raises :class:`Trouble` for what cannot work."""

        def words(name: str, default: str = "") -> tuple[str, ...]:
            return tuple(shlex.split(environment.get(name) or default))

        registry = environment.get("REGISTRY", "").strip().rstrip("/")
        if not registry or "://" in registry:
            raise Trouble(
                f"REGISTRY={registry} names no registry: say REGISTRY=registry.example/team"
            )
        images = words("IMAGES", " ".join(IMAGES))
        if unknown := sorted(set(images) - set(IMAGES)):
            raise Trouble(f"IMAGES names {', '.join(unknown)}: there are {', '.join(IMAGES)}")
        return cls(
            builder=list(words("BUILDER", "docker")),
            registry=registry,
            tag=environment.get("TAG") or version_tag(),
            images=images,
            base=environment.get("BASE", "").strip(),
            build_flags=words("BUILD_FLAGS"),
            push_flags=words("PUSH_FLAGS"),
        )

    @property
    def kind(self) -> str:
        """Which builder it is, whatever its path: docker, podman or buildah."""
        return Path(self.builder[0]).name

    def name(self, image: str) -> str:
        """Full name of an image without its tag."""
        return f"{self.registry}/wm-{image}"


def version() -> str:
    """The project's version."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return str(declared["project"]["version"])


def revision() -> str:
    """Git's name for the sources, ``-dirty`` when the images' content differs from it."""
    try:
        commit = _output(["git", "rev-parse", "--short=12", "HEAD"]).strip()
        changed = _output(["git", "status", "--porcelain", "--", *CONTENT]).strip()
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive, or no git
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def version_tag() -> str:
    """Tag that all images of a build share, such as ``0.1.0-3e9d0ef5a1c2``."""
    return f"{version()}-{revision()}"


def build(settings: Settings) -> None:
    """Build the images, one after the other: those with torch share its layer."""
    labels = {"version": version(), "revision": revision()}
    for image in settings.images:
        command = [
            *(*settings.builder, "build", *_layers(settings), *settings.build_flags),
            *(f"--label=org.opencontainers.image.{key}={text}" for key, text in labels.items()),
            *([f"--build-arg=BASE={settings.base}"] if settings.base else []),
            *("-f", f"docker/{image}/Dockerfile", "-t", f"{settings.name(image)}:{settings.tag}"),
            ".",
        ]
        _run(command)


def push(settings: Settings) -> None:
    """Push the images and record their digests in :data:`DIGESTS`, which wmctl reads."""
    digests = {image: _push(settings, image) for image in settings.images}
    record(ROOT / DIGESTS, {image: (settings.name(image), digests[image]) for image in digests})


def record(path: Path, pushed: Mapping[str, tuple[str, str]]) -> None:
    """Write image → (name, digest) as a kustomize Component; images not pushed now are kept.

    JSON is YAML: no library is needed to read and write it. The file is replaced in one step.
    """
    known = json.loads(path.read_text())["images"] if path.exists() else []
    entries = {entry["name"]: entry for entry in known}
    for image, (name, digest) in pushed.items():
        entries[f"wm-{image}"] = {"name": f"wm-{image}", "newName": name, "digest": digest}
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [entries[name] for name in sorted(entries)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(json.dumps(component, indent=2) + "\n")
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def _layers(settings: Settings) -> Iterable[str]:
    """docker and podman keep layers between builds by default, buildah when told."""
    return ["--layers"] if settings.kind == "buildah" else []


def _push(settings: Settings, image: str) -> str:
    """Push one image and return the digest that the registry knows it by."""
    target = f"{settings.name(image)}:{settings.tag}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "digest")
        told = [] if settings.kind == "docker" else ["--digestfile", str(file)]
        lines = _run([*settings.builder, "push", *settings.push_flags, *told, target])
        text = file.read_text() if told else "".join(lines)
    if not (found := DIGEST.findall(text)):
        raise Trouble(f"{settings.kind} pushed {target} without telling its digest")
    return str(found[-1])


def _run(command: list[str]) -> list[str]:
    """Run a command in the project's root, show what it says, and return it by lines."""
    print("+", shlex.join(command), flush=True)  # noqa: T201
    try:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise Trouble(
            f"{command[0]} is not there: choose with BUILDER=docker|podman|buildah"
        ) from error
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)  # noqa: T201
        lines.append(line)
    if process.wait():
        said = "its own words are above"
        raise Trouble(f"{' '.join(command[:2])} ended with code {process.returncode}; {said}")
    return lines


def _output(command: list[str]) -> str:
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["tag"]:
            print(version_tag())  # noqa: T201
        else:
            {"build": build, "push": push}[sys.argv[1]](Settings.read(os.environ))
    except Trouble as trouble:
        sys.exit(f"error: {trouble}")
