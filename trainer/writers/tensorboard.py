"""TensorBoard's event files.

Written by TensorBoard's own parts, without its queue and thread: there is one already, and an error
is to come out where it happens.
"""

from __future__ import annotations

import io
import time
from pathlib import Path

from trainer.writers.aside import Point


class TensorBoard:
    """A :class:`trainer.writers.aside.Writer` of one event file, scalars as 32-bit floats."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        now = time.time()
        self._file = folder / f"events.out.tfevents.{int(now)}.wmctl"
        self._pending = io.BytesIO()
        self._records = RecordWriter(self._pending)
        first = Event(wall_time=now, file_version="brain.Event:2")
        self._records.write(first.SerializeToString())

    def write(self, point: Point) -> None:
        """As in :class:`trainer.writers.aside.Writer`."""
        values = [
            self._summary.Value(tag=tag, simple_value=value) for tag, value in point.figures.items()
        ]
        summary = self._summary(value=values)
        event = self._event(wall_time=point.time, step=point.step, summary=summary)
        self._records.write(event.SerializeToString())

    def flush(self) -> None:
        """As in :class:`trainer.writers.aside.Writer`."""
        with self._file.open("ab") as file:
            file.write(self._pending.getvalue())
        self._pending.seek(0)
        self._pending.truncate()

    def close(self, failed: bool) -> None:
        """As in :class:`trainer.writers.aside.Writer`."""
        self.flush()
