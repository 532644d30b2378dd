"""Attempts of a training that start at once: a fork server has made their imports.

`python -m trainer` spends seconds on imports. Here one process of one thread has imported torch
and the trainer and forks the processes of an attempt; each of them runs what torchrun would have
started, :func:`trainer.worker.main`, with torchrun's environment.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import boto3  # noqa: F401 - imported once for all, as the next ones are
import safetensors.numpy  # noqa: F401
from torch.distributed import TCPStore

import trainer.chess_task
import trainer.melee_task
import wm.store.s3  # noqa: F401
from trainer import loop, setup, worker
from trainer.config import TrainConfig
from trainer.reports import leave
from trainer.team import Team
from trainer.training import Training
from wm.artifacts.dataset import Dataset
from wm.stage import StageSpec
from wm.stage.parent import PARENT

PATIENCE = 60.0
"""Seconds after which one gives up on what one waits for."""

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["__main__", "tests.support.forks", "tests.support.blows"])

Prepare = Callable[[int], None]
"""What a process does before it trains; it is told its rank. Must be picklable."""


class Attempt:
    """The training processes of one attempt; like torchrun, this process keeps their rendezvous."""

    def __init__(
        self,
        url: str,
        spec: StageSpec,
        folder: Path,
        world: int = 1,
        prepare: Sequence[Prepare] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``folder``: where the processes' logs and scratch files go; made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        self.spec, self._folder = spec, folder
        self._rendezvous = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        variables = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self._rendezvous.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "WORLD_SIZE": str(world),
            "OMP_NUM_THREADS": "1",
            **(environment or {}),
        }
        address = f"{url}/{spec.prefix}/spec.json"
        self._processes = [
            FORKS.Process(target=_work, args=(rank, variables, address, folder, list(prepare)))
            for rank in range(world)
        ]
        for process in self._processes:
            process.start()

    def send(self, number: int, rank: int | None = None) -> None:
        """A signal to one process, or to all at once."""
        for process in self._processes if rank is None else [self._processes[rank]]:
            if process.exitcode is None and process.pid is not None:
                os.kill(process.pid, number)

    def wait(self, seconds: float = PATIENCE) -> list[int]:
        """Exit codes by rank, once all have ended; -N by signal N."""
        for process in self._processes:
            process.join(seconds)
            assert process.exitcode is not None, f"it goes on and on: {self.log()}"
        return [process.exitcode or 0 for process in self._processes]

    def any_ends_within(self, seconds: float) -> bool:
        """Wait so long for the end of any process; whether one has ended."""
        return bool(wait([process.sentinel for process in self._processes], seconds))

    def all_end_within(self, seconds: float) -> bool:
        """Wait so long for the end of all processes; whether all have ended."""
        deadline = time.monotonic() + seconds
        for process in self._processes:
            process.join(max(deadline - time.monotonic(), 0))
        return all(process.exitcode is not None for process in self._processes)

    def reaches(self, place: Callable[[], bool]) -> bool:
        """Ask ``place`` once a millisecond until it is true; False where the attempt ends first."""
        deadline = time.monotonic() + PATIENCE
        while not place():
            if self.any_ends_within(0.001):
                return False
            assert time.monotonic() < deadline, self.log()
        return True

    def log(self, rank: int = 0) -> str:
        """What a process has printed so far."""
        path = self._folder / f"log-{rank}.txt"
        return path.read_text() if path.exists() else ""


@contextmanager
def attempt(*args: Any, **options: Any) -> Iterator[Attempt]:
    """An :class:`Attempt` of which no process outlives the block."""
    begun = Attempt(*args, **options)
    try:
        yield begun
    finally:
        begun.send(signal.SIGKILL)
        begun.wait()


def watch(folder: Path, stop_after: int = 0) -> Prepare:
    """Write down which samples each update sees, for :func:`read_stream`.

    In the update that makes it ``stop_after``, the process of the highest rank is sent SIGTERM.
    """
    return partial(_watch, folder, stop_after)


def read_stream(folder: Path) -> dict[int, list[list[Any]]]:
    """Step -> identity, epoch and digest of each sample of the whole batch, in order of slot."""
    stream: dict[int, list[list[Any]]] = {}
    for path in sorted(folder.glob("stream-*.jsonl")):
        for line in map(json.loads, path.read_text().splitlines()):
            stream.setdefault(line["step"], []).extend(line["samples"])
    return stream


def validate_first(rank: int) -> None:
    """Let the training look at held-out games before its first update, too."""
    own: Any = setup
    train = own.train

    def training(t: Training, start: int) -> Any:
        loop.validate(t, start)
        return train(t, start)

    own.train = training


def _watch(folder: Path, stop_after: int, rank: int) -> None:
    make = setup.make_task

    def watched(config: TrainConfig, data: Dataset, team: Team) -> Any:
        task: Any = make(config, data, team)
        batch = task.batch

        def noting(step: int) -> Any:
            found = batch(step)
            epochs, _ = task._order.share(step, team.rank, team.world)
            rows = zip(task.names(step), epochs.tolist(), _digests(found), strict=True)
            with (folder / f"stream-{rank}.jsonl").open("a") as file:
                file.write(json.dumps({"step": step, "samples": list(rows)}) + "\n")
            if step + 1 == stop_after and rank == team.world - 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return found

        task.batch = noting
        return task

    setup.make_task = watched


def _digests(batch: Any) -> list[str]:
    """Of each sample's own content, whatever the batch is padded to."""
    if isinstance(batch, trainer.chess_task.ChessBatch):
        games, hidden = batch
        columns = (games.moves, games.phases)
        rows = [
            b"".join(column[i, :length].numpy().tobytes() for column in columns)
            + bytes([int(games.winner[i]), int(hidden[i])])
            for i, length in enumerate(games.lengths.tolist())
        ]
    else:
        rows = [row.numpy().tobytes() for row in batch]
    return [hashlib.sha256(row).hexdigest()[:16] for row in rows]


def _work(
    rank: int,
    environment: dict[str, str],
    address: str,
    folder: Path,
    prepare: Sequence[Prepare],
) -> None:
    """What torchrun starts, in a process that has its imports."""
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), PARENT: str(os.getppid())}
    os.environ |= environment | own
    log = os.open(folder / f"log-{rank}.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for one in prepare:
        one(rank)
    leave(worker.main(["--spec", address, "--scratch", str(folder)]))
