"""What a run needs to know of its cluster, fixed when it is submitted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from wm.errors import BadConfig, BadData, InputMissing, first_problem
from wm.store import NotFound, Store
from wmctl.launch.kubernetes.names import Part
from wmctl.launch.profiles import CPU, Profile, load_yaml
from wmctl.plan.words import did_you_mean

_PUSH = "make build push REGISTRY=registry.example/wm"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Platform(BaseModel):
    """``runs/<run>/platform.json``: whoever conducts the run renders the same objects from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: str = "wm"
    store: str
    """Address of the store: ``s3://bucket/prefix``."""
    images: dict[Part, str]
    """Images by digest, so that every attempt of a run runs the same code."""
    profiles: dict[str, Profile] = {}
    """By the GPU names that plans use."""
    queue: str | None = None
    """Kueue's local queue that stages wait in."""
    pull_secret: str | None = None
    """Secret with the registry's credentials."""
    start_deadline_s: float = Field(1800, gt=0)
    """Seconds that an attempt may wait for its first process."""
    grace_s: int = Field(60, ge=1)
    """Seconds between SIGTERM and SIGKILL: time enough to save a checkpoint."""
    version: str
    """Of wmctl."""

    @field_validator("store")
    @classmethod
    def _pods_can_reach_it(cls, store: str) -> str:
        if not store.startswith("s3://"):
            raise BadConfig(
                f"pods cannot reach a store at {store}",
                hint="a run on a cluster needs a bucket: WM_STORE=s3://bucket/prefix",
            )
        return store

    def profile(self, gpu: str, stage: str) -> Profile:
        """The profile of a GPU that a stage asks for; :class:`BadConfig` where there is none."""
        if gpu not in self.profiles or gpu == CPU:
            raise BadConfig(
                f"stage {stage}: no profile says what a GPU {gpu!r} is"
                f"{did_you_mean(gpu, self.profiles)}",
                hint=f"profiles: {', '.join(self.profiles) or 'none'}; see k8s/profiles.yaml",
            )
        return self.profiles[gpu]


def load_images(path: Path) -> dict[Part, str]:
    """The images that ``make push`` wrote down: a kustomization, which overlays use as well.

    Raises :class:`InputMissing` where nothing was pushed, and :class:`BadConfig`.
    """
    tree = load_yaml(path, "no images were pushed yet", f"{_PUSH}, or name the file by --images")
    entries = tree.get("images")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise BadConfig(f"{path} has no list of images", hint=f"write it anew: {_PUSH}")
    found = {str(entry.get("name")): entry for entry in entries}
    return {part: _image(path, found, f"wm-{part}") for part in get_args(Part)}


def write_platform(store: Store, run: str, platform: Platform) -> None:
    """Enter the platform of a run; a later submission may bring other images."""
    store.put(_key(run), platform.model_dump_json(indent=1).encode())


def read_platform(store: Store, run: str) -> Platform:
    """Raises :class:`InputMissing` for a run of no cluster, and :class:`BadData`."""
    try:
        return Platform.model_validate_json(store.get(_key(run)))
    except NotFound as error:
        raise InputMissing(
            f"run {run} was not submitted to a cluster", hint="see: wmctl status"
        ) from error
    except ValidationError as error:
        raise BadData(
            f"{store.url}/{_key(run)} is damaged or of another version of wmctl: "
            f"{first_problem(error)}",
            hint="use the version of wmctl that submitted the run",
        ) from error


def _key(run: str) -> str:
    return f"runs/{run}/platform.json"


def _image(path: Path, found: dict[str, dict[str, Any]], name: str) -> str:
    entry = found.get(name)
    if entry is None:
        raise BadConfig(f"{path} does not name the image {name}", hint=f"push all of them: {_PUSH}")
    if not _DIGEST.fullmatch(str(entry.get("digest"))) or not entry.get("newName"):
        raise BadConfig(
            f"{path}: image {name} needs newName and a digest (sha256:…)",
            hint=f"a tag may change between two attempts; this writes digests: {_PUSH}",
        )
    return f"{entry['newName']}@{entry['digest']}"
