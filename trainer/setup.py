"""From an attempt's spec to a running training, and from its end to a published model."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import torch

from trainer.capture import CapturedStep
from trainer.checkpointing import Checkpoints
from trainer.config import TrainConfig
from trainer.gradients import Gradients
from trainer.inputs import StepInputs
from trainer.loop import save, train
from trainer.metrics import MetricsLog
from trainer.optim import Ema, Optimizer, Schedule
from trainer.parts import Parts
from trainer.preempt import Stopping
from trainer.reports import ProgressFile
from trainer.result import result_of
from trainer.spikes import Spikes
from trainer.task import Task, compiled_loss
from trainer.team import Team, join_team, leave_team
from trainer.training import Training
from trainer.usage import Usage
from trainer.writers import make_writers
from wm.artifacts.dataset import Dataset, open_dataset
from wm.artifacts.model import ModelCard, publish_model
from wm.errors import BadConfig
from wm.models.build import build, count_parameters, weights_bytes
from wm.stage import StageSpec, locate
from wm.store import Store, open_store

logger = logging.getLogger("wm.trainer")


def run(address: str, scratch: Path, stopping: Stopping) -> dict[str, Any]:
    """Train as the spec at ``address`` says; the stage's result on the one that leads."""
    root, key = locate(address)
    store = open_store(root)
    spec = StageSpec.model_validate_json(store.get(key))
    config = TrainConfig.model_validate(spec.config)
    patience = max(config.first_step_s, config.stall_s) + 60  # the parent gives up first
    team = join_team(config.device, patience)
    progress = ProgressFile(scratch, config.steps, enabled=team.first_here)
    progress(0, {})  # the parent knows that all are here
    try:
        make_repeatable(config, team)
        data = open_data(store, config, team, scratch)
        training = assemble(store, spec, config, team, data, stopping, progress)
        writers = make_writers(store, spec, config, config.name or data.manifest.game, scratch)
        with training.log.alongside(Usage(team.device), writers):
            start = begin(training)
            metrics = train(training, start)
            done = max(start, config.steps)
            training.log.write("end", done)
            training.log.publish()
            card = publish(store, spec, data, training, done, metrics) if team.leads else None
        team.wait()  # a cluster takes the training for done when the first pod ends well
    finally:
        leave_team()
    return result_of(card) if card else {}


def make_repeatable(config: TrainConfig, team: Team) -> None:
    """Equal settings, equal bits; and no slow arithmetic on numbers that are all but zero."""
    if config.deterministic:  # read by cuBLAS at its first product
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    exact = config.deterministic or team.device.type == "cpu"
    # What torch.use_deterministic_algorithms does, except for importing the compiler (1.2 s).
    torch.set_deterministic_debug_mode("error" if exact else "default")
    # That mode also writes to all memory before it is used, to find who reads it unwritten.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not config.deterministic
    torch.manual_seed(config.seed)


def open_data(store: Store, config: TrainConfig, team: Team, scratch: Path) -> Dataset:
    """The data set, downloaded once in each pod where it is not on this machine."""
    if not team.first_here:
        team.wait()
    data = open_dataset(store, config.data, scratch / "data")
    if team.first_here:
        team.wait()
    return data


def make_task(config: TrainConfig, data: Dataset, team: Team) -> Task:
    """The task of a data set's game; the other game's libraries need not be there."""
    if data.manifest.game == "chess":
        from trainer.chess_task import ChessTask

        return ChessTask(config, data, team)
    from trainer.melee_task import MeleeTask

    return MeleeTask(config, data, team)


def captured_step(config: TrainConfig, team: Team) -> CapturedStep | None:
    """Where a step is to be captured, a place for it."""
    if config.cuda_graph and team.device.type != "cuda":
        raise BadConfig(
            "cuda_graph is set, but this training runs on a CPU", hint="take cuda_graph: false"
        )
    return CapturedStep() if config.cuda_graph else None


def assemble(
    store: Store,
    spec: StageSpec,
    config: TrainConfig,
    team: Team,
    data: Dataset,
    stopping: Stopping,
    progress: ProgressFile,
) -> Training:
    """Every part of a training, the model still untrained and equal on every process."""
    model = build(config.model, data.manifest.game).to(team.device)
    task = make_task(config, data, team)
    task.prepare(model)
    optimizer, schedule = Optimizer(config, model), Schedule(config)
    ema = Ema(config, model) if config.ema else None
    parts = Parts(config.parts)
    log = MetricsLog(store, f"{spec.prefix}/metrics.jsonl", enabled=team.leads)
    return Training(
        config=config,
        team=team,
        task=task,
        model=model,
        gradients=Gradients(model.parameters(), team),
        loss=compiled_loss(task, model) if config.compile else partial(task.loss, model),
        parts=parts,
        inputs=StepInputs(team.device),
        captured=captured_step(config, team),
        optimizer=optimizer,
        schedule=schedule,
        ema=ema,
        checkpoints=Checkpoints(store, spec, config, team, model, optimizer, schedule, ema, parts),
        spikes=Spikes(config.spike_z, task, log, spec, team.leads),
        log=log,
        stopping=stopping,
        progress=progress,
    )


def begin(t: Training) -> int:
    """Go on from the newest checkpoint, or start; returns the updates already made.

    What comes from another stage becomes this one's own at once: the other's may be deleted, and a
    stage that continues this one looks for it here even if no update was made.
    """
    found = t.checkpoints.restore()
    parameters = count_parameters(t.model)
    facts = {
        "parameters": parameters,
        "games": t.task.games,
        "steps": t.config.steps,
        "world": t.team.world,
        "device": str(t.team.device),
    }
    if found is None:
        t.log.write("start", 0, **facts)
    else:
        t.log.write("resume", found.step, checkpoint=found.key, **facts)
        logger.info("going on from %s", found.key)
        if t.checkpoints.foreign(found):
            save(t, found.step)
    logger.info(
        "training a %s of %s parameters on %s (%d on %s)",
        *(t.config.model.kind, f"{parameters:,}", t.config.data, t.team.world, t.team.device),
    )
    return found.step if found else 0


def publish(
    store: Store,
    spec: StageSpec,
    data: Dataset,
    t: Training,
    done: int,
    metrics: dict[str, float],
) -> ModelCard:
    """Publish the trained weights (the averaged ones, where there is an average)."""
    config, manifest = t.config, data.manifest
    card = publish_model(
        store,
        weights_bytes(t.best),
        name=config.name or manifest.game,
        game=manifest.game,
        config=config.model.model_dump(mode="json"),
        parameters=count_parameters(t.model),
        data=config.data,
        data_fingerprint=manifest.fingerprint,
        run=spec.run,
        stage=spec.stage,
        step=done,
        metrics=metrics,
        training=config.model_dump(mode="json"),
        targets_per_s=round(t.meter.targets_per_s, 1),
        timing=t.meter.timing(),
        peaks=t.log.peaks(),
        units=t.task.units,
    )
    logger.info("published %s", card.key)
    return card
