"""The arena stage as a process would run it: from a spec to result and games in the store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from evaluator.arena import run_arena
from tests.support.datasets import publish_dataset
from wm.artifacts.model import ModelCard, publish_model
from wm.artifacts.result import ArenaResult
from wm.errors import BadConfig, InputMissing, Preempted
from wm.games.game import Game
from wm.games.melee.made import play
from wm.models.build import build, count_parameters, weights_bytes
from wm.models.config import LSTMConfig, MLPConfig
from wm.stage import StageContext, StageSpec
from wm.store import open_store

LSTM = LSTMConfig(embed=8, hidden=16, layers=1)
MLP = MLPConfig(context=3, hidden=16, trunk=16)
RANDOM = {"name": "random", "anchor": "random"}


def context(folder: Path, config: dict[str, object]) -> StageContext:
    spec = StageSpec(run="night", stage="arena-x", attempt=1, kind="arena", config=config)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    store = open_store(str(folder / "store"))
    return StageContext(spec, store, f"{store.url}/{spec.prefix}/spec.json", scratch)


def publish(folder: Path, game: str, seed: int = 0) -> ModelCard:
    torch.manual_seed(seed)
    config = LSTM if game == "chess" else MLP
    module = build(config, game)
    return publish_model(
        open_store(str(folder / "store")),
        weights_bytes(module),
        name=game,
        game=game,
        config=config.model_dump(),
        parameters=count_parameters(module),
        data="datasets/x/y",
        data_fingerprint="y",
        run="night",
        stage=f"train-{seed}",
        step=1,
        metrics={},
        training={},
    )


def test_chess_from_published_models(tmp_path: Path) -> None:
    players = [{"name": f"m{s}", "model": publish(tmp_path, "chess", s).key} for s in (0, 1)]
    config = {"game": "chess", "players": [*players, RANDOM], "pairs": 2, "max_plies": 40}
    stage = context(tmp_path, config)
    outcome = run_arena(stage)
    assert outcome["result"] == "runs/night/arena-x/01/result.json"
    assert outcome["primary"] == "score"
    assert {row["player"] for row in outcome["table"]} == {"m0", "m1", "random"}
    data = stage.store.get(outcome["result"])
    result = ArenaResult.model_validate_json(data)
    assert len(result.pairings) == 3
    assert outcome["units"] == 6
    assert set(outcome["decisions"]) == {"m0 vs m1", "m0 vs random", "m1 vs random"}
    assert result.players[0].model == players[0]["model"]
    assert stage.store.get(result.files["games"]).count(b"[Result ") == 12
    assert (stage.heartbeat.done, stage.heartbeat.total, stage.heartbeat.unit) == (12, 12, "games")

    run_arena(stage)
    assert stage.store.get(outcome["result"]) == data


def test_a_sequential_arena_says_what_was_decided(tmp_path: Path) -> None:
    greedy = {"name": "greedy", "anchor": "greedy"}
    model = {"name": "m", "model": publish(tmp_path, "chess").key}
    config = {
        "game": "chess",
        "players": [model, greedy, RANDOM],
        "pairs": 9,
        "max_plies": 50,
        "adjudicate": "material",
        "sprt": {"elo0": 0, "elo1": 200},
        "sequential": True,
        "round": 3,
        "least": 3,
        "decide": ["greedy"],
    }
    stage = context(tmp_path, config)
    outcome = run_arena(stage)
    assert outcome["decisions"]["m vs greedy"] == "accept_h0"
    assert outcome["decisions"]["greedy vs random"] == "accept_h1"
    data = stage.store.get(outcome["result"])
    result = ArenaResult.model_validate_json(data)
    assert outcome["units"] == sum(pairing.units for pairing in result.pairings) < 27
    assert stage.heartbeat.done == stage.heartbeat.total == 2 * outcome["units"]
    for pairing in result.pairings:
        # A network in a batch of another size still plays the very same games.
        fixed = config | {"sequential": False, "pairs": pairing.units, "decide": []}
        alone = ArenaResult.model_validate_json(
            stage.store.get(run_arena(context(tmp_path, fixed))["result"])
        )
        same = pairing.model_copy(update={"stopped": False})
        assert alone.pairing(pairing.a, pairing.b) == same

    run_arena(stage)
    assert stage.store.get(outcome["result"]) == data


def test_melee_from_published_models(tmp_path: Path) -> None:
    card = publish(tmp_path, "melee")
    games = [
        Game(f"{i:032x}", {"frames": frames}, {"stage": 1})
        for i, (frames, _) in enumerate(play(2, seed=1, frames=200))
    ]
    key = publish_dataset(open_store(str(tmp_path / "store")), "melee", {"test": [games]})
    stage = context(
        tmp_path,
        {
            "game": "melee",
            "data": key,
            "players": [
                {"name": "m", "model": card.key},
                {"name": "copy_last", "anchor": "copy_last"},
            ],
            "horizons": [1, 10],
        },
    )
    outcome = run_arena(stage)
    result = ArenaResult.model_validate_json(stage.store.get(outcome["result"]))
    assert outcome["primary"] == result.primary == "position_skill"
    lines = stage.store.get(result.files["games"]).splitlines()
    assert {json.loads(line)["identity"] for line in lines} == {g.identity for g in games}


def test_every_figure_is_a_number_in_json(tmp_path: Path) -> None:
    """A clean sweep or a baseline without error must not become null."""
    key = publish(tmp_path, "chess").key
    config = {"game": "chess", "players": [{"name": "m", "model": key}, RANDOM], "pairs": 1}
    stage = context(tmp_path, config | {"max_plies": 20})
    text = stage.store.get(run_arena(stage)["result"]).decode()
    result = ArenaResult.model_validate_json(text)
    for row in result.players:
        for interval in [row.rating, *row.metrics.values()]:
            assert interval is not None
            assert interval.low <= interval.value <= interval.high


def test_a_model_of_the_other_game(tmp_path: Path) -> None:
    players = [{"name": "m", "model": publish(tmp_path, "melee").key}, RANDOM]
    with pytest.raises(BadConfig, match="is a model of melee and cannot enter an arena of chess"):
        run_arena(context(tmp_path, {"game": "chess", "players": players}))


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    players = [{"name": "m", "model": "models/chess/never"}, RANDOM]
    with pytest.raises(InputMissing):
        run_arena(context(tmp_path, {"game": "chess", "players": players}))


def test_settings_that_are_wrong_name_their_key(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="settings of arena-x: pairs: "):
        run_arena(context(tmp_path, {"game": "chess", "players": [RANDOM, RANDOM], "pairs": 0}))


def test_an_unknown_device(tmp_path: Path) -> None:
    greedy = {"name": "greedy", "anchor": "greedy"}
    config = {"game": "chess", "players": [greedy, RANDOM], "device": "abacus"}
    with pytest.raises(BadConfig, match=r"settings of arena-x: device: .*auto\|cpu\|cuda"):
        run_arena(context(tmp_path, config))


def test_a_gpu_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    greedy = {"name": "greedy", "anchor": "greedy"}
    config = {"game": "chess", "players": [greedy, RANDOM], "device": "cuda:2"}
    with pytest.raises(BadConfig, match="GPU number 2 is wanted, counted from 0, of 2 here"):
        run_arena(context(tmp_path, config))


def test_a_stopped_arena_leaves_no_result(tmp_path: Path) -> None:
    greedy = {"name": "greedy", "anchor": "greedy"}
    stage = context(tmp_path, {"game": "chess", "players": [greedy, RANDOM], "pairs": 1})
    stage.stopping = threading.Event()
    stage.stopping.set()
    with pytest.raises(Preempted):
        run_arena(stage)
    assert stage.store.head(stage.key("result.json")) is None


def test_the_module_runs_a_spec(tmp_path: Path) -> None:
    greedy = {"name": "greedy", "anchor": "greedy"}
    config = {"game": "chess", "players": [greedy, RANDOM], "pairs": 1, "max_plies": 20}
    stage = context(tmp_path, config)
    stage.store.put(stage.key("spec.json"), stage.spec.model_dump_json().encode())
    done = subprocess.run(
        [sys.executable, "-m", "evaluator", "--spec", stage.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "played 2 games" in done.stdout
    outcome = json.loads(stage.store.get(stage.key("outcome.json")))
    assert outcome["result"]["result"] == stage.key("result.json")
