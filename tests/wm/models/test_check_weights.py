"""The door for weights from outside, as the process that wmctl starts and as a function."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from wm.errors import BadConfig, BadData, Exit
from wm.models.build import build, count_parameters, weights_bytes
from wm.models.check_weights import check, main
from wm.models.config import LSTMConfig, Mamba2Config, MLPConfig, ModelConfig

LSTM = LSTMConfig(embed=4, hidden=6, layers=1)
MLP = MLPConfig(context=2, hidden=8, trunk=8)
MAMBA = Mamba2Config(d_model=16, layers=1, d_state=8, headdim=8)


def state(config: ModelConfig, game: str) -> dict[str, torch.Tensor]:
    return dict(build(config, game).state_dict())


def write(folder: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> Path:
    path = folder / "theirs.safetensors"
    save_file(tensors, path, metadata or None)
    return path


@pytest.mark.parametrize(("config", "game"), [(LSTM, "chess"), (MLP, "melee"), (MAMBA, "melee")])
def test_weights_of_ours_pass(
    tmp_path: Path, config: ModelConfig, game: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = build(config, game)
    path = tmp_path / "ours.safetensors"
    path.write_bytes(weights_bytes(module))
    answer = {
        "game": game,
        "config": config.model_dump(mode="json"),
        "parameters": count_parameters(module),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert check(path, config.model_dump_json()) == answer
    assert main([str(path), "--config", config.model_dump_json(), "--game", game]) == 0
    assert json.loads(capsys.readouterr().out) == answer


def test_the_file_may_say_itself_what_it_is(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        state(LSTM, "chess"),
        config='{"embed": 4, "hidden": 6, "layers": 1, "kind": "lstm"}',
    )
    answer = check(path)
    assert answer["config"] == LSTM.model_dump(mode="json")
    assert answer["game"] == "chess"
    with pytest.raises(BadConfig, match="does not say what network it is for"):
        check(write(tmp_path, state(LSTM, "chess")))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "is none of a model: Invalid JSON"),
        ('{"embed": 4}', "kind"),
        ('{"kind": "lstm", "width": 3}', "width: Extra inputs"),
    ],
)
def test_a_configuration_of_no_model(tmp_path: Path, config: str, message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        check(write(tmp_path, state(LSTM, "chess")), config)


def test_a_network_of_the_other_game(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="lstm cannot play melee"):
        check(write(tmp_path, state(LSTM, "chess")), LSTM.model_dump_json(), "melee")


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    tensors = state(LSTM, "chess")
    bias = tensors.pop("head.bias")
    with pytest.raises(BadData, match=r"theirs.safetensors does not fit .*: head.bias is missing"):
        check(write(tmp_path, tensors), LSTM.model_dump_json())
    with pytest.raises(BadData, match=r"configuration: head.bais is unexpected; head.bias is miss"):
        check(write(tmp_path, tensors | {"head.bais": bias}), LSTM.model_dump_json())
    with pytest.raises(BadData, match=r"head.bias has shape \(3,\) instead of \(1970,\)"):
        check(write(tmp_path, tensors | {"head.bias": bias[:3].clone()}), LSTM.model_dump_json())
    with pytest.raises(BadData, match=r"head.bias is torch.bfloat16 instead of torch.float32"):
        check(write(tmp_path, tensors | {"head.bias": bias.bfloat16()}), LSTM.model_dump_json())
    wrapped = {f"module.{name}": tensor for name, tensor in tensors.items()}
    with pytest.raises(BadData, match=r"embedding.weight is missing; .*, and 16 more"):
        check(write(tmp_path, wrapped), LSTM.model_dump_json())


def test_another_vocabulary_is_named_for_what_it_is(tmp_path: Path) -> None:
    tensors = state(LSTM, "chess")
    for name in ("embedding.weight", "head.weight", "head.bias"):
        tensors[name] = tensors[name][:1845].clone()
    with pytest.raises(BadData, match=r"1,845 moves and ours are 1,970: its move vocabulary diff"):
        check(write(tmp_path, tensors), LSTM.model_dump_json())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: float) -> None:
    tensors = state(MLP, "melee")
    tensors["heads.bias"][7] = value
    with pytest.raises(BadData, match=r"not finite: 1 in heads.bias"):
        check(write(tmp_path, tensors), MLP.model_dump_json())


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x02}q\x00.", save(state(LSTM, "chess"))[:-4], b"\xff" * 64]
)
def test_bytes_that_are_no_safetensors(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "theirs.safetensors"
    path.write_bytes(data)
    with pytest.raises(BadData, match=r"theirs.safetensors cannot be read as safetensors"):
        check(path, LSTM.model_dump_json())


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    stub = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"
    (tmp_path / "torch.py").write_text(stub)
    done = subprocess.run(
        [sys.executable, "-m", "wm.models.check_weights", str(write(tmp_path, {}))],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (Exit.INPUT_MISSING, "")
    answer = json.loads(done.stdout)
    assert answer["error"].startswith("torch is not installed here")
    assert "wmctl[train]" in answer["hint"]
