"""What may go wrong in a night. Times are seconds from submission."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Slow:
    """From then on everything runs at this share of its speed."""

    at: float
    speed: float


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Every training that runs then is thrown out; ``killed`` says that it could not save."""

    at: float
    killed: bool


@dataclass(frozen=True, slots=True)
class Hang:
    """An attempt of a stage stops giving signs of life when that share of its work is done."""

    stage: int
    """Number of the node in the run, modulo their count."""
    attempt: int
    part: float


@dataclass(frozen=True, slots=True)
class Crash:
    """An attempt of a stage ends with this code when that share of its work is done."""

    stage: int
    attempt: int
    part: float
    code: int


@dataclass(frozen=True, slots=True)
class PriceChange:
    """Everything costs that many times as much from then on."""

    at: float
    factor: float


@dataclass(frozen=True, slots=True)
class Away:
    """The platform cannot be asked for that long; stages go on."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ConductorDies:
    """And is followed by another after that long."""

    at: float
    seconds: float


Fault = Slow | Reclaim | Hang | Crash | PriceChange | Away | ConductorDies


@dataclass(frozen=True, slots=True)
class Weather:
    """All that a night meets."""

    faults: list[Fault] = field(default_factory=list)
    pace: list[float] = field(default_factory=lambda: [1.0])
    """True time of a unit of work as a multiple of what was expected: node by node, in a circle."""
    pending: float = 5.0
    """Seconds until a pod runs."""
    save: float = 5.0
    """Seconds in which a training saves its state when it is stopped."""
    seed: int = 0
    """Of the figures that stages come to."""

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        """The faults of a kind."""
        return [fault for fault in self.faults if isinstance(fault, kind)]
