"""What a Melee game must be like to be accepted."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class MeleeOptions(BaseModel):
    """Limits and choices for reading replays; part of a data set's resolved encoding."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    min_version: str = Field("3.9.0", pattern=r"^\d+\.\d+\.\d+$")
    """Oldest Slippi version of a .slp; the first with every column is 3.9.0."""
    min_frames: int = Field(120, ge=2)
    """Shortest game, in frames (60 a second) after rollbacks are finalised."""
    require_human: bool = True
    """Refuse games with a CPU or demo player. Only a .slp tells."""
    controller: Literal["physical", "processed"] = "physical"
    """Source of ``buttons`` and ``shoulder`` in a .slp: what the hands did, which is all that
    parsed-v2 holds, or what the game made of it (Z also as A, dead zones, digital presses as full
    shoulder). Sticks are always the processed ones."""
    may_lack: frozenset[str] = frozenset({"stage"})
    """Columns without which a game is still accepted: they are zero there, and named as missing."""
    max_position: float = Field(500.0, gt=0)
    """Largest absolute x and y, game units."""
    max_percent: float = Field(999.0, gt=0)
    """Largest damage, percent; the smallest is 0."""
    max_shield: float = Field(60.0, gt=0)
    """Largest shield size; the smallest is 0."""
    max_speed: float = Field(60.0, gt=0)
    """Largest absolute value of any speed, game units per frame."""
    max_stocks: int = Field(99, ge=1, le=255)
    """Most stocks a player may have."""
    max_clipped: float = Field(0.05, ge=0, le=1)
    """Largest share of a column's values outside its vocabulary. ``ground`` is counted but never
    refused: every floor of Pokémon Stadium lies outside the 32 ids of the prototype."""
    max_revisited: float = Field(0.01, ge=0, le=1)
    """Largest share of rows of parsed-v2, which lost the frame ids, that visit a frame again after
    a rollback, as far as that shows. In a .slp such rows are finalised."""

    @property
    def min_version_number(self) -> int:
        """``min_version`` as major * 10000 + minor * 100 + patch."""
        major, minor, patch = map(int, self.min_version.split("."))
        return version_number(major, minor, patch)


def version_number(major: int, minor: int, patch: int) -> int:
    """A Slippi version as one comparable integer."""
    return major * 10000 + minor * 100 + patch
