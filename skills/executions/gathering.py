"""Does what comes within a short time at once, in a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog
from django.db import connections

from execfabric.core.connections import drop_dead_connections

logger = structlog.get_logger(__name__)

Kind = TypeVar("Kind")
Item = TypeVar("Item")


class Gathering(ABC, Generic[Kind, Item]):
    """Of a worker: to do several of a kind together costs it less than to do each by itself."""

    failed: str
    """The event of the log when ``do`` raises."""

    def __init__(
        self, name: str, *, gathered_s: float, expects_more: Callable[[], bool] = lambda: True
    ) -> None:
        """name: of the thread. gathered_s: how long one waits for others, where expects_more."""
        self._gathered_s = gathered_s
        self._expects_more = expects_more
        self._items: defaultdict[Kind, list[Item]] = defaultdict(list)
        self._waiting = 0
        self._is_over = False
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        self._hurries = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    @abstractmethod
    def do(self, kind: Kind, items: Sequence[Item]) -> None:
        """Called in the thread."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Do what is left; nothing is taken from then on."""
        self._stopping.set()
        self._hurries.set()
        self._has_some.set()
        self._thread.join(timeout_s)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many were taken and are not done."""
        return self._waiting

    def take(self, kind: Kind, items: Sequence[Item]) -> bool:
        """Keep items to be done; return whether they will be, which nothing is at the end."""
        with self._lock:
            if self._is_over:
                return False
            self._items[kind].extend(items)
            self._waiting += len(items)
        self._has_some.set()
        return True

    def hurry(self) -> None:
        """Let what was taken not wait for others: none are expected."""
        if self._items:
            self._hurries.set()

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set():
                self._has_some.wait()
                if self._expects_more():
                    self._hurries.wait(self._gathered_s)
                self._hurries.clear()
                self._has_some.clear()
                self._do_all()
            self._do_all(is_last=True)  # What came while the others were done.
        finally:
            connections.close_all()

    def _do_all(self, *, is_last: bool = False) -> None:
        with self._lock:
            taken, self._items = self._items, defaultdict(list)
            self._is_over = is_last
        for kind, items in taken.items():
            try:
                drop_dead_connections()  # There may have been nothing to do for hours.
                self.do(kind, items)
            except Exception:
                logger.exception(self.failed, count=len(items))
                connections.close_all()
            finally:
                with self._lock:
                    self._waiting -= len(items)
