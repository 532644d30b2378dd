import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.training import LSTM, MLP, settings, write_spec
from trainer import replay as module
from trainer.loop import train
from trainer.replay import losses_by_game, main, replay
from trainer.setup import begin
from trainer.training import Training
from wm.errors import BadConfig, Exit, InputMissing
from wm.stage import StageSpec
from wm.store import Store

Begin = Callable[..., Training]

GAMES: dict[str, dict[str, Any]] = {
    "chess": {"model": LSTM, "ema": 0.9},
    "chess-plateau": {
        "model": LSTM,
        "schedule": "plateau",
        "plateau_patience": 0,
        "lr": 0.3,
        "validate_every": 2,
    },
    "melee": {"model": MLP},
}


def trained(t: Training) -> dict[int, dict[str, Any]]:
    """Step -> its line of metrics.jsonl."""
    train(t, begin(t))
    t.log.publish()
    lines = map(json.loads, t.log._lines)
    return {line["step"]: line for line in lines if line["event"] == "train"}


def again(t: Training, step: int, tmp_path: Path) -> dict[str, Any]:
    """The step made again, from a spec as the stage leaves it."""
    spec = t.checkpoints.spec
    return replay(t.checkpoints.store, spec, step, None, tmp_path / "replay")


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize(
    ("step", "checkpoint", "replayed"),
    [(3, None, 2), (9, 8, 0), (12, 8, 3)],
    ids=["from the start", "just after a checkpoint", "from a checkpoint"],
)
def test_a_step_made_again_has_the_bits_of_its_line(
    training: Begin,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    name: str,
    step: int,
    checkpoint: int | None,
    replayed: int,
) -> None:
    data = request.getfixturevalue("chess_data" if "chess" in name else "melee_data")
    t = training(data, **{"log_every": 1} | GAMES[name])
    line = trained(t)[step]

    found = again(t, step, tmp_path)

    assert (found["loss"], found["grad_norm"]) == (line["loss"], line["grad_norm"])
    assert found["lr"] == line["lr"]
    assert found["checkpoint"] == (
        checkpoint and f"runs/r/train/01/checkpoints/step-{checkpoint:06d}"
    )
    assert (found["step"], found["replayed"], found["finite"]) == (step, replayed, True)


def test_the_store_is_only_read(training: Begin, chess_data: str, tmp_path: Path) -> None:
    t = training(chess_data)
    trained(t)
    before = contents(tmp_path / "store")

    again(t, 11, tmp_path)

    assert contents(tmp_path / "store") == before


@pytest.mark.parametrize("name", ["chess", "melee"])
def test_the_games_of_the_batch_are_told_apart_worst_first(
    training: Begin, request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    data = request.getfixturevalue(f"{name}_data")
    model = GAMES[name]["model"] | {"dropout": 0.0}
    t = training(data, model=model)
    trained(t)

    found = again(t, 9, tmp_path)
    games = found["games"]

    assert sorted(game["game"] for game in games) == sorted(t.task.names(8))
    losses = [game["loss"] for game in games]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]
    assert sum(game["targets"] for game in games) == found["targets"]
    # Without dropout the games make up the batch.
    whole = sum(game["loss"] * game["targets"] for game in games)
    assert whole / found["targets"] == pytest.approx(found["loss"], rel=1e-5)


def test_a_game_that_is_not_finite_is_first_and_stays_strict_json(
    training: Begin, chess_data: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    t = training(chess_data, steps=2)
    trained(t)
    sick = t.task.names(1)[3]

    def with_one_sick(t: Training, number: int, batch: Any) -> list[dict[str, Any]]:
        with torch.no_grad():
            batch.games.phases[3] = 3
            t.model.get_parameter("phase.weight")[3] = math.nan
        batch.games.phases[torch.arange(len(batch.games.phases)) != 3] = 1
        return losses_by_game(t, number, batch)

    monkeypatch.setattr(module, "losses_by_game", with_one_sick)
    found = again(t, 2, tmp_path)

    assert (found["games"][0]["game"], found["games"][0]["loss"]) == (sick, None)
    assert all(game["loss"] > 0 for game in found["games"][1:])
    assert (found["loss"], found["finite"]) == (None, False)
    json.dumps(found, allow_nan=False)


def test_a_step_of_a_stage_that_continues_another_goes_on_from_that_ones_checkpoint(
    training: Begin, chess_data: str, tmp_path: Path
) -> None:
    shared: dict[str, Any] = {"log_every": 1, "schedule_steps": 8}
    trained(training(chess_data, stage="one", steps=4, **shared))
    second = training(chess_data, stage="two", steps=8, continues="one", keep=1, **shared)
    lines = trained(second)

    found = again(second, 7, tmp_path)

    assert found["checkpoint"] == "runs/r/one/01/checkpoints/step-000004"
    assert found["grad_norm"] == lines[7]["grad_norm"]


def test_a_replay_of_all_steps_says_so(
    training: Begin, chess_data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    t = training(chess_data)
    trained(t)

    again(t, 4, tmp_path)

    said = capsys.readouterr().err
    assert said == (
        "no checkpoint before step 4 is left: starting from the initial weights, 3 updates\n"
    )


def test_progress_is_told(
    training: Begin,
    chess_data: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SAY_EVERY", -1)
    t = training(chess_data)
    trained(t)

    again(t, 12, tmp_path)

    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"{done} of 3 updates made again" for done in (1, 2, 3)]


def test_a_data_set_that_is_gone_is_named(
    training: Begin, chess_data: str, store: Store, tmp_path: Path
) -> None:
    t = training(chess_data)
    trained(t)
    store.delete(f"{chess_data}/manifest.json")

    with pytest.raises(InputMissing, match=rf"no data set at {chess_data}") as caught:
        again(t, 12, tmp_path)
    assert "encode it again" in caught.value.hint


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_a_training_of_cuda_needs_it_or_a_device(store: Store, tmp_path: Path) -> None:
    spec = StageSpec(
        run="r",
        stage="train",
        attempt=1,
        kind="train",
        config=settings("datasets/chess/f00d", device="cuda"),
    )

    with pytest.raises(BadConfig, match="there is no GPU here") as caught:
        replay(store, spec, 3, None, tmp_path)
    assert "--device cpu" in caught.value.hint


def test_the_process_answers_an_error_as_json_with_its_code(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_spec(store, settings("datasets/no/thing"))
    address = f"{store.url}/{spec.prefix}/spec.json"

    code = main(["--spec", address, "--step", "1"])

    assert code == Exit.INPUT_MISSING
    answer = json.loads(capsys.readouterr().out)
    assert "there is no data set at datasets/no/thing" in answer["error"]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder: its bytes and when it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
