"""The worker: a process that takes runs from the queue and carries them out, several at a time.

Each slot is a thread with a database connection of its own. A run's script is never in this
process, so the threads mostly wait. One more thread keeps the leases of all runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import connections
from django_tenants.utils import schema_context

from execfabric.core.connections import drop_dead_connections
from executors.registry import EXECUTORS

from . import hooks, queue, running
from .ends import Recorder
from .heartbeat import Heartbeat
from .run_folders import sweep_run_folders

logger = structlog.get_logger(__name__)

LONGEST_TAKE_S = 1.0
"""How long a slot waits for a turn before it looks whether it should stop."""
PAUSE_S = 1.0
"""After a database or broker that could not be reached."""
END_S = 7.0
"""How long runs have to end, and to be recorded, once they were told to."""

LAST_RECORD_S = 1.0
"""What was left to be recorded together has this long, however long the last run took."""


class Worker:
    """Serves the given queues with so many slots until it is stopped."""

    def __init__(
        self, queues: Sequence[str], *, slots: int, drain_s: float = settings.DRAIN_S
    ) -> None:
        self.queues = list(queues)
        self.drain_s = drain_s
        self.heartbeat = Heartbeat()
        self._recorder = Recorder()
        self._ends = hooks.Together()
        self._stopping = threading.Event()
        self._slots = [
            # A daemon, so that one that hangs does not keep the process from its end.
            threading.Thread(target=self._serve, name=f"slot-{number}", daemon=True)
            for number in range(1, slots + 1)
        ]

    def start(self) -> None:
        """Begin to take runs. Raises ExecutorError where this machine cannot isolate them."""
        for kind in EXECUTORS.kinds():
            EXECUTORS.get(kind).check()
        sweep_run_folders()
        self.heartbeat.start()
        self._recorder.start()
        self._ends.start()
        for slot in self._slots:
            slot.start()

    def is_well(self) -> bool:
        """Return whether every slot still takes runs, leases are kept, ends recorded and told."""
        others = (self.heartbeat, self._recorder, self._ends)
        are_alive = all(each.is_alive() for each in others)
        return are_alive and all(slot.is_alive() for slot in self._slots)

    @property
    def busy(self) -> int:
        """How many of its slots carry out a run now."""
        # Those that have ended and are about to be recorded are kept, too.
        return min(self.heartbeat.kept, len(self._slots))

    def stop(self) -> None:
        """Take no more runs, and return when none goes on and all ends are recorded, or a few
        seconds after drain_s + END_S.

        Runs that go on for longer than drain_s are ended, and recorded as that. One whose end
        cannot be recorded, because the database is away as well, ends as lost.
        """
        self._stopping.set()
        self._join(self.drain_s)
        self.heartbeat.end_all()
        give_up_at = time.monotonic() + END_S
        self._join(END_S)
        self._recorder.stop(max(LAST_RECORD_S, give_up_at - time.monotonic()))
        self._ends.stop()
        for slot in self._slots:
            if slot.is_alive():
                logger.error("worker.slot_left", slot=slot.name)
        self.heartbeat.stop()

    def _join(self, timeout_s: float) -> None:
        give_up_at = time.monotonic() + timeout_s
        for slot in self._slots:
            slot.join(max(0.0, give_up_at - time.monotonic()))

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set():
                self._serve_one()
        finally:
            connections.close_all()

    def _serve_one(self) -> None:
        try:
            turn = queue.take(self.queues, timeout_s=LONGEST_TAKE_S, before_wait=self._has_time)
            if turn is None:
                return
            if self._stopping.is_set():  # It came while this slot waited.
                queue.give_back(turn)
            else:
                self._run(turn)
        except (redis.RedisError, AnyDatabaseError) as error:
            logger.warning("worker.not_reached", error=str(error))
            drop_dead_connections()
            self._stopping.wait(PAUSE_S)
        except Exception:  # One that breaks us must not take the slot with it.
            logger.exception("worker.broke")
            connections.close_all()
            self._stopping.wait(PAUSE_S)

    def _has_time(self) -> None:
        """Called by a slot that finds nothing to run: what ended need not wait for what ends."""
        self._recorder.hurry()
        self._ends.hurry()

    def _run(self, turn: queue.Turn) -> None:
        try:
            execution_id = UUID(turn.execution_id)
        except ValueError:
            logger.warning("worker.odd_message", schema=turn.schema[:100])
            return
        drop_dead_connections()
        with schema_context(turn.schema):
            running.run_execution(execution_id, self.heartbeat)
