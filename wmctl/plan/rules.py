"""The rules of a plan: conditions on figures, and what follows from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

BOUNDS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
"""Comparators of a condition."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Condition(_Part):
    """A figure, a comparator and a bound: ``{metric: top1, at_least: 0.3}``."""

    metric: str
    """Of a stage: a name in its outcome's metrics, or ``exit_code``, ``hit``, ``cache.train``,
    ``usd``, ``hours``. Of an arena: one of a player's metrics (``fallback_rate``, ``skill@h=10``,
    ``rating``), or with ``against`` one of a pairing (``elo``, ``nelo``, ``score``,
    ``difference``, and ``sprt``: 1 accepts that ``of`` is better, -1 that it is not, 0 is open)."""
    of: str = ""
    """Stage or player whose figure it is; by default the stage that is judged (all its variants),
    or the verdict's candidate."""
    against: str | None = None
    """The opponent, for figures of a pairing. In a verdict, a trailing ``?`` leaves the criterion
    out where that one does not play (``champion?``)."""
    than: str | None = None
    """Stage or player whose same figure is subtracted first: the bound is on the difference. A
    trailing ``?`` as above."""
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    confidence: float | None = Field(None, gt=0, lt=1)
    """The bound must lie outside the figure's interval of this confidence, see ``holds``; None
    takes the figure as it was measured."""
    holds: Literal["surely", "plausibly"] = "surely"
    """``surely``: the whole interval is on the right side. ``plausibly``: some of it is, so that
    only what is shown to be wrong fails ("no regression beyond its interval")."""
    min_sample: int = Field(0, ge=0)
    """Independent units (opening pairs, held-out games) below which it does not hold."""

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if sum(getattr(self, name) is not None for name in BOUNDS) != 1:
            raise ValueError(f"{self.metric}: give one of {', '.join(BOUNDS)}")
        return self

    @property
    def side(self) -> str:
        """Which comparator it has."""
        return next(name for name in BOUNDS if getattr(self, name) is not None)

    @property
    def bound(self) -> float:
        """The value that the figure is compared with."""
        value: float = getattr(self, self.side)
        return value

    def __str__(self) -> str:
        of = f"{self.of} " if self.of else ""
        against = f" against {self.against}" if self.against else ""
        than = f" minus {self.than}'s" if self.than else ""
        return f"{of}{self.metric}{against}{than} {BOUNDS[self.side]} {self.bound:g}"


class Criterion(Condition):
    """A condition of a verdict: it must be shown at 95 % confidence unless it says otherwise."""

    confidence: float | None = Field(0.95, gt=0, lt=1)

    @property
    def others(self) -> list[str]:
        """Whom it compares with, as the plan names them."""
        return [who for who in (self.against, self.than) if who]

    def concerns(self, players: set[str]) -> bool:
        """Whether everybody it needs plays; only optional ones may be missing."""
        return all(who.removesuffix("?") in players for who in self.others if who.endswith("?"))

    def definite(self) -> Criterion:
        """Without question marks."""
        plain = {
            name: who.removesuffix("?")
            for name in ("against", "than")
            if (who := getattr(self, name))
        }
        return self.model_copy(update=plain)


_SHORT = Condition.model_fields.keys()


class Gate(_Part):
    """Conditions between stages, and what happens where one of them does not hold.

    A single condition may stand in the gate itself: ``{after: train, metric: top1, at_least: 0.2}``
    """

    after: str
    """Stage (and all its variants) whose outcome is judged."""
    name: str = ""
    """How it is called in reports; by default its conditions."""
    require: list[Condition] = Field(min_length=1)
    """All of these must hold."""
    guards: list[str] = []
    """Stages that wait for the gate; by default whatever needs ``after``."""
    on_fail: Literal["stop", "skip", "continue", "shorten"] = "stop"
    """``stop``: what it guards does not run, nor what needs that. ``skip``: what it guards is left
    out, and an arena goes on without it. ``continue``: it is written down, no more. ``shorten``:
    what it guards trains for its shortest (``shorten_to``)."""

    @model_validator(mode="before")
    @classmethod
    def _one_condition(cls, tree: Any) -> Any:
        if isinstance(tree, dict) and "metric" in tree:
            if "require" in tree:
                raise ValueError("give either require, or the one condition in the gate itself")
            short = {key: value for key, value in tree.items() if key in _SHORT}
            rest = {key: value for key, value in tree.items() if key not in _SHORT}
            # What a gate has under the same name is its own.
            if "name" in tree:
                rest["name"] = tree["name"]
            return rest | {"require": [short]}
        return tree

    @property
    def title(self) -> str:
        """Unique in a plan."""
        return self.name or f"{self.after}: {' and '.join(map(str, self.require))}"


class Measure(_Part):
    """By what variants are ranked."""

    metric: str
    """As in a condition."""
    per: Literal["usd", "hour"] | None = None
    """Divide by what the variant cost, or took."""
    tie: float = Field(0, ge=0)
    """Variants within this of the best are equal, and the next measure decides."""
    least: bool = False
    """Whether the smallest value is the best."""


class Choice(_Part):
    """Which of several variants goes on; the others are left out.

    With ``by`` all run and are ranked. With ``fits`` none has run: the boldest is taken whose end
    and cost keep the deadline and the budget.
    """

    among: list[str] = Field(min_length=1)
    """Stages or variants; with ``fits`` from the most cautious to the boldest."""
    by: list[Measure] = []
    """The first measure decides, the next one its ties, at last the order in ``among``."""
    fits: bool = False
    """Choose before they run, by their forecast."""
    keep: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] = 1
    """How many go on: a number, or a share (of those that ended well, rounded up)."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.by) == self.fits:
            raise ValueError("a choice is either by figures, or it fits")
        if self.fits and self.keep != 1:
            raise ValueError("of what fits one is chosen")
        return self


class Verdict(_Part):
    """Promote or hold: the candidate is promoted when every criterion holds."""

    arena: str
    candidate: str
    """A player of that arena; ``best``: the highest rated of those that the run has trained."""
    criteria: list[Criterion] = Field(min_length=1)
    min_units: int = 0
    """Fewer independent units (opening pairs, held-out games) than this never promote."""
    alias: str | None = None
    """Alias that a promoted candidate gets, such as ``champion``."""


def keep_count(keep: int | float, of: int) -> int:
    """How many of ``of`` go on."""
    if isinstance(keep, float):
        return max(1, -int(-keep * of // 1))
    return min(keep, of)
