"""torchrun, with two faults mended: it dies with its parent, and it tells how its workers died."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from trainer.reports import leave
from wm.errors import Exit
from wm.stage.parent import PARENT, die_with_parent


def main(argv: Sequence[str]) -> int:
    """Run torchrun's arguments; the code of the worker that failed first, 128 + N by signal N.

    Where the agents of other pods are gone it is 160.
    """
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError
    from torch.distributed.run import parse_args, run

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        run(parse_args(list(argv)))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        killed = [-code for code in codes if code < 0 and code != -signal.SIGTERM]
        return 128 + killed[0] if killed else error.get_first_failure()[1].exitcode
    except SignalException as stop:
        return 128 + stop.sigval
    except (RendezvousError, DistError):
        return Exit.HANG
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
