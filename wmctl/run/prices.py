"""What machines cost, and so what a stage costs by the second."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from wm.errors import BadConfig
from wmctl.plan.node import Node

HOUR = 3600.0


class Prices(BaseModel):
    """USD. A GPU's price is all in: the cores and the memory beside it cost nothing more."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cpu: float = Field(0.04, ge=0)
    """Of a processor core for an hour, where a pod has no GPU. On one's own machine it is what one
    likes to think of."""
    gpus: dict[str, float] = {}
    """Name in plans -> of one GPU for an hour."""
    gb_month: float = Field(0, ge=0)
    """Of keeping 10^9 bytes of data sets for a month."""
    gb_read: float = Field(0, ge=0)
    """Of 10^9 bytes read from the store by a stage."""

    def per_second(self, node: Node, on: str) -> float:
        """What all of a node's pods cost while they run; on one machine, what its cores do."""
        if node.resources.gpu and on != "local":
            return node.pods * node.gpus * self.gpus.get(node.resources.gpu, 0.0) / HOUR
        if on == "local":
            return node.cores * self.cpu / HOUR
        return node.pods * (node.resources.cpus or node.cpus) * self.cpu / HOUR


def check_prices(prices: Prices, nodes: Iterable[Node]) -> None:
    """BadConfig for a GPU without a price: a budget could not be kept."""
    for node in nodes:
        gpu = node.resources.gpu
        if gpu and gpu not in prices.gpus:
            raise BadConfig(
                f"stage {node.stage}: nobody says what an hour of a {gpu} costs, and the plan has "
                "a budget",
                hint="give price_per_hour in k8s/profiles.yaml, or leave the budget out",
            )


def money(usd: float) -> str:
    """``$2.13``; of less than a cent more digits, for nights in miniature."""
    if usd <= 0:
        return "$0"
    if usd < 0.0001:
        return "<$0.0001"
    return f"${usd:,.2f}" if usd >= 0.00995 else f"${usd:.4f}"
