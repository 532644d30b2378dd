"""Settings of one training, without torch, so that a plan can be checked where torch is not."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wm.models.config import Mamba2Config, ModelConfig


class TrainConfig(BaseModel):
    """Everything that decides a training; two trainings of equal settings give equal weights.

    On a CPU that holds bit by bit, at equal ``threads`` and ``pods`` times ``processes``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    headings: ClassVar[dict[str, str]] = {
        "data": "data and model",
        "steps": "batches and their order",
        "length": "what is learned from them",
        "lr": "optimisation",
        "checkpoint_every": "checkpoints",
        "validate_every": "validation and metrics",
        "sync_every": "hardware",
        "first_step_s": "watching",
    }
    """First setting of each part of ``--help``."""

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
    """Melee, mode every: targets in a sequence (T), in frames (60 a second). Games with T frames or
    fewer are left out, and the log says how many."""
    mode: Literal["every", "window"] = "every"
    """Melee: loss at every position of long sequences, or at the last position of windows of
    model.context frames (the prototype's way, some ten times less learned per FLOP)."""
    burn_in: int = Field(4, ge=0)
    """Melee, mode every: first frames of a sequence without a loss, for want of context."""
    loss: Literal["residual", "prototype"] = "residual"
    """Melee: Huber on residuals over a kinematic prior, frames with a new action weighing five
    times; or the prototype's sum of squared errors and cross-entropies, every frame alike. Both are
    validated by our figures and by the prototype's."""
    rare_actions: float = Field(0.0, ge=0, le=1)
    """Melee, loss residual: exponent of (mean frequency / frequency), by which an action weighs in
    its loss, at most 10. 0 weighs all frames alike, 1 all actions."""
    mirror: bool = False
    """Melee: show every other sequence, on average, with left and right exchanged, on stages whose
    halves are alike. Helps where there are few games."""
    swap_players: bool = False
    """Melee: show every other sequence, on average, with the players exchanged."""
    labels: Literal["all", "winner", "loser"] = "all"
    """Chess: whose moves are learned. Drawn games have neither winner nor loser."""
    min_context: int = Field(8, ge=1)
    """Chess: plies before the first learned move."""
    winner_mask: float = Field(0.25, ge=0, le=1)
    """Chess: share of games whose winner the model is told as '?'. At 0 a model that is later
    asked to play with '?' has never seen it."""
    winner_weight: float = Field(1.0, gt=0)
    """Chess: factor on the loss of moves in games that somebody won (the prototype's 1.2)."""
    phase_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Chess: factors on the loss of moves after unknown, opening, middlegame and endgame
    positions."""
    board_weight: float = Field(0.0, ge=0)
    """Chess: weight of telling the board, added to the loss at every learned move as the mean
    cross-entropy of the 64 squares in nats; needs model.board_head."""

    lr: float = Field(1e-3, gt=0)
    """Peak learning rate of AdamW, per step."""
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
    """Schedule plateau: factor on the rate at each one."""
    plateau_patience: int = Field(3, ge=0)
    """Schedule plateau: validations without improvement (by 1e-4) that are let pass."""
    weight_decay: float = Field(0.01, ge=0)
    """Of AdamW: share of a weight that a step takes away, per unit of the rate. On matrices only:
    never on biases, norms, embeddings' facts or state decays."""
    clip: float = Field(1.0, ge=0)
    """Largest L2 norm of the whole gradient; what is longer is shortened to it. 0 clips nothing."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay per step of the moving average of the weights, 0 for none. With one, validation and the
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
    writers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Where the figures of metrics.jsonl go besides: TensorBoard's event files and the runs of W&B
    land beside it, in tensorboard/ and wandb/. W&B sends at once if WANDB_API_KEY is set, else
    `wandb sync` does later. Each needs the extra of its name; one that fails is switched off."""

    sync_every: int = Field(0, ge=0)
    """Steps after which the host reads loss, norm and the wish to stop from the device, which it
    then waits for; 0: every step on a CPU, every 10 on CUDA. Lines of metrics.jsonl, validations
    and checkpoints read them anyway."""
    parts: int = Field(1, ge=1)
    """Parts that a process's share of a batch is worked through in, one after the other (gradient
    accumulation). Doubled where the device runs out of memory; batches stay the same."""
    compile: bool = False
    """Melee: torch.compile the whole loss as one graph. Needs a C++ compiler, and the first step
    takes a minute or more longer; Mamba-2 is a third faster then on a CPU. LSTMs have kernels of
    their own."""

    cuda_graph: bool = False
    """Melee, on CUDA: capture a whole step as one graph, so that launching kernels costs nothing. A
    step that cannot be captured is an error."""

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

    first_step_s: float = Field(1800, gt=0)
    """Seconds that the other pods may take to come, and then an attempt's first step with all that
    goes before it (download of the data, compilation of kernels), before the attempt ends as hung
    (160)."""
    stall_s: float = Field(900, gt=0)
    """Seconds without a finished step, once there was one, after which the attempt ends as hung
    (160); more than a validation takes."""
    spike_z: float = Field(6.0, ge=0)
    """Standard deviations by which log(loss) of a step may lie above its moving mean; beyond them
    the log and metrics.jsonl name the step and its games. 0 watches for nothing. The weights do not
    depend on it."""

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
        if self.loss == "prototype" and self.rare_actions:
            raise ValueError("rare_actions is for loss residual; loss prototype has fixed weights")
        if self.loss == "prototype" and getattr(self.model, "percent", "") == "hit":
            raise ValueError("loss prototype has no term for model.percent hit; take residual")
        if self.board_weight and not getattr(self.model, "board_head", False):
            raise ValueError(
                f"board_weight {self.board_weight:g} needs a head to train: set model.board_head, "
                "for a model of kind lstm, or take board_weight: 0"
            )
        for name in ("compile", "cuda_graph"):
            if getattr(self, name) and self.model.kind == "lstm":
                raise ValueError(f"{name} is not for models of kind lstm; take {name}: false")
        backend = self.model.backend if isinstance(self.model, Mamba2Config) else "torch"
        if self.compile and backend != "torch":
            raise ValueError(f"compile is for model.backend torch, and this model has {backend}")
        if self.deterministic and backend == "auto":
            raise ValueError(
                "model.backend auto goes by a timing, which deterministic rules out; "
                "take torch or kernel"
            )
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"horizons {self.horizons} must be one or more frames ahead")
        return self
