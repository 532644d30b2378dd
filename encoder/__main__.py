"""``python -m encoder --spec URL``: one attempt of an encode stage."""

from __future__ import annotations

import sys
from typing import Any

from encoder.config import EncodeConfig
from encoder.encode import encode
from wm.stage import StageContext, run_stage


def main(context: StageContext) -> dict[str, Any]:
    """Encode what the attempt's spec says."""
    return encode(
        context.settings(EncodeConfig),
        context.store,
        context.scratch,
        progress=context.progress,
        stopping=context.stopping,
    )


if __name__ == "__main__":
    raise SystemExit(run_stage(main, "encode", sys.argv[1:], EncodeConfig))
