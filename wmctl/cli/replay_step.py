"""``wmctl replay-step``: makes one update again and shows the loss of each of its games."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import click

from wm.errors import BadConfig, InputMissing, WmError, explain
from wm.stage.parent import PARENT
from wm.store import open_store
from wmctl.plan.node import Node, select
from wmctl.plan.words import did_you_mean
from wmctl.run.find import find_run
from wmctl.run.spec import RunSpec
from wmctl.run.steps import Made, attempt_of
from wmctl.show.columns import columns, show
from wmctl.show.phrases import count

SHOWN = 20
"""Games in the table; --json has all of them."""


@click.command()
@click.argument("run")
@click.argument("stage")
@click.argument("step", type=click.IntRange(1))
@click.option(
    "--attempt", type=click.IntRange(1), help="Default: the newest attempt that made the step."
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Default: the training's own."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every game.")
@click.pass_obj
def command(
    store: str,
    run: str,
    stage: str,
    step: int,
    attempt: int | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Make STEP of the training STAGE of RUN again, here, and show the loss of each of its games.

    STEP counts as the log and metrics.jsonl do: the first update is 1. It goes on from the newest
    checkpoint before STEP, or from the initial weights, which takes as long as the training did.
    The store is only read.

    Where one process trained on a CPU, the figures are equal to the last bit. Several processes
    and GPUs sum in another order, and each process draws dropout masks of its own.

    \b
    Examples:
      wmctl replay-step demo-1122-k3f9 train-chess/winner 1234
      wmctl replay-step demo-1122-k3f9 train-mlp 400 --json
    """
    opened = open_store(store)
    spec = find_run(opened, run)
    node = _training(spec, stage)
    made = attempt_of(opened, spec.run, node, step, attempt)
    answer = _replay(made, step, device)
    facts = {"run": spec.run, "stage": node.name, "attempt": made.spec.attempt}
    answer = facts | answer | {"recorded": made.recorded(step), "trained": made.trained_on}
    if as_json:
        click.echo(json.dumps(answer, indent=1))
    else:
        _show(node.label, answer)


def _training(spec: RunSpec, stage: str) -> Node:
    found = select(spec.by_name, stage)
    trainings = [node.label for node in spec.nodes if node.kind == "train"]
    known = f"its trainings: {', '.join(trainings) or 'none'}"
    if not found:
        labels = [node.label for node in spec.nodes]
        raise InputMissing(
            f"{spec.run} has no stage {stage!r}{did_you_mean(stage, labels)}", hint=known
        )
    if found[0].kind != "train":
        raise BadConfig(
            f"{stage} is no training ({found[0].kind}), so it has no steps to replay", hint=known
        )
    if len(found) > 1:
        labels = [node.label for node in found]
        raise BadConfig(f"{stage} means {len(found)} trainings", hint=f"one of {', '.join(labels)}")
    return found[0]


def _replay(made: Made, step: int, device: str | None) -> dict[str, Any]:
    """What the process that makes the update, for it needs torch, says."""
    if importlib.util.find_spec("torch") is None:
        raise InputMissing(
            "torch is not installed here, and no update can be made without it",
            hint="install the extra wmctl[train], or replay where the trainer runs",
        )
    words = [sys.executable, "-m", "trainer.replay", "--spec", made.address, "--step", str(step)]
    if device:
        words += ["--device", device]
    environment = os.environ | {PARENT: str(os.getpid())}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        code = 128 - done.returncode if done.returncode < 0 else done.returncode
        raise WmError(
            f"the replay of step {step} broke off: {explain(code or 70)}",
            hint=f"its last words are above; by hand: {' '.join(words[1:])}",
        ) from error
    if "error" in answer:
        refused = WmError(answer["error"], answer["hint"])
        refused.code = done.returncode
        raise refused
    return answer


def _show(label: str, answer: dict[str, Any]) -> None:
    begin = answer["checkpoint"] or "the initial weights"
    click.echo(
        f"step {answer['step']} of {label}, attempt {answer['attempt']} of {answer['run']}: "
        f"from {begin}, {count(answer['replayed'], 'update')} before it, on {answer['device']}\n"
    )
    then = answer["recorded"]
    for name, key in (("loss", "loss"), ("gradient norm", "grad_norm"), ("learning rate", "lr")):
        beside = _beside(answer[key], then[key]) if key in then else ""
        click.echo(f"{name:<15}{_number(answer[key])}{beside}")
    click.echo(f"{'targets':<15}{answer['targets']:,}")
    click.echo(f"{'all finite':<15}{'yes' if answer['finite'] else 'NO'}")
    if note := _note(answer["trained"], answer["device"]):
        click.echo(f"\n{note}")
    click.echo("")
    table = columns("game", "loss", "targets")
    for game in answer["games"][:SHOWN]:
        loss = _number(game["loss"]) if game["targets"] else "–"
        table.add_row(game["game"], loss, f"{game['targets']:,}")
    show(table)
    if (more := len(answer["games"]) - SHOWN) > 0:
        click.echo(f"{count(more, 'more game')}: --json")
    click.echo("loss of a game: mean over its targets, before the update and without dropout")


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.6g}"


def _beside(now: float | None, then: float) -> str:
    return "  as recorded" if now == then else f"  recorded: {_number(then)}"


def _note(trained: dict[str, Any], device: str) -> str:
    """Why the figures may differ from those recorded; empty where they must not."""
    reasons = []
    if (world := trained.get("world", 1)) > 1:
        reasons.append(f"{world} processes trained it, this is one")
    if (then := trained.get("device", device)) != device:
        reasons.append(f"it was trained on {then}, this is {device}")
    return f"{' and '.join(reasons)}: rounding and dropout masks differ" if reasons else ""
