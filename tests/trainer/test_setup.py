import subprocess
import sys
from pathlib import Path

from tests.support.training import publish_chess, settings, write_spec
from wm.store import Store

FIRST_STEP = """
import sys
from pathlib import Path
import torch
from trainer.config import TrainConfig
from trainer.loop import make_update
from trainer.preempt import Stopping
from trainer.reports import ProgressFile
from trainer.setup import assemble, make_repeatable
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
