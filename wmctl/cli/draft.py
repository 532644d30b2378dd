"""A plan on its way to be a run: loaded, resolved, priced and forecast. For plan and submit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from wm.store import Store, open_store
from wmctl.launch.local import cpu_count
from wmctl.launch.profiles import Profile, known_profiles, prices_of, tflops_of
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.plan.model import Plan
from wmctl.plan.node import Node
from wmctl.plan.references import model_finder
from wmctl.run.objections import fresh_state
from wmctl.run.spec import RunSpec, draft
from wmctl.run.state import RunState
from wmctl.run.terms import ANY_CPUS, On, Terms, make_terms

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Draft:
    """A run that nobody has submitted yet."""

    store: Store
    plan: Plan
    nodes: list[Node]
    terms: Terms
    profiles: dict[str, Profile]
    now: float
    spec: RunSpec
    """The run that submitting would enter in the store."""
    state: RunState
    """Its state in the moment of submission."""


def make_draft(
    store: str,
    plan: str,
    *,
    data: Sequence[str],
    sets: Sequence[str],
    only: Sequence[str],
    on: On,
    cpus: int | None,
    profiles: Path,
) -> Draft:
    """Load and resolve a plan, and see what is to be expected of it. Raises as those do."""
    opened = open_store(store)
    loaded = load_plan(plan, data=data, sets=sets, stages=only)
    nodes = resolve(loaded, model_finder(opened))
    known = known_profiles(profiles)
    now = time.time()
    terms = make_terms(
        opened,
        loaded,
        nodes,
        now,
        on=on,
        cpus=(cpus or cpu_count()) if on == "local" else ANY_CPUS,
        prices=prices_of(known),
        tflops=tflops_of(known),
    )
    spec = draft(loaded, nodes)
    state = fresh_state(spec, terms, now)
    return Draft(opened, loaded, nodes, terms, known, now, spec, state)


def plan_options(command: Command) -> Command:
    """Which plan, changed how, to run where."""
    for option in (
        click.option(
            "--on",
            type=click.Choice(["local", "kubernetes"]),
            envvar="WM_ON",
            default="local",
            show_default=True,
            help="Where stages run (WM_ON).",
        ),
        click.option("--cpus", type=click.IntRange(1), help="Here: processor cores to use [all]."),
        click.option(
            "--only",
            multiple=True,
            metavar="STAGE",
            help="Only this stage and what it needs, without rules and verdicts.",
        ),
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="A.B=C",
            help="Change a key of the plan; scale=NAME takes one of its scales.",
        ),
        click.option(
            "--data", multiple=True, metavar="NAME=SOURCE", help="Read NAME from SOURCE instead."
        ),
        click.argument("plan"),
    ):
        command = option(command)
    return command


profiles_option = click.option(
    "--profiles",
    envvar="WM_PROFILES",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("k8s/profiles.yaml"),
    show_default=True,
    help="What the GPUs of plans are, and what machines cost (WM_PROFILES).",
)
