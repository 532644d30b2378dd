"""The encode stage as an inventory: what a source holds, before it is encoded."""

from __future__ import annotations

import logging
from typing import Any

from encoder.config import EncodeConfig
from encoder.inventory import inventory
from wm.errors import BadData, Preempted
from wm.stage import StageContext

logger = logging.getLogger("wm.encoder")


def take_stock(config: EncodeConfig, context: StageContext) -> dict[str, Any]:
    """Read every game as an encode stage would; leaves ``inventory.json`` and its counts.

    Raises BadData for a source without a usable game, or one that is cut off.
    """

    def progress(games: int) -> None:
        context.progress(games, 0, "games")
        if context.stopping.is_set():
            raise Preempted("stopped; an inventory begins anew", hint="submit again")

    found = inventory(
        [config.source],
        game=config.game,
        store=context.store,
        workers=config.cpus,
        timeout=config.timeout_s,
        melee=config.melee,
        chess=config.chess,
        progress=progress,
    )
    for line in found.summary().splitlines():
        logger.info("%s", line)
    key = context.key("inventory.json")
    context.store.put(key, found.model_dump_json(indent=1).encode())
    if found.damaged:
        raise BadData(
            f"{config.source} cannot be encoded: {found.damaged[0]}",
            hint="fetch or push that file again",
        )
    if not found.accepted:
        raise BadData(
            f"{config.source} holds no {config.game} game that would be accepted",
            hint="the reasons stand in the stage's log",
        )
    return {
        "inventory": key,
        "accepted": found.accepted,
        "rejected": sum(found.rejects.values()),
        "rejects": found.rejects,
        "bytes": found.bytes,
    }
