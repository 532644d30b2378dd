import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.training import publish_chess, publish_melee, settings, write_spec
from trainer.config import TrainConfig
from trainer.setup import make_repeatable
from trainer.team import Team
from wm.store import Store

FIRST_STEP = """
import sys
from pathlib import Path
import torch
from trainer.config import TrainConfig
from trainer.preempt import Stopping
from trainer.reports import ProgressFile
from trainer.setup import assemble, make_repeatable
from trainer.step import make_update
from trainer.team import Team
from wm.artifacts.dataset import open_dataset
from wm.stage import StageSpec
from wm.store import open_store

root, key = sys.argv[1:]
store = open_store(root)
spec = StageSpec.model_validate_json(store.get(key))
config = TrainConfig.model_validate(spec.config)
team = Team(0, 1, torch.device("cpu"))
make_repeatable(config, team)
data = open_dataset(store, config.data, Path(root))
progress = ProgressFile(Path(root), config.steps)
training = assemble(store, spec, config, team, data, Stopping(), progress)
make_update(training, 0, training.task.batch(0))
assert torch.are_deterministic_algorithms_enabled()
print("torch._dynamo" in sys.modules)
"""


def test_the_first_step_does_not_wait_for_the_compiler(store: Store, tmp_path: Path) -> None:
    """Importing it takes longer than all else between torch and the first step."""
    spec = write_spec(store, settings(publish_chess(store)))
    command = [
        sys.executable,
        "-c",
        FIRST_STEP,
        str(tmp_path / "store"),
        f"{spec.prefix}/spec.json",
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("deterministic", [False, True])
def test_cublas_is_told_where_bits_must_be_equal(
    monkeypatch: pytest.MonkeyPatch, deterministic: bool
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "so that it is as it was afterwards")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    config = TrainConfig.model_validate(settings("datasets/d/1", deterministic=deterministic))

    make_repeatable(config, Team(0, 1, torch.device("cpu")))

    told = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    assert told == (":4096:8" if deterministic else None)


COMPILED = """
import sys

from pathlib import Path
import torch
from trainer.config import TrainConfig
from trainer.setup import make_repeatable, make_task
from trainer.task import compiled_loss
from trainer.team import Team
from wm.artifacts.dataset import open_dataset
from wm.models.build import build
from wm.store import open_store

graphs, compile = [], torch.compile

def note(graph, inputs):
    graphs.append(graph)
    return graph

torch.compile = lambda function, **options: compile(function, backend=note, **options)
root, key, kind, mode = sys.argv[1:]
model = {"mlp": {"kind": "mlp", "context": 3}, "mamba2": {"kind": "mamba2", "d_model": 16,
    "headdim": 8, "layers": 1, "chunk": 8}}[kind] | {"dropout": 0.0}
config = TrainConfig.model_validate(
    {"data": key, "model": model, "steps": 1, "batch": 8, "length": 16, "mode": mode,
     "horizons": (1,), "compile": True})
team = Team(0, 1, torch.device("cpu"))
make_repeatable(config, team)
task = make_task(config, open_dataset(open_store(root), key, Path(root)), team)
network = build(config.model, "melee")
task.prepare(network)
whole, plain = compiled_loss(task, network), task.loss(network, task.batch(0))
for step in range(3):
    found = whole(task.batch(0))
    found.sum.backward()
assert torch.allclose(found.sum, plain.sum), (found, plain)
assert found.count == plain.count
print(len(graphs))
"""


@pytest.mark.parametrize(("kind", "mode"), [("mamba2", "every"), ("mlp", "window")])
def test_the_whole_loss_of_a_world_model_is_one_graph(
    store: Store, tmp_path: Path, kind: str, mode: str
) -> None:
    """What the compiler would make of it takes minutes; that it can be traced whole is the point.

    In a process of its own: the compiler's modules warn, and change how later imports behave.
    """
    key = publish_melee(store)
    command = [sys.executable, "-c", COMPILED, str(tmp_path / "store"), key, kind, mode]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1"]
