"""The worker's side of warm starts: which zygotes there are, and how a run gets one.

A zygote serves one tenant and one interpreter: the runs it forks share its hash seed and the layout
of its memory. Whatever is wrong with a zygote, the run can still start cold.
"""

from __future__ import annotations

import logging
import marshal
import os
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.script.run_folder import Room
from executors.script.sandbox.probe import MARSHAL_VERSION
from executors.script.sandbox.view import FRAME
from executors.script.stage import KILL_PATIENCE_S
from executors.script.start import (
    Channels,
    Launch,
    Starter,
    ends_in_time,
    last_words,
    write_all,
)
from executors.script.warm.claim import claim
from executors.script.warm.process import CODE, SEND_PATIENCE_S, NoZygote, Zygote, start_zygote

RETRY_AFTER_S = 60
MOST_ZYGOTES = 8
MOST_RUNS = 500
IDLE_S = 300
SPARE_S = 15
GROWTH_BYTES = 32 * 1024 * 1024
SHARED = ("given", "memory_group")
"""The parts of a plan that the zygote sees to. They name places of the machine, which a run's
process does not see."""

logger = logging.getLogger(__name__)


class AllBusy(NoZygote):
    """There would be one, were not all there may be in use."""


@dataclass(frozen=True)
class Wanted:
    """Which zygote a run needs."""

    tenant: str
    python: Path
    """The interpreter that the zygote is."""
    environment: Path | None
    """The script's interpreter, that of an environment or the same."""
    preloaded: tuple[str, ...] | None
    """Modules it has imported; None for one that only starts programs, which is nobody's own."""
    has_network: bool
    """Whether its runs may use the network."""


@dataclass(frozen=True)
class Recycling:
    """When a zygote has to go. Limits of one worker process."""

    most_zygotes: int = MOST_ZYGOTES
    most_runs: int = MOST_RUNS
    idle_s: float = IDLE_S
    spare_s: float = SPARE_S
    """So long without a run it keeps the next one prepared, which takes twice its own memory."""
    growth_bytes: int = GROWTH_BYTES


class Zygotes:
    """The zygotes of one worker process. Safe to use from several threads."""

    def __init__(self, recycling: Recycling | None = None, *, compiled: Path | None = None) -> None:
        """compiled: where the compiled form of a zygote's code is kept; None for nowhere."""
        self._compiled = compiled
        self._recycling = recycling or Recycling()
        self._lock = threading.Lock()
        """Held for moments only; nothing is waited for under it."""
        self._zygotes: dict[Wanted, Zygote] = {}
        self._starting: dict[Wanted, threading.Event] = {}
        self._leaving: list[Zygote] = []
        self._failed_at: dict[Path, float] = {}
        _pools.add(self)

    @contextmanager
    def use(
        self, wanted: Wanted, frame: dict[str, Any], free: Callable[[], bool] = lambda: False
    ) -> Iterator[Zygote]:
        """Yield a zygote. Raises NoZygote.

        frame: what its runs' views have in common, see ``view.build_frame``. free: ends something
        that keeps a zygote and does nothing, and returns whether there was any.
        """
        while True:
            try:
                zygote = self._get(wanted, frame)
                break
            except AllBusy:
                if not free():
                    raise
        try:
            yield zygote
        finally:
            with self._lock:
                zygote.active -= 1
                zygote.used_at = time.monotonic()
                if zygote in self._leaving and not zygote.active:
                    zygote.close()

    def drop(self, zygote: Zygote) -> None:
        """End a zygote that does not do its work, and every run it has."""
        with self._lock:
            for wanted, known in list(self._zygotes.items()):
                if known is zygote:
                    self._retire(wanted)
        zygote.process.kill()

    def close(self) -> None:
        """End all zygotes that have no run."""
        with self._lock:
            for wanted in list(self._zygotes):
                self._retire(wanted)
            for zygote in self._leaving:
                if not zygote.active:
                    zygote.process.end(SEND_PATIENCE_S)
            self._reap()

    def processes(self) -> list[int]:
        """Return the ids of the zygotes that take runs."""
        return [zygote.process.pid for zygote in self._zygotes.values()]

    def forget(self) -> None:
        """In a process forked from the worker: let go of zygotes, which are the worker's."""
        for zygote in (*self._zygotes.values(), *self._leaving):
            zygote.process.is_ours = False
            zygote.close()
        self._lock = threading.Lock()
        self._zygotes, self._starting, self._leaving = {}, {}, []

    def _get(self, wanted: Wanted, frame: dict[str, Any]) -> Zygote:
        """Return a zygote, with one more active run. Raises NoZygote."""
        identity = _identity_of(wanted.python, wanted.environment)
        while True:
            with self._lock:
                zygote = self._find(wanted, identity, frame)
                if zygote is not None:
                    return self._take(wanted, zygote)
                other = self._starting.get(wanted)
                if other is None:
                    self._check_may_start(wanted)
                    started = self._starting[wanted] = threading.Event()
            if other is not None:
                # Another thread starts it. Runs of other tenants do not wait for that.
                other.wait()
                continue
            try:
                zygote = self._start(wanted, identity, frame)
                with self._lock:
                    return self._take(wanted, zygote)
            finally:
                with self._lock:
                    self._starting.pop(wanted, None)
                started.set()

    def _find(
        self, wanted: Wanted, identity: tuple[int, ...], frame: dict[str, Any]
    ) -> Zygote | None:
        self._reap()
        zygote = self._zygotes.get(wanted)
        if zygote is None:
            return None
        if zygote.process.has_ended():
            logger.warning("A zygote ended: %s.", last_words(zygote.errors))
        if not self._is_fit(zygote, identity, frame):
            self._retire(wanted)
            return None
        return zygote

    def _take(self, wanted: Wanted, zygote: Zygote) -> Zygote:
        # The order of the dictionary is the order of use.
        self._zygotes.pop(wanted, None)
        self._zygotes[wanted] = zygote
        zygote.active += 1
        zygote.served += 1
        return zygote

    def _check_may_start(self, wanted: Wanted) -> None:
        if time.monotonic() - self._failed_at.get(wanted.python, -RETRY_AFTER_S) < RETRY_AFTER_S:
            raise NoZygote("it did not start a short time ago")
        self._make_place()

    def _is_fit(self, zygote: Zygote, python: tuple[int, ...], frame: dict[str, Any]) -> bool:
        recycling = self._recycling
        return (
            not zygote.process.has_ended()
            and zygote.python == python
            and zygote.frame == frame
            and zygote.served < recycling.most_runs
            and (zygote.active > 0 or time.monotonic() - zygote.used_at < recycling.idle_s)
            and 0 < zygote.resident_bytes() <= zygote.first_bytes + recycling.growth_bytes
        )

    def _make_place(self) -> None:
        if len(self._zygotes) + len(self._starting) < self._recycling.most_zygotes:
            return
        for wanted, zygote in self._zygotes.items():
            if not zygote.active:
                self._retire(wanted)
                return
        raise AllBusy("all there may be have runs of others")

    def _retire(self, wanted: Wanted) -> None:
        zygote = self._zygotes.pop(wanted)
        self._leaving.append(zygote)
        # Not under a thread that is about to send: the number could be another socket's by then.
        if not zygote.active:
            zygote.close()

    def _reap(self) -> None:
        self._leaving = [gone for gone in self._leaving if not gone.process.has_ended()]

    def _start(self, wanted: Wanted, identity: tuple[int, ...], frame: dict[str, Any]) -> Zygote:
        python = wanted.python
        settings = {
            "code": str(CODE),
            "frame": frame,
            "idle_s": self._recycling.idle_s,
            "spare_s": self._recycling.spare_s,
            "preloaded": wanted.preloaded,
            # Not from tenant to tenant: that a label of IPv6 was taken shows for some seconds.
            "keeps_networks": bool(wanted.tenant) and not wanted.has_network,
        }
        try:
            zygote = start_zygote(python, identity, settings, self._compiled)
        except (OSError, NoZygote, subprocess.TimeoutExpired) as error:
            self._failed_at[python] = time.monotonic()
            raise NoZygote(str(error)) from error
        self._failed_at.pop(python, None)
        zygote.first_bytes = zygote.resident_bytes()
        return zygote


class OrderedStart(Starter):
    """Gives its order in a file that can be taken back until the run claims it."""

    can_be_lost = True

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        self._order = -1

    def write_order(self, order: bytes) -> int:
        """Return order as an open file, which only the script's process is to read."""
        self._order = os.memfd_create("order", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        write_all(self._order, order)
        return self._order

    def take_back(self) -> bool:
        return self._order < 0 or claim(self._order)

    def forget(self) -> None:
        """Close the order."""
        if self._order >= 0:
            os.close(self._order)
            self._order = -1

    def end(self, room: Room, report: int, *, reported: bool) -> None:
        self.forget()
        super().end(room, report, reported=reported)


class WarmStart(OrderedStart):
    """Lets a zygote make the run, which takes the place of the stage."""

    def __init__(
        self, launch: Launch, python: dict[str, Any] | None, pool: Zygotes, zygote: Zygote, *,
        rows: str = "", rows_for_s: float | None = None,
    ) -> None:  # fmt: skip
        """python: see ``as_told``. rows: how it serves rows, see ``rows.py``, and for how long,
        each with the time limit; not for a single run."""
        super().__init__(launch)
        self._python = python
        self._pool = pool
        self._zygote = zygote
        self._rows = rows
        self._rows_for_s = rows_for_s

    def start(self, theirs: Channels, commands: int) -> None:
        try:
            launch = self._launch
            plan = launch.sandbox or {}
            own = {name: part for name, part in plan.items() if name not in FRAME}
            shared = {name: own[name] for name in SHARED if name in own}
            order = launch.order(python=self._python, sandbox=own, rows=self._rows)
            order_file = self.write_order(order)
            # What the zygote itself may know is in the message.
            limits = {**launch.limits, "timeout_s": self._rows_for_s or launch.limits["timeout_s"]}
            head = {
                "limits": limits,
                "uid": launch.uid,
                "gid": launch.gid,
                "rows": self._rows,
                "sandbox": shared,
            }
            socket.send_fds(
                self._zygote.control,
                [marshal.dumps(head, MARSHAL_VERSION)],
                [order_file, *theirs.all(), *launch.held],
            )
        finally:
            theirs.close()

    def end(self, room: Room, report: int, *, reported: bool) -> None:
        if not reported and not ends_in_time(report, KILL_PATIENCE_S + 5):
            # It lives and does not answer. With it end the runs of others, but they would hang too.
            self._pool.drop(self._zygote)
        super().end(room, report, reported=reported)


def as_told(python: Path | None, *, has_environment: bool) -> dict[str, Any] | None:
    """Return what a run is told of its interpreter. python: what the script shall take for it; None
    for a shell."""
    if python is None:
        return None
    return {"executable": str(python), "has_environment": has_environment}


def _identity_of(python: Path, environment: Path | None) -> tuple[int, ...]:
    """Return what changes when an interpreter or the folder of its environment is replaced: the
    frame of a zygote's views holds the folder it found. Raises NoZygote."""
    try:
        found = python.stat()
        folder = (environment or python).parent.parent.stat()
    except OSError as error:
        raise NoZygote(f"the interpreter is gone: {error.strerror}") from error
    return (
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, folder.st_dev, folder.st_ino,
    )  # fmt: skip


_pools: weakref.WeakSet[Zygotes] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)
