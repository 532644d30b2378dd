"""Runs a stage's main function: spec in; log, heartbeat, outcome and exit code out."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from wm.errors import BadConfig, Exit, WmError, explain, first_problem
from wm.stage.arguments import parse
from wm.stage.beat import Beating
from wm.stage.claim import claim
from wm.stage.context import StageContext, member_index
from wm.stage.log import LogShipper, log_to_stdout
from wm.stage.memory import OOM_KILLED, OutOfMemory, peak_mb
from wm.stage.parent import die_with_parent
from wm.stage.signals import stop_on_signal
from wm.stage.spec import Outcome, StageSpec, locate, member_prefix
from wm.store import Store, open_store

logger = logging.getLogger("wm.stage")

SIDE_PATIENCE = 2.0
"""Seconds that a heartbeat or a piece of log waits for the store: another follows soon."""

Main = Callable[[StageContext], dict[str, Any]]
"""A stage: returns what goes into the outcome's ``result``, raises :class:`WmError`."""


def run_stage(
    main: Main, kind: str, argv: Sequence[str], settings: type[BaseModel] | None = None
) -> int:
    """Run one attempt from the command line ``--spec URL [--once]`` and return its exit code.

    ``settings`` is the stage's configuration class: ``--help`` lists its fields.
    """
    die_with_parent()
    log_to_stdout()
    arguments = parse(kind, argv, settings)
    try:
        root, key = locate(arguments.spec)
        store = open_store(root)
        member = member_index()
        spec = _read_spec(store, key, kind)
        if arguments.once and (code := claim(store, spec, member)) is not None:
            return code
        aside = open_store(root, patience=SIDE_PATIENCE)
    except WmError as error:
        _say(error)
        return error.code
    with tempfile.TemporaryDirectory(prefix=f"wm-{kind}-") as folder:
        scratch = Path(folder)
        context = StageContext(spec, store, arguments.spec, scratch, member)
        stop_on_signal(context.stopping)
        prefix = member_prefix(spec.prefix, member)
        with LogShipper(aside, prefix, scratch / "log"), Beating(context, aside):
            outcome = _attempt(main, context)
            try:
                # Log and heartbeat go on meanwhile, for the store may have to be waited for.
                data = outcome.model_dump_json(indent=1).encode()
                store.put(context.own_key("outcome.json"), data)
            except WmError as error:
                _say(error)
                return error.code
    return outcome.code


def _read_spec(store: Store, key: str, kind: str) -> StageSpec:
    try:
        spec = StageSpec.model_validate_json(store.get(key))
    except ValidationError as error:
        raise BadConfig(f"{key} is not a stage's spec: {first_problem(error)}") from error
    if spec.kind != kind:
        raise BadConfig(f"{key} is the spec of a {spec.kind} stage, not of {kind}")
    return spec


def _attempt(main: Main, context: StageContext) -> Outcome:
    started = time.time()
    failure: WmError | None = None
    result: dict[str, Any] = {}
    try:
        result = main(context)
    except WmError as error:
        _say(error)
        failure = error
    except Exception as error:
        logger.exception("internal error")
        failure = WmError(f"{type(error).__name__}: {error}", explain(Exit.BUG))
    if failure and context.memory.killed() and not _said_enough(failure):
        failure = context.memory.error(context.spec.kind)
        _say(failure)
    return Outcome(
        code=failure.code if failure else Exit.OK,
        message=failure.message if failure else "",
        hint=failure.hint if failure else "",
        reason=OOM_KILLED if isinstance(failure, OutOfMemory) else "",
        result=result,
        started=started,
        ended=time.time(),
        peak_mb=peak_mb(),
    )


def _said_enough(failure: WmError) -> bool:
    """A stage that was stopped has saved its state, whatever the kernel took from it on the way."""
    return failure.code == Exit.PREEMPTED or isinstance(failure, OutOfMemory)


def _say(error: WmError) -> None:
    logger.error("error: %s", error.message)
    if error.hint:
        logger.error("hint: %s", error.hint)
