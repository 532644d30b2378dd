"""Runs a stage's main function: spec in; log, heartbeat, outcome and exit code out."""

from __future__ import annotations

import argparse
import logging
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from wm.errors import BadConfig, Exit, WmError, explain, first_problem
from wm.stage.context import StageContext, member_index
from wm.stage.log import LogShipper, log_to_stdout
from wm.stage.parent import die_with_parent
from wm.stage.spec import Outcome, StageSpec, locate
from wm.store import Store, open_store

logger = logging.getLogger("wm.stage")

HEARTBEAT_EVERY = 2.0
"""Seconds between heartbeats."""


Main = Callable[[StageContext], dict[str, Any]]
"""A stage: returns what goes into the outcome's ``result``, raises :class:`WmError`."""


def run_stage(
    main: Main, kind: str, argv: Sequence[str], settings: type[BaseModel] | None = None
) -> int:
    """Run one attempt from the command line ``--spec URL`` and return its exit code.

    ``settings`` is the stage's configuration class: ``--help`` lists its fields.
    """
    die_with_parent()
    log_to_stdout()
    address = _parse(kind, argv, settings).spec
    try:
        root, key = locate(address)
        store = open_store(root)
        spec = _read_spec(store, key, kind)
        member = member_index()
    except WmError as error:
        _say(error)
        return error.code
    with tempfile.TemporaryDirectory(prefix=f"wm-{kind}-") as folder:
        scratch = Path(folder)
        context = StageContext(spec, store, address, scratch, member)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: context.stopping.set())
        with LogShipper(store, context.own_key("log.txt"), scratch / "log.txt"), _Beating(context):
            outcome = _attempt(main, context)
        try:
            store.put(context.own_key("outcome.json"), outcome.model_dump_json(indent=1).encode())
        except WmError as error:
            _say(error)
            return error.code
    return outcome.code


def _parse(kind: str, argv: Sequence[str], settings: type[BaseModel] | None) -> argparse.Namespace:
    parser = _Parser(
        prog=f"python -m {Path(sys.argv[0]).parent.name}",
        description=f"Run one {kind} attempt of a wmctl run from its spec.",
        epilog=_describe(settings) if settings else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--spec", required=True, help="address of the attempt's spec.json")
    return parser.parse_args(argv)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """argparse would end with 2, which is outside the contract."""
        self.print_usage(sys.stderr)
        self.exit(Exit.BAD_CONFIG, f"error: {message}\n")


def _describe(settings: type[BaseModel]) -> str:
    lines = ["settings (the spec's config):"]
    for name, field in settings.model_fields.items():
        default = (
            "required"
            if field.is_required()
            else f"default {field.get_default(call_default_factory=True)!r}"
        )
        lines.append(f"  {name}: {' '.join((field.description or '').split())} ({default})")
    return "\n".join(lines)


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
    code, message, hint = int(Exit.OK), "", ""
    result: dict[str, Any] = {}
    try:
        result = main(context)
    except WmError as error:
        _say(error)
        code, message, hint = error.code, error.message, error.hint
    except Exception as error:
        logger.exception("internal error")
        code, message = Exit.BUG, f"{type(error).__name__}: {error}"
        hint = explain(Exit.BUG)
    return Outcome(
        code=code,
        message=message,
        hint=hint,
        result=result,
        started=started,
        ended=time.time(),
        peak_mb=_peak_mb(),
    )


def _say(error: WmError) -> None:
    logger.error("error: %s", error.message)
    if error.hint:
        logger.error("hint: %s", error.hint)


def _peak_mb() -> float:
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kibibytes elsewhere
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(max(own, children) * (1.024 if unit == 1e3 else 1.0) / unit, 1)


class _Beating:
    """Publishes the context's heartbeat from a thread while the stage runs."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=10)

    def _beat(self) -> None:
        self._publish()
        while not self._done.wait(HEARTBEAT_EVERY):
            self._publish()
        self._publish()  # how far the stage came

    def _publish(self) -> None:
        beat = self._context.heartbeat.model_copy(update={"time": time.time()})
        try:
            self._context.store.put(
                self._context.own_key("heartbeat.json"), beat.model_dump_json().encode()
            )
        except WmError as error:  # the stage's own writes will decide; the log says why
            logger.info("heartbeat not written: %s", error.message)
