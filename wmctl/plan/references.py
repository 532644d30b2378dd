"""Models that a plan names by alias or version."""

from __future__ import annotations

from wm.artifacts.model import read_aliases
from wm.store import Store
from wmctl.plan.seats import FindModel


def model_finder(store: Store) -> FindModel:
    """Look up ``champion``, ``base`` or a version under ``models/<game>/``."""

    def find(game: str, name: str) -> str | None:
        aliases, _ = read_aliases(store, game)
        key = f"models/{game}/{aliases.get(name, name)}"
        return key if store.head(f"{key}/model.json") else None

    return find
