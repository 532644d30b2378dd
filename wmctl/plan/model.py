"""A plan as people write it: data, stages, rules and verdicts, within a budget and a deadline."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wmctl.plan.quantities import Deadline, Quantity, Usd
from wmctl.plan.rules import Choice, Gate, Measure, Verdict

NAME = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"
"""Names become parts of Kubernetes object names: RFC 1035 labels, kept short."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class DataSource(_Part):
    """Raw games that an encode stage reads."""

    game: Literal["chess", "melee"]
    source: str
    """A path, an archive, ``s3://bucket/prefix``, ``raw:NAME`` (what ``wmctl data push`` put into
    the store), or ``made:COUNT?seed=N``."""
    games: int | None = Field(None, ge=1)
    """About how many games it holds: what forecasts are made with until it has been encoded."""


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


class Halving(_Part):
    """Successive halving: variants train a part of the way, and only the better ones go on."""

    rungs: list[Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)
    """Shares of the whole training, ascending, after each of which some are left out. Without 1.0
    at the end the last survivors train to the end."""
    by: list[Measure] = Field(min_length=1)
    """How they are ranked."""
    keep: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] = 0.5
    """How many go on at each rung: a number, or a share, rounded up."""


class Stage(BaseModel):
    """One stage. What it is is said by exactly one of ``inventory``, ``encode``, ``calibrate``,
    ``train`` and ``arena``; every key that is not listed here is a setting of that stage's own
    configuration."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    encode: str | None = None
    """Name of the data to encode."""
    inventory: str | None = None
    """Name of the data to take stock of: what is there, and what would be rejected and why."""
    train: Literal["mlp", "lstm", "mamba2"] | None = None
    """Kind of the model to train."""
    arena: Literal["chess", "melee"] | None = None
    """Game to compare players at."""
    calibrate: list[str] | None = None
    """Train stages whose pace is measured on the real hardware, by ``steps`` updates (default 100)
    of each shape of model and batch among them."""
    data: str | None = None
    """Name of the encode stage whose data set a train or arena stage reads."""
    players: list[str] | None = None
    """Of an arena: stages (``train-chess``, ``train-chess/*``), ``chosen(CHOICE)``, anchors
    (``random``), or models by alias or version (``champion``, ``base``). A trailing ``?`` leaves
    out what is not there, or has failed; what a rule has skipped is left out in any case."""
    model: dict[str, Any] | None = None
    """Of a train stage: the shape of the model."""
    epochs: float | None = Field(None, gt=0)
    """Of a train stage, instead of ``steps``: passes over the games it trains on."""
    shorten_to: float = Field(1.0, gt=0, le=1)
    """Share of its steps to which a training may be shortened to keep deadline and budget."""
    optional: bool = False
    """Whether a stage is left out when there is no time or money for it."""
    after: list[str] = []
    """Stages that must be over, well or not, before this one starts."""
    adopt: list[str] = []
    """Choices whose winner's varied settings this stage takes over."""
    continues: str | None = None
    """Of a train stage: the train stage from whose last checkpoint it goes on, variant by
    variant."""
    share: float = Field(1.0, gt=0, le=1)
    """Of a train stage: the part of its steps or epochs that it makes; the learning rate is laid
    out for the whole."""
    survivors: str | None = None
    """Choice that must have taken the variant which this one continues; else it is left out."""
    halve: Halving | None = None
    """Of a train stage with variants: successive halving over them. Rung 2 is the stage
    ``NAME-2``, and so on."""
    resources: Resources = Resources()
    """What each of its pods asks a cluster for."""
    vary: dict[str, list[Any]] = {}
    """Setting -> values: one variant of the stage per combination, named by its values."""
    variants: dict[str, dict[str, Any]] = {}
    """Name -> settings (``model.layers: 6``): one variant each."""

    @property
    def settings(self) -> dict[str, Any]:
        """Keys that belong to the stage's own configuration."""
        return dict(self.model_extra or {})


class Scenarios(_Part):
    """The table that ``wmctl plan --scenarios`` prints: what could be trained in how long."""

    models: dict[str, dict[str, Any]] = Field(min_length=1)
    """Name -> shape of the model."""
    games: list[int] = Field(min_length=1)
    """Sizes of the data set."""
    epochs: list[float] = Field(min_length=1)
    hours: list[float] = [6, 12, 24]
    """Times to compare with."""
    like: str
    """Train stage whose other settings and hardware count."""


class Plan(_Part):
    """The whole plan."""

    name: str = Field(pattern=f"^{NAME}$")
    about: str = ""
    """What the plan is for, in a sentence."""
    scale: str = "full"
    """Which of ``scales`` holds; ``full`` is the plan as it is written."""
    scales: dict[str, dict[str, Any]] = {}
    """Name -> keys that are changed (``stages.train.steps: 100``), as by ``--set``."""
    budget: Usd | None = None
    """Hard cap on what the run costs: ``30 USD``. Trainings are stopped before it so that arenas
    and verdicts can still be paid."""
    deadline: Deadline | None = None
    """When the verdict must be there: ``10m`` or ``8h`` from submission, or ``07:00``. Trainings
    are stopped before it (they save their state) so that arenas and verdicts are in time."""
    confidence: float = Field(0.9, gt=0.5, lt=1)
    """How sure the forecast must be that deadline and budget are kept; below it trainings are
    shortened."""
    attempts: int = Field(3, ge=1)
    """How often a stage is tried per submission when it ends with a retryable exit code."""
    disruptions: int = Field(20, ge=0)
    """How often per submission a stage may be stopped from outside (preempted, evicted, its node
    lost) and taken up again; that is no failure and does not count as one."""
    hang_s: float = Field(300, gt=0)
    """Seconds without a heartbeat after which a running attempt is ended as hung."""
    data: dict[Annotated[str, Field(pattern=f"^{NAME}$")], DataSource] = {}
    stages: dict[Annotated[str, Field(pattern=f"^{NAME}$")], Stage] = Field(min_length=1)
    gates: list[Gate] = []
    choices: dict[Annotated[str, Field(pattern=f"^{NAME}$")], Choice] = {}
    verdicts: dict[str, Verdict] = {}
    scenarios: Scenarios | None = None
