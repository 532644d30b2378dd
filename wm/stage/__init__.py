"""What a stage process is given, and what it must leave behind.

A stage is started with the address of its ``spec.json`` and nothing else. It leaves, beside that
spec, its log and ``heartbeat.json`` while it runs, ``outcome.json`` at its end, and an exit code of
:class:`wm.errors.Exit`. So an attempt can be run again by hand from its spec alone. Where several
members share an attempt, all but the first leave theirs below ``members/<index>/``.
"""

from wm.stage.context import StageContext, member_index
from wm.stage.harness import run_stage
from wm.stage.spec import Heartbeat, Outcome, StageSpec, locate, member_prefix

__all__ = [
    "Heartbeat",
    "Outcome",
    "StageContext",
    "StageSpec",
    "locate",
    "member_index",
    "member_prefix",
    "run_stage",
]
