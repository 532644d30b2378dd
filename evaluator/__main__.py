"""``python -m evaluator --spec URL``: run one arena attempt."""

if __name__ == "__main__":  # before the imports below, which take a second
    from wm.early import end_on_signal

    end_on_signal()

import sys

from evaluator.config import ArenaConfig
from wm.stage import StageContext, run_stage


def main(context: StageContext) -> dict[str, object]:
    """The stage; torch is imported only when there is work, so that ``--help`` is quick."""
    from evaluator.arena import run_arena

    return run_arena(context)


if __name__ == "__main__":
    sys.exit(run_stage(main, "arena", sys.argv[1:], ArenaConfig))
