"""``k8s/profiles.yaml``: what the GPUs of plans are, and what machines cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from wm.errors import BadConfig, InputMissing, first_problem
from wmctl.run.prices import Prices

CPU = "cpu"
"""Name of the profile of pods without a GPU: it says what a core costs, and data."""


class Profile(BaseModel):
    """What a GPU's name in a plan means on this cluster: nodes to run on, and their price."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    selector: dict[str, str] = {}
    """Labels of the nodes that have it."""
    tolerations: list[dict[str, Any]] = []
    """Taints of those nodes that its pods put up with, as Kubernetes writes them."""
    resource: str = "nvidia.com/gpu"
    """Name under which the nodes offer it."""
    price_per_hour: float | None = Field(None, ge=0)
    """USD per GPU."""
    spot: dict[str, str] | None = None
    """Label of interruptible nodes; where it is given the pods ask for such nodes."""
    tflops: float | None = Field(None, gt=0)
    """Peak of dense bf16, 10^12 operations a second: for guesses, until something is measured."""
    price_per_vcpu_hour: float | None = Field(None, ge=0)
    """Of the profile ``cpu``: USD per processor core."""
    price_per_gb_month: float = Field(0, ge=0)
    """Of the profile ``cpu``: USD for keeping 10^9 bytes of data sets for a month."""
    price_per_gb_read: float = Field(0, ge=0)
    """Of the profile ``cpu``: USD for 10^9 bytes that a stage reads from the store (egress)."""

    @property
    def node_selector(self) -> dict[str, str]:
        """All labels that a node must carry."""
        return self.selector | (self.spot or {})


def load_profiles(path: Path) -> dict[str, Profile]:
    """GPU name -> profile. Raises :class:`InputMissing` and :class:`BadConfig`."""
    tree = load_yaml(path, "it says what the GPUs of plans are", "name the file by --profiles")
    try:
        return TypeAdapter(dict[str, Profile]).validate_python(tree)
    except ValidationError as error:
        raise BadConfig(
            f"{path}: {first_problem(error)}",
            hint=f"a profile has {', '.join(Profile.model_fields)}",
        ) from error


def known_profiles(path: Path) -> dict[str, Profile]:
    """The same, and nothing where there is no such file: a laptop needs none."""
    return load_profiles(path) if path.exists() else {}


def prices_of(profiles: dict[str, Profile]) -> Prices:
    """What machines cost by these profiles; what they do not say is as :class:`Prices` has it."""
    cpu = profiles.get(CPU, Profile())
    cores = {} if cpu.price_per_vcpu_hour is None else {"cpu": cpu.price_per_vcpu_hour}
    gpus = {
        name: profile.price_per_hour
        for name, profile in profiles.items()
        if profile.price_per_hour is not None
    }
    data = {"gb_month": cpu.price_per_gb_month, "gb_read": cpu.price_per_gb_read}
    return Prices.model_validate({"gpus": gpus} | data | cores)


def tflops_of(profiles: dict[str, Profile]) -> dict[str, float]:
    """Peaks of the GPUs that have one."""
    return {name: profile.tflops for name, profile in profiles.items() if profile.tflops}


def load_yaml(path: Path, why: str, hint: str) -> dict[str, Any]:
    """The mapping in a YAML file."""
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise InputMissing(f"{path} does not exist: {why}", hint=hint) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{path} cannot be read: {error}", hint=hint) from error
    if not isinstance(tree, dict):
        raise BadConfig(f"{path} holds no mapping of names to values", hint=hint)
    return tree
