"""A stage that does what its spec says: ``python -m tests.support.acting_stage --spec ADDRESS``.

``config.act`` names what it does; it stands for every stage in tests of the harness around them.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below, which take a second
    from wm.early import end_on_signal

    end_on_signal()

import logging
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from pydantic import BaseModel, ConfigDict

from wm.errors import BadData, Preempted
from wm.stage import StageContext, run_stage

logger = logging.getLogger("wm.acting")


class ActingConfig(BaseModel):
    """Settings of the stage."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    act: str
    """What to do."""
    times: int = 3
    """How often."""


def main(context: StageContext) -> dict[str, Any]:
    """Do it."""
    act = context.spec.config["act"]
    if act == "end well":
        logger.info("at work in %s", context.spec.stage)
        context.progress(2, 3, "steps", loss=0.5)
        context.store.put(context.key("product.txt"), b"made")
        (context.scratch / "scrap").write_text("goes away")
        return {"scratch": str(context.scratch), "url": context.url, "member": context.member}
    if act == "find bad data":
        raise BadData("shard 3 of the data is damaged", hint="encode it again")
    if act == "crash":
        return {"never": 1 // 0}
    if act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "lose a child to memory":
        child = subprocess.run(
            [sys.executable, "-c", "print(len(b'x' * (400 << 20)))"], check=False
        )
        raise BadData(f"a child ended with {child.returncode}")
    if act == "wait":
        context.progress(1, 0, "waits")
        logger.info("waiting")
        context.stopping.wait(60)
        raise Preempted("stopped at step 7")
    if act == "write below python":
        os.write(1, b"from the descriptor\n")
        os.write(2, b"from the other descriptor\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
        return {}
    if act == "leave a child":
        subprocess.Popen(["sleep", "20"])
        return {}
    if act == "say it from a thread":
        thread = threading.Thread(target=logger.warning, args=("from a thread",))
        thread.start()
        thread.join()
        return {}
    raise AssertionError(act)


if __name__ == "__main__":
    kind = os.environ.get("ACTING_KIND", "encode")
    raise SystemExit(run_stage(main, kind, sys.argv[1:], ActingConfig))
