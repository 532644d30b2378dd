"""``wmctl prices``: what machines cost a run, shown and changed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import click
from pydantic import ValidationError

from wm.errors import BadConfig
from wm.store import NotFound, Store, open_store
from wmctl.plan.words import did_you_mean
from wmctl.run.find import find_run
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.run.price_list import PriceList, read_price_list, write_price_list
from wmctl.run.prices import Prices
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.show.terms import UNITS, price_now, users


@click.command()
@click.argument("run", required=False)
@click.argument("changes", nargs=-1, metavar="[NAME=USD]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, run: str | None, changes: tuple[str, ...], as_json: bool) -> None:
    """Show what machines cost RUN (default: the newest run), or change it from now on.

    NAME is cpu (a core-hour), a GPU of the plan (an hour of one), gb_month (10^9 bytes of data
    sets kept for a month) or gb_read (10^9 bytes read). The run's conductor counts with a change
    within a minute; what was spent before stays as it was.

    \b
    Examples:
      wmctl prices
      wmctl prices overnight-1122-k3f9 h100-spot=2.10 cpu=0.05
    """
    if run and "=" in run:
        raise click.UsageError(f"say first which run: wmctl prices RUN {run}")
    opened = open_store(store)
    spec = find_run(opened, run)
    state = read_state(spec, History(opened, spec.run).events)
    asked = _asked(opened, spec, state)
    if changes:
        if not state.prices or state.finished:
            raise BadConfig(
                f"{spec.run} is {'finished' if state.finished else 'not submitted yet'}: "
                "nobody would count with other prices",
                hint="the prices of a new submission are those of its profiles",
            )
        prices = _changed(spec, asked.prices if asked else price_now(state), changes)
        asked = write_price_list(opened, spec.run, prices)
    if as_json:
        click.echo(json.dumps(_as_json(spec, state, asked), indent=1))
        return
    _show(spec, state, asked)


def _asked(store: Store, spec: RunSpec, state: RunState) -> PriceList | None:
    """Prices that somebody asked for and that the conductor has not taken up yet."""
    try:
        listed = read_price_list(store, spec.run)
    except (NotFound, ValidationError):
        return None
    if not state.prices or state.finished or listed.since <= state.prices[-1][0]:
        return None
    return listed if listed.prices != price_now(state) else None


def _changed(spec: RunSpec, prices: Prices, changes: Sequence[str]) -> Prices:
    own = {node.resources.gpu for node in spec.nodes if node.resources.gpu}
    known = dict.fromkeys([*UNITS, *sorted(own), *prices.gpus])
    fields = prices.model_dump()
    for change in changes:
        name, _, value = change.partition("=")
        if name not in known:
            raise BadConfig(
                f"there is no price {name!r}{did_you_mean(name, known)}",
                hint=f"those of this run: {', '.join(known)}",
            )
        usd = _usd(change, value)
        if name in UNITS:
            fields[name] = usd
        else:
            fields["gpus"][name] = usd
    return Prices.model_validate(fields)


def _usd(change: str, value: str) -> float:
    try:
        usd = float(value.removeprefix("$"))
    except ValueError:
        usd = math.nan
    if not (math.isfinite(usd) and usd >= 0):
        raise BadConfig(f"{change}: expected USD, 0 or more", hint="for example: h100-spot=2.10")
    return usd


def _show(spec: RunSpec, state: RunState, asked: PriceList | None) -> None:
    if not state.prices:
        click.echo(f"{spec.run} is not submitted yet")
        return
    since = phrases.hour(state.prices[-1][0])
    click.echo(f"{spec.run} is counted with these prices since {since}")
    now, soon = phrases.price_rows(price_now(state)), phrases.price_rows(price_now(state))
    if asked:
        soon = phrases.price_rows(asked.prices)
    table = columns("price", "USD", "for", "used by", *(("soon",) if asked else ()))
    for name, usd in (now | soon).items():
        count = users(spec, state, name)
        row = [f"{now[name]:g}" if name in now else "", UNITS.get(name, "GPU-hour")]
        row.append(phrases.count(count, "stage") if count else "")
        if asked:
            row.append(f"{usd:g}" if now.get(name) != usd else "")
        table.add_row(name, *row)
    show(table)
    if asked:
        at = phrases.clock(asked.since)
        click.echo(f"asked for by {asked.by} at {at}; the conductor takes them up within a minute")


def _as_json(spec: RunSpec, state: RunState, asked: PriceList | None) -> dict[str, object]:
    return {
        "run": spec.run,
        "since": state.prices[-1][0] if state.prices else None,
        "prices": price_now(state).model_dump() if state.prices else None,
        "asked": asked.model_dump() if asked else None,
    }
