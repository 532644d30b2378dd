"""What the readers of chess games accept."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ChessOptions(BaseModel):
    """Which games become part of a data set."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    min_plies: int = Field(9, ge=1)
    """Shortest game kept, in plies; 8 plies of context and one to predict need 9."""
    decisive_only: bool = False
    """Keep only games that somebody won, as the chess prototype did."""
