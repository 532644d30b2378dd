"""``python -m encoder`` ends with the exit code of the contract."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from encoder.config import EncodeConfig
from wm.errors import Exit
from wm.stage import Outcome, StageSpec
from wm.store import Store


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({}, Exit.OK, ""),
        ({"game": "go"}, Exit.BAD_CONFIG, "settings of e: game: Input should be 'melee' or"),
        ({"source": "games"}, Exit.BAD_DATA, "no chess game of games was accepted: 1 unreadable"),
        ({"source": "nowhere"}, Exit.INPUT_MISSING, "there is no nowhere"),
    ],
)
def test_exit_codes(
    change: dict[str, Any], code: Exit, message: str, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "x.pgn").write_text("hello")
    config = {"game": "chess", "name": "c", "source": "made:3", "workers": 1} | change
    spec = StageSpec(run="r", stage="e", attempt=1, kind="encode", config=config)
    store.put(f"{spec.prefix}/spec.json", spec.model_dump_json().encode())
    url = f"{store.url}/{spec.prefix}/spec.json"
    command = [sys.executable, "-m", "encoder", "--spec", url]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, "")
    outcome = Outcome.model_validate_json(store.get(f"{spec.prefix}/outcome.json"))
    assert outcome.message.startswith(message)
    if code == Exit.OK:
        assert sum(outcome.result["games"].values()) > 0
        assert not outcome.result["hit"]
    else:
        assert "Traceback" not in done.stdout
        assert outcome.message in done.stdout


def test_help_lists_every_setting() -> None:
    command = [sys.executable, "-m", "encoder", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in EncodeConfig.model_fields:
        assert f"  {name}: " in text


def test_equal_settings_are_equal_bytes() -> None:
    """Sets have no order and 64 is 64.0, whatever way the settings travelled."""
    config = EncodeConfig(game="melee", name="a", source="b")
    again = EncodeConfig.model_validate_json(config.model_dump_json())
    asked = EncodeConfig(game="melee", name="z", source="c", shard_mb=64, workers=7, timeout_s=1)
    assert config.encoding_sha256() == again.encoding_sha256() == asked.encoding_sha256()
    assert EncodeConfig(game="melee", name="a", source="b", shard_mb=65).encoding_sha256() != (
        config.encoding_sha256()
    )
    assert "chess" not in config.encoding()
