"""Keeps the lease of a run in a thread of its own, whatever the run is busy with."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from django.db import connections
from django_tenants.utils import schema_context

from execfabric.core.actor import current_schema

from . import lifecycle
from .models import Execution

logger = structlog.get_logger(__name__)

BEAT_S = 1.0
"""How soon the worker hears of a cancel. The lease itself is written more rarely."""
TICK_S = 0.2
"""Between two turns of what is done beside the beats: the log becomes visible that often."""
LAST_BEAT_S = 10.0
"""How long the end of a run waits for a beat in progress."""


class Heartbeat:
    """Calls renew every every_s seconds from entering to leaving, in a thread of its own.

    renew returns whether the run should go on and raises StaleLease when the lease is lost, as
    ``lifecycle.renew_lease`` does. Anything else it raises is logged and tried again: while the
    database cannot be reached nobody else can take the run either. Connections the thread opened
    are closed at its end. What ``beside`` is given is called every TICK_S in the same thread.
    """

    def __init__(self, renew: Callable[[], bool], *, every_s: float = BEAT_S) -> None:
        self._renew = renew
        self._every_s = every_s
        self._go_on = True
        self._over = threading.Event()
        self._beside: Callable[[], None] = lambda: None
        context = contextvars.copy_context()  # Its log lines carry the request id, too.
        self._thread = threading.Thread(
            target=context.run, args=(self._beat_until_over,), name="heartbeat", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(LAST_BEAT_S)

    def alive(self) -> bool:
        """Return whether the run should go on: nobody asked to cancel it, and the lease is held."""
        return self._go_on

    def beside(self, chore: Callable[[], None]) -> None:
        """Call chore, which never raises, every TICK_S from now on."""
        self._beside = chore

    def _beat_until_over(self) -> None:
        beats_at = time.monotonic() + self._every_s
        try:
            while not self._over.wait(min(self._every_s, TICK_S)):
                self._beside()
                if time.monotonic() < beats_at:
                    continue
                if not self._beat():
                    return
                beats_at = time.monotonic() + self._every_s
        finally:
            connections.close_all()

    def _beat(self) -> bool:
        """Renew once; return whether there is still a lease to keep, for a cancelled run too."""
        try:
            self._go_on = self._renew() and self._go_on
        except lifecycle.StaleLease:
            self._go_on = False
            return False
        except Exception:  # Whatever it was, the run needs its next beat.
            logger.warning("heartbeat.failed", exc_info=True)
            connections.close_all()
        return True


def renewal_of(execution: Execution) -> Callable[[], bool]:
    """Return what renews the lease of execution of this schema, from any thread."""
    schema = current_schema()

    def renew() -> bool:
        with schema_context(schema):
            return lifecycle.renew_lease(execution)

    return renew
