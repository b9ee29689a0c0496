"""Keeps the leases of all runs of a worker, in a thread of its own, whatever the runs are at."""

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

from . import lifecycle
from .models import Execution

logger = structlog.get_logger(__name__)

BEAT_S = 1.0
"""How soon the worker hears of a cancel. The lease itself is written more rarely."""
TICK_S = 0.2
"""Between two turns of what is done beside the beats: the log becomes visible that often."""
LAST_BEAT_S = 10.0
"""How long the end of the worker waits for a beat in progress."""
Renew = Callable[[Execution], bool]


class Pulse:
    """One run whose lease is kept, as its slot sees it."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.schema = current_schema()
        self.is_held = True
        self.goes_on = True
        self.was_stopped = False
        """Whether it ends because the worker does."""
        self.beside: Callable[[], None] = lambda: None
        """Called every TICK_S in the heartbeat's thread; never raises, and never takes long."""

    def alive(self) -> bool:
        """Return whether the run should go on: nobody asked to end it, and the lease is held."""
        return self.goes_on


class Heartbeat:
    """Calls renew for each kept run every every_s seconds, once it was started.

    renew returns whether the run should go on and raises StaleLease when the lease is lost, as
    ``lifecycle.renew_lease`` does. Anything else it raises is logged and tried again: while the
    database cannot be reached nobody else can take the run either.
    """

    def __init__(self, renew: Renew = lifecycle.renew_lease, *, every_s: float = BEAT_S) -> None:
        self._renew = renew
        self._every_s = every_s
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._pulses: set[Pulse] = set()
        self._ends_all = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(LAST_BEAT_S)

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

    def _kept(self) -> list[Pulse]:
        with self._lock:
            return list(self._pulses)

    def _beat(self) -> None:
        try:
            beat_at = time.monotonic() + self._every_s
            while not self._over.wait(min(self._every_s, TICK_S)):
                is_beat = time.monotonic() >= beat_at
                if is_beat:
                    beat_at = time.monotonic() + self._every_s
                for pulse in self._kept():
                    if is_beat and pulse.is_held:
                        self._renew_one(pulse)
                    pulse.beside()
        finally:
            connections.close_all()

    def _renew_one(self, pulse: Pulse) -> None:
        execution = pulse.execution
        with request_id_scope(execution.request_id):
            try:
                with schema_context(pulse.schema):
                    pulse.goes_on = self._renew(execution) and pulse.goes_on
            except lifecycle.StaleLease:
                pulse.goes_on = pulse.is_held = False
            except Exception:  # Whatever it was, the run needs its next beat.
                logger.warning("heartbeat.failed", exc_info=True)
                connections.close_all()
