"""Settings of one training, without torch, so that a plan can be checked where torch is not."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wm.models.config import ModelConfig


class TrainConfig(BaseModel):
    """Everything that decides a training; two trainings of equal settings give equal weights.

    On a CPU that holds bit by bit, at equal ``threads`` and ``pods`` times ``processes``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    data: str = Field(pattern=r"^datasets/[^/]+/[^/]+$")
    """Key of the data set: datasets/NAME/FINGERPRINT."""
    name: str = Field("", pattern=r"^([a-z0-9][a-z0-9_.-]*)?$")
    """Model is published as models/NAME/...; empty means the data set's game."""
    model: ModelConfig
    """Shape of the network; its kind must fit the game (lstm: chess; mlp, mamba2: melee)."""
    games: int | None = Field(None, ge=1)
    """Train games used, of those that can be learned from: the N with the smallest keyed hash of
    their identity, so a smaller number is always a subset of a larger one, independent of shard or
    list order; None takes all. Validation does not depend on it."""
    continues: str | None = Field(None, pattern=r"^[^/]+$")
    """Another stage of the same run, from whose newest whole checkpoint this one goes on while it
    has none of its own. Whatever decides the weights must be set alike in both; steps counts the
    updates of both together."""

    steps: int = Field(ge=1)
    """Optimizer updates in the whole training, resumed parts included. A training that has already
    made more is published as it is."""
    batch: int = Field(64, ge=1)
    """Sequences, windows or games per update over all processes together; a multiple of groups."""
    groups: int = Field(4, ge=1)
    """Canonical parts of a batch; a process owns whole parts, so any number of processes that
    divides groups trains on the same batches in the same order."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of initial weights, order, dropout and masks; the same seed gives the same run."""

    length: int = Field(128, ge=1)
    """Melee, mode every: targets in a sequence (T). Games with T frames or fewer are left out, and
    the log says how many."""
    mode: Literal["every", "window"] = "every"
    """Melee: loss at every position of long sequences, or at the last position of windows of
    model.context frames (the prototype's way, some ten times less learned per FLOP)."""
    burn_in: int = Field(4, ge=0)
    """Melee, mode every: first positions of a sequence without a loss, for want of context."""
    labels: Literal["all", "winner", "loser"] = "all"
    """Chess: whose moves are learned. Drawn games have neither winner nor loser."""
    min_context: int = Field(8, ge=1)
    """Chess: plies before the first learned move."""
    winner_mask: float = Field(0.25, ge=0, le=1)
    """Chess: share of games whose winner the model is told as '?'. At 0 a model that is later
    asked to play with '?' has never seen it."""
    winner_weight: float = Field(1.0, gt=0)
    """Chess: weight of moves in games that somebody won (the prototype's 1.2)."""
    phase_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Chess: weights of moves after unknown, opening, middlegame and endgame positions."""

    lr: float = Field(1e-3, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    """After the warm-up: cosine to lr_floor at the last of schedule_steps; or lr times
    plateau_factor whenever the held-out loss has not improved for plateau_patience validations; or
    no change."""
    schedule_steps: int | None = Field(None, ge=1)
    """Steps that warm-up and cosine are laid out for; None: steps. Trainings that end early or are
    continued share one schedule by it. After them the cosine stays at its floor."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of schedule_steps over which the rate rises linearly from 0."""
    lr_floor: float = Field(0.0, ge=0, le=1)
    """Lowest rate, as a share of lr."""
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    """Factor on the rate at a plateau."""
    plateau_patience: int = Field(3, ge=0)
    """Validations without improvement (by 1e-4) that are let pass."""
    weight_decay: float = Field(0.01, ge=0)
    """Of AdamW, on matrices only: never on biases, norms, embeddings' facts or state decays."""
    clip: float = Field(1.0, ge=0)
    """Largest global gradient norm; 0 clips nothing."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of the moving average of the weights, 0 for none. With one, validation and the
    published model use the averaged weights."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of activations; weights and updates stay fp32. auto: bf16 on GPUs that have it, else fp32."""

    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; what a kill may cost. A SIGTERM costs nothing."""
    keep: int = Field(2, ge=1)
    """Newest checkpoints that stay; older ones are deleted. 2 survives one damaged."""
    validate_every: int = Field(200, ge=1)
    """Steps between validations; the last step always has one."""
    validate_games: int = Field(256, ge=1)
    """Held-out games in a validation at most, evenly spaced over the split."""
    horizons: tuple[int, ...] = (1, 2, 5, 10, 20)
    """Melee: frames ahead at which rollouts are compared with copying and constant velocity."""
    starts_per_game: int = Field(4, ge=1)
    """Melee: rollouts per held-out game in a validation."""
    legality_positions: int = Field(512, ge=1)
    """Chess: held-out positions at most whose most likely move is checked by the rules."""
    log_every: int = Field(20, ge=1)
    """Steps between lines of metrics.jsonl."""

    sync_every: int = Field(0, ge=0)
    """Steps after which the host reads loss, norm and the wish to stop from the device, which it
    then waits for; 0: every step on a CPU, every 10 on CUDA. Lines of metrics.jsonl, validations
    and checkpoints read them anyway."""
    parts: int = Field(1, ge=1)
    """Parts that a process's share of a batch is worked through in, one after the other (gradient
    accumulation). Doubled where the device runs out of memory; batches stay the same."""
    compile: bool = False
    """Melee: torch.compile the whole loss as one graph. The first step takes minutes longer; worth
    it on a GPU. LSTMs have kernels of their own."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is one."""
    pods: int = Field(1, ge=1)
    """Pods that train together on a cluster, each with ``processes`` workers; on one machine all
    pods times processes workers run there. pods times processes must divide groups."""
    processes: int = Field(1, ge=1)
    """Workers of a pod, one per GPU on CUDA."""
    threads: int = Field(2, ge=1)
    """CPU threads per process; sums depend on it in the last bit, so it is never guessed."""
    deterministic: bool = False
    """On CUDA, use only kernels with a fixed order of sums (slower). A CPU always does."""
    stall_s: float = Field(900, gt=0)
    """Seconds without a finished step, or without the other pods, after which the attempt ends as
    hung (160)."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.batch % self.groups:
            raise ValueError(
                f"batch {self.batch} is not a multiple of groups {self.groups}; "
                f"take {-(-self.batch // self.groups) * self.groups}"
            )
        if self.groups % (self.pods * self.processes):
            pods = f"pods {self.pods} times " if self.pods > 1 else ""
            raise ValueError(
                f"{pods}processes {self.processes} does not divide groups {self.groups}"
            )
        if self.mode == "every" and self.burn_in >= self.length:
            raise ValueError(f"burn_in {self.burn_in} leaves nothing of length {self.length}")
        if self.compile and self.model.kind == "lstm":
            raise ValueError("compile is not for models of kind lstm; take compile: false")
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"horizons {self.horizons} must be one or more frames ahead")
        return self
