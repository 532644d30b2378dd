"""The encode stage as an inventory: it counts, leaves ``inventory.json``, and makes no data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from encoder.config import EncodeConfig
from encoder.stock import take_stock
from wm.errors import BadData, Preempted
from wm.stage import StageContext, StageSpec
from wm.store import Store


def context(store: Store, scratch: Path, **config: Any) -> StageContext:
    settings = {"game": "chess", "name": "c", "workers": 1, "inventory": True} | config
    spec = StageSpec(run="r", stage="i", attempt=1, kind="encode", config=settings)
    return StageContext(spec, store, "", scratch)


@pytest.mark.parametrize("game", ["chess", "melee"])
def test_made_games_are_counted_and_nothing_is_encoded(
    store: Store, tmp_path: Path, game: str
) -> None:
    there = context(store, tmp_path, game=game, source="made:4?seed=1")
    result = take_stock(there.settings(EncodeConfig), there)
    assert (result["accepted"], result["rejected"]) == (4, 0)
    assert json.loads(store.get(result["inventory"]))["accepted"] == 4
    assert not list(store.list("datasets/"))


def test_a_source_without_a_game_fails(store: Store, tmp_path: Path) -> None:
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "x.pgn").write_text("hello")
    there = context(store, tmp_path / "scratch", source=str(tmp_path / "games"))
    with pytest.raises(BadData, match="holds no chess game that would be accepted"):
        take_stock(there.settings(EncodeConfig), there)


def test_it_stops_when_it_is_asked_to(store: Store, tmp_path: Path) -> None:
    there = context(store, tmp_path, source="made:50?seed=1")
    there.stopping.set()
    with pytest.raises(Preempted):
        take_stock(there.settings(EncodeConfig), there)
