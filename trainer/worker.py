"""One of the processes that torchrun starts: trains, and says how it ended."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from trainer.pods import leads
from trainer.preempt import Stopping
from trainer.reports import Ending, leave
from wm.errors import Exit
from wm.stage.log import log_to_stdout
from wm.stage.parent import die_with_parent

logger = logging.getLogger("wm.trainer")


def main(argv: Sequence[str]) -> int:
    """Train as the spec says; the exit code is one of :class:`wm.errors.Exit`."""
    die_with_parent()
    stopping = Stopping()
    stopping.listen()  # before the imports below, which take seconds
    log_to_stdout()
    parser = argparse.ArgumentParser(description="One training process; torchrun starts it.")
    parser.add_argument("--spec", required=True, help="address of the attempt's spec.json")
    parser.add_argument("--scratch", required=True, type=Path, help="folder shared with the parent")
    arguments = parser.parse_args(argv)
    if not leads():
        logger.setLevel(logging.ERROR)

    from trainer.faults import PeerLost, classify
    from trainer.setup import run

    try:
        ending = Ending(result=run(arguments.spec, arguments.scratch, stopping))
    except Exception as error:
        known = classify(error)
        if known is None:
            logger.exception("internal error")
            ending = Ending(code=Exit.BUG, message=f"{type(error).__name__}: {error}")
        else:
            lost = isinstance(known, PeerLost)
            ending = Ending(code=known.code, message=known.message, hint=known.hint, lost=lost)
    ending.write(arguments.scratch, int(os.environ["RANK"]))
    return ending.code


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
