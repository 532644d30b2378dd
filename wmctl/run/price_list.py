"""``runs/<run>/prices.json``: other prices from now on. A run's conductor looks for it."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict

from wm.store import Store
from wmctl.run.cancel import somebody
from wmctl.run.prices import Prices


class PriceList(BaseModel):
    """What machines cost, who says so, and since when."""

    model_config = ConfigDict(extra="forbid")

    since: float
    """Seconds since the epoch."""
    by: str
    prices: Prices


def write_price_list(store: Store, run: str, prices: Prices) -> PriceList:
    """Tell the run's conductor; it counts with these prices within a minute."""
    listed = PriceList(since=time.time(), by=somebody(), prices=prices)
    store.put(_key(run), listed.model_dump_json(indent=1).encode())
    return listed


def read_price_list(store: Store, run: str) -> PriceList:
    """Raises ``NotFound`` and ``ValidationError``."""
    return PriceList.model_validate_json(store.get(_key(run)))


def _key(run: str) -> str:
    return f"runs/{run}/prices.json"
