"""Raw games of our own, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encoder.config import EncodeConfig
from encoder.encode import encode
from wm.games.chess.made import write_games
from wm.games.melee.made import write_replays
from wm.store import Store, open_store


@pytest.fixture(scope="session")
def replays(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twelve short replays."""
    return write_replays(tmp_path_factory.mktemp("slp"), 12, 1, frames=200)


@pytest.fixture(scope="session")
def pgn(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Forty chess games."""
    path = tmp_path_factory.mktemp("pgn") / "made.pgn"
    write_games(path, 40, 1)
    return path.read_bytes()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Encode a source into ``store`` with one worker."""
    runs = 0

    def run(game: str, source: Path | str, **more: Any) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        scratch = tmp_path / f"scratch-{runs}"
        scratch.mkdir()
        passed = {k: more.pop(k) for k in ("reader", "stopping", "progress") if k in more}
        into = more.pop("store", store)
        settings = {"game": game, "name": "made", "source": str(source), "workers": 1} | more
        return encode(EncodeConfig.model_validate(settings), into, scratch, **passed)

    return run
