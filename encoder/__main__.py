"""``python -m encoder --spec URL``: one attempt of an encode stage."""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below, which take a second
    from wm.early import end_on_signal

    end_on_signal()

import sys
from typing import Any

from encoder.config import EncodeConfig
from encoder.encode import encode
from encoder.members import Members
from encoder.stock import take_stock
from wm.errors import Preempted
from wm.stage import StageContext, run_stage


def main(context: StageContext) -> dict[str, Any]:
    """Encode what the attempt's spec says, or this member's share of it."""
    config = context.settings(EncodeConfig)
    if config.inventory:
        return take_stock(config, context)
    members = Members.of_attempt(context.member, config.pods, context.spec.prefix)
    try:
        return encode(
            config,
            context.store,
            context.scratch,
            progress=context.progress,
            stopping=context.stopping,
            members=members,
        )
    except Preempted:
        members.blame(context.store)
        raise


if __name__ == "__main__":
    raise SystemExit(run_stage(main, "encode", sys.argv[1:], EncodeConfig))
