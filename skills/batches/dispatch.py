"""The one place where rows of batches are handed to the workers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from skills.catalogue.models import SkillVersion
from skills.executions import queue

from .models import Batch

FIRST_WINDOW = 32
SMALLEST_WINDOW = 8
LARGEST_WINDOW = 200
WINDOW_S = 5.0
"""For so long the rows handed over should keep the workers busy."""


def send_chunk(version: SkillVersion, executions: Sequence[UUID]) -> None:
    """Hand queued executions of version, stored as sent, to its workers in one message.

    They are sent once the transaction at hand has committed.
    """
    queue.send([str(execution_id) for execution_id in executions], queue=version.queue)


def next_window(batch: Batch, now: datetime) -> int:
    """Return how many rows may be with the workers until the next release.

    As many as were done in WINDOW_S lately: quick rows never wait for the next ones, and a batch
    of slow ones is paused soon and leaves the queue to others.
    """
    if batch.released_at is None:
        return FIRST_WINDOW
    done = batch.over_rows - batch.over_at_release
    elapsed_s = max((now - batch.released_at).total_seconds(), 0.05)
    return min(max(round(done / elapsed_s * WINDOW_S), SMALLEST_WINDOW), LARGEST_WINDOW)


def wants_more(batch: Batch) -> bool:
    """Return whether half of the window is free, so that a release is worth its statements."""
    return batch.waiting_rows > 0 and batch.sent_rows <= batch.window_rows // 2
