"""``python -m encoder --spec URL``: one attempt of an encode stage."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import ValidationError

from encoder.config import EncodeConfig
from encoder.encode import encode
from wm.errors import BadConfig
from wm.stage import StageContext, run_stage


def main(context: StageContext) -> dict[str, Any]:
    """Encode what the attempt's spec says."""
    try:
        config = EncodeConfig.model_validate(context.spec.config)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise BadConfig(f"encode settings: {where}: {problem['msg']}") from error
    return encode(
        config,
        context.store,
        context.scratch,
        progress=context.progress,
        stopping=context.stopping,
    )


if __name__ == "__main__":
    raise SystemExit(run_stage(main, "encode", sys.argv[1:], EncodeConfig))
