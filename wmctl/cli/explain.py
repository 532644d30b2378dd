"""``wmctl explain``: every decision of a run, decided again from the store alone."""

from __future__ import annotations

import json
from functools import cache

import click
from rich.text import Text

from wm.artifacts.result import ArenaResult
from wm.errors import Exit, InputMissing
from wm.store import NotFound, Store, open_store
from wmctl.run.explain import Decision, explain
from wmctl.run.figures import ReadResult
from wmctl.run.find import find_run
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.show.terms import terms_rows


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, run: str | None, as_json: bool) -> int:
    """Decide again whatever was decided in RUN (default: the newest run), and show it.

    Each decision is taken anew on what was known before it: the plan, the events up to then, and
    the arenas' results. Where something else comes out now, that is said, and the exit code is 70.

    \b
    Examples:
      wmctl explain
      wmctl explain demo-1122-k3f9 --json
    """
    opened = open_store(store)
    spec = find_run(opened, run)
    events = History(opened, spec.run).events
    state = read_state(spec, events)
    made = list(explain(spec, events, _reader(opened)))
    others = sum(not one.same for one in made)
    if as_json:
        click.echo(json.dumps(_as_json(spec, state, made), indent=1))
    else:
        _show(spec, state, made)
        click.echo(f"\n{_summary(len(made), others)}")
    return Exit.BUG if others else Exit.OK


def _reader(store: Store) -> ReadResult:
    """Results by key, each read once."""

    @cache
    def read(key: str) -> ArenaResult:
        try:
            return ArenaResult.model_validate_json(store.get(key))
        except NotFound as error:
            raise InputMissing(
                f"the arena's result {key} is not in {store.url} any more",
                hint="what was decided on it cannot be decided again",
            ) from error

    return read


def _show(spec: RunSpec, state: RunState, made: list[Decision]) -> None:
    click.echo(f"{spec.run}, plan {spec.plan.name}")
    head = columns("", "", wrap="")
    head.show_header = False
    for name, text in terms_rows(spec, state, phrases.hour).items():
        head.add_row(Text(name, "dim"), Text(text))
    show(head)
    click.echo()
    table = columns("time", "decision", "", wrap="")
    for one in made:
        kind = one.event.event
        sentence = Text(phrases.event(one.event).removeprefix(f"{kind} "))
        if not one.same:
            sentence.append(f"\nnow: {one.again}", "red")
        table.add_row(phrases.clock(one.event.time), kind, sentence)
    show(table)


def _summary(total: int, others: int) -> str:
    decided = phrases.count(total, "decision")
    if total == 0:
        return "nothing has been decided yet"
    if not others:
        each = "it comes" if total == 1 else "all of them come"
        return f"{decided}, {each} out the same again"
    come = "comes" if others == 1 else "come"
    return f"{decided}, {others:,} of them {come} out differently now"


def _as_json(spec: RunSpec, state: RunState, made: list[Decision]) -> dict[str, object]:
    return {
        "run": spec.run,
        "plan": spec.plan.name,
        "terms": state.terms.model_dump(mode="json", exclude={"estimates"})
        | {"budget": spec.plan.budget, "confidence": spec.plan.confidence},
        "same": all(one.same for one in made),
        "decisions": [
            {
                "event": one.event.model_dump(mode="json", exclude_defaults=True),
                "text": phrases.event(one.event),
                "same": one.same,
                "again": one.again,
            }
            for one in made
        ],
    }
