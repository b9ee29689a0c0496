"""Keeps the leases of all runs of a worker, in a thread of its own, whatever the runs are at.

What runs tell meanwhile is stored by a second thread: a slow Redis, or a log that is slow to store,
delays no lease.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.db import connections
from django_tenants.utils import schema_context

from execfabric.core.actor import current_schema
from execfabric.core.request_context import request_id_scope
from tenants.registry.hosts import schema_is_open

from . import lifecycle
from .models import Execution

logger = structlog.get_logger(__name__)

BEAT_S = 1.0
"""How soon the worker hears of a cancel. The lease itself is written more rarely."""
TICK_S = 0.2
"""Between two turns of what is done beside the beats: the log becomes visible that often."""
YOUNG_S = 0.1
"""A run is left alone for so long: what a beat asks for, its claim has asked just now."""
HELD_S = (lifecycle.LEASE - lifecycle.RENEW_EVERY).total_seconds() - BEAT_S
"""So long after a renewal, at least, nobody can take the run, and there is time left to end it."""
LAST_BEAT_S = 1.0
"""How long the end of the worker waits for a beat in progress; no run is kept any more then."""
Renew = Callable[[Execution], bool]


def _nothing() -> None:
    pass


class Pulse:
    """One run whose lease is kept, as its slot sees it."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.schema = current_schema()
        self.is_held = True
        self.goes_on = True
        """Set to False only, and by several threads."""
        self.was_stopped = False
        """Whether it ends because the worker does."""
        self.was_shut = False
        """Whether it ends because its tenant was suspended or closed."""
        self.was_cut_off = False
        """Whether it ends because its lease could not be renewed."""
        self.began_at = time.monotonic()
        self.held_until = self.began_at + HELD_S
        self.beside: Callable[[], None] = _nothing
        """Called every TICK_S in a thread of all runs; never raises, and never takes long."""

    def alive(self) -> bool:
        """Return whether the run should go on: nobody asked to end it, and the lease is held.

        Looks at the clock itself: a renewal may hang.
        """
        if self.goes_on and time.monotonic() > self.held_until:
            self.was_cut_off, self.goes_on = True, False
        return self.goes_on


class Heartbeat:
    """Calls renew for each kept run every every_s seconds, once it was started.

    renew returns whether the run should go on and raises StaleLease when the lease is lost, as
    ``lifecycle.renew_lease`` does. Anything else it raises is logged and tried again, until the
    lease has run out: a database that this worker does not reach may be there for others. is_open
    says whether the tenant of a schema still is; a run of one that is not is ended.
    """

    def __init__(
        self,
        renew: Renew = lifecycle.renew_lease,
        *,
        is_open: Callable[[str], bool] = schema_is_open,
        every_s: float = BEAT_S,
    ) -> None:
        self._renew = renew
        self._is_open = is_open
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._pulses: set[Pulse] = set()
        self._ends_all = False
        loops = {
            "heartbeat": (every_s, self._renew_one),
            "news": (min(every_s, TICK_S), self._look_beside),
        }
        self._threads = [
            threading.Thread(target=self._visit, args=loop, name=name, daemon=True)
            for name, loop in loops.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LAST_BEAT_S)

    def end_all(self) -> None:
        """Ask every run that is kept now to end, since the worker does."""
        self._ends_all = True
        for pulse in self._kept():
            pulse.was_stopped, pulse.goes_on = True, False

    @contextmanager
    def keep(self, execution: Execution) -> Iterator[Pulse]:
        """Keep the lease of a claimed execution of the schema at hand while the block runs."""
        pulse = Pulse(execution)
        with self._lock:
            self._pulses.add(pulse)
        if self._ends_all:  # It was claimed just before.
            pulse.was_stopped, pulse.goes_on = True, False
        try:
            yield pulse
        finally:
            with self._lock:
                self._pulses.discard(pulse)
            pulse.beside = _nothing  # A log, for instance, that refers to the pulse in turn.

    @property
    def kept(self) -> int:
        """How many runs are kept now."""
        return len(self._kept())

    def _kept(self) -> list[Pulse]:
        with self._lock:
            return list(self._pulses)

    def _due(self, every_s: float) -> list[Pulse]:
        began_before = time.monotonic() - min(YOUNG_S, every_s / 2)
        return [pulse for pulse in self._kept() if pulse.began_at <= began_before]

    def _visit(self, every_s: float, visit: Callable[[Pulse], None]) -> None:
        """Visit each kept run every every_s seconds, once it is not young any more."""
        try:
            while not self._over.wait(every_s):
                for pulse in self._due(every_s):
                    visit(pulse)
        finally:
            connections.close_all()

    def _look_beside(self, pulse: Pulse) -> None:
        """Store what the run told, and end it where its tenant is not open any more."""
        try:
            if not self._is_open(pulse.schema):
                pulse.was_shut, pulse.goes_on = True, False
        except Exception:  # The database may be away, which is a matter for the lease.
            logger.warning("heartbeat.tenant_unknown", exc_info=True)
            connections.close_all()
        pulse.beside()

    def _renew_one(self, pulse: Pulse) -> None:
        if not pulse.is_held:
            return
        began_at = time.monotonic()
        with request_id_scope(pulse.execution.request_id):
            try:
                with schema_context(pulse.schema):
                    if not self._renew(pulse.execution):
                        pulse.goes_on = False
                pulse.held_until = began_at + HELD_S
            except lifecycle.StaleLease:
                pulse.goes_on = pulse.is_held = False
            except Exception:  # Whatever it was, the run needs its next beat.
                logger.warning("heartbeat.failed", exc_info=True)
                connections.close_all()
