"""A plan as people write it: data, stages, gates and verdicts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"
"""Names become parts of Kubernetes object names: RFC 1035 labels, kept short."""


def parse_duration(value: object) -> object:
    """``90s``, ``10m``, ``2h`` or ``1d`` as a timedelta; everything else is left to pydantic."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value)):
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
        return timedelta(**{unit: float(match[1])})
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class DataSource(_Part):
    """Raw games that an encode stage reads."""

    game: Literal["chess", "melee"]
    source: str
    """A path, an archive, ``s3://bucket/prefix``, ``raw:NAME`` (what ``wmctl data push`` put into
    the store), or ``made:COUNT?seed=N``."""


_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40
}  # fmt: skip

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?([KMGT]i|[kMGT])?$")]
"""An amount of bytes as Kubernetes writes it: ``512Mi``, ``4Gi``, ``1.5G``."""


def bytes_of(quantity: Quantity) -> int:
    """The amount in bytes."""
    number = quantity.rstrip("kKMGTi")
    return int(float(number) * _UNITS[quantity.removeprefix(number)])


class Resources(BaseModel):
    """What one pod of a stage asks a cluster for. Processes of one machine just share it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cpus: float | None = Field(None, gt=0)
    """Processor cores to reserve; by default as many as the stage keeps busy."""
    memory: Quantity = "4Gi"
    """Memory, reserved and at most."""
    memory_max: Quantity | None = None
    """An attempt that was killed for want of memory is tried again with twice as much, up to this;
    without it, it is not tried again."""
    disk: Quantity = "10Gi"
    """Scratch space on the node's disk."""
    shm: Quantity = "1Gi"
    """Shared memory (/dev/shm); what is used of it counts as memory."""
    gpu: str | None = None
    """Name of a GPU in k8s/profiles.yaml; None asks for none."""
    gpus: int | None = Field(None, ge=1)
    """GPUs per pod; by default one per training process."""


class Stage(BaseModel):
    """One stage. What it is is said by exactly one of ``encode``, ``train`` and ``arena``;
    every key that is not listed here is a setting of that stage's own configuration."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    encode: str | None = None
    """Name of the data to encode."""
    train: Literal["mlp", "lstm", "mamba2"] | None = None
    """Kind of the model to train."""
    arena: Literal["chess", "melee"] | None = None
    """Game to compare players at."""
    data: str | None = None
    """Name of the encode stage whose data set a train or arena stage reads."""
    players: list[str] | None = None
    """Of an arena: stages (``train-chess``, ``train-chess/*``), anchors (``random``), or models
    by alias or version (``champion``, ``base``); a trailing ``?`` leaves out what is not there."""
    model: dict[str, Any] | None = None
    """Of a train stage: the shape of the model."""
    resources: Resources = Resources()
    """What each of its pods asks a cluster for."""
    vary: dict[str, list[Any]] = {}
    """Setting -> values: one variant of the stage per combination, named by its values."""

    @property
    def settings(self) -> dict[str, Any]:
        """Keys that belong to the stage's own configuration."""
        return dict(self.model_extra or {})


class Gate(_Part):
    """A condition between stages. What depends on a stage whose gate failed does not run."""

    after: str
    """Stage (and all its variants) whose outcome is judged."""
    metric: str
    """Name in the outcome's metrics."""
    at_least: float | None = None
    at_most: float | None = None
    on_fail: Literal["stop", "continue"] = "stop"
    """``continue`` records the failure and goes on."""


class Criterion(_Part):
    """One condition of a verdict, judged on an arena's result.

    Where the figure has an interval the bound nearer to failing counts, so that a criterion that
    holds does so at 95 % confidence.
    """

    metric: str
    """``elo``, ``difference`` and ``score`` compare with ``against``; any other name is one of the
    candidate's own metrics in the arena's result (``fallback_rate``, ``skill@h=10``)."""
    against: str | None = None
    """The opponent, for metrics of a pairing."""
    above: float | None = None
    below: float | None = None


class Verdict(_Part):
    """Promote or hold: the candidate is promoted when every criterion holds."""

    arena: str
    candidate: str
    """A player of that arena."""
    criteria: list[Criterion] = Field(min_length=1)
    min_units: int = 0
    """Fewer independent units (opening pairs, held-out games) than this never promote."""
    alias: str | None = None
    """Alias that a promoted candidate gets, such as ``champion``."""


class Plan(_Part):
    """The whole plan."""

    name: str = Field(pattern=f"^{NAME}$")
    about: str = ""
    """What the plan is for, in a sentence."""
    deadline: Duration | None = None
    """Time from submission after which running stages are stopped (they save their state) and no
    other is started: ``90s``, ``10m``, ``2h``."""
    attempts: int = Field(3, ge=1)
    """How often a stage is tried per submission when it ends with a retryable exit code."""
    disruptions: int = Field(20, ge=0)
    """How often per submission a stage may be stopped from outside (preempted, evicted, its node
    lost) and taken up again; that is no failure and does not count as one."""
    data: dict[Annotated[str, Field(pattern=f"^{NAME}$")], DataSource] = {}
    stages: dict[Annotated[str, Field(pattern=f"^{NAME}$")], Stage] = Field(min_length=1)
    gates: list[Gate] = []
    verdicts: dict[str, Verdict] = {}
