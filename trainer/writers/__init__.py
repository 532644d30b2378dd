"""Where a training's figures go besides ``metrics.jsonl``; see :mod:`trainer.writers.writers`."""

from trainer.writers.writers import Writers, make_writers

__all__ = ["Writers", "make_writers"]
