"""The worker's side of sandboxes that serve the rows of a series, one after another.

Rows of a batch run the same version for the same person under the same limits. To build a sandbox
for each takes longer than most of them run, so a sandbox that has served one row serves the next
(``rows.py`` is its inside). It is used by one row at a time and for one series only, and ends with
the first row that does not end by itself.
"""

from __future__ import annotations

import functools
import json
import marshal
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from pydantic import JsonValue

from executors.contract import ExecutionRequest, StopReason, Usage
from executors.script.identity import Identity
from executors.script.process import Ending
from executors.script.resource import ScriptResource
from executors.script.run_folder import Room
from executors.script.sandbox import landlock
from executors.script.sandbox.probe import MARSHAL_VERSION
from executors.script.stage import KILL_PATIENCE_S
from executors.script.start import Channels, Launch, Starter, write_all
from executors.script.warm.pool import RETRY_AFTER_S, OrderedStart
from executors.script.warm.process import NoZygote
from executors.script.warm.rows import PREPARED, UNPREPARED

MOST_ROWS = 200
MOST_WAITING = 16
"""So many of one worker wait for rows. Each takes memory, and a place of its zygote's."""
LASTS_S = 3600.0
"""A sandbox ends after so long, whatever it does, and takes no further row after half of it."""
LONGEST_ROW_S = LASTS_S / 2
IDLE_S = 2.0
"""So long without a row it is kept."""
MOST_NOTED = 100
REPORT_BYTES = 4096
LAST_WORDS_S = 0.5


@functools.cache
def has_series_sandboxes() -> bool:
    """Return whether this kernel keeps rows from reaching the process that serves them."""
    try:
        return landlock.version() >= landlock.SCOPED
    except OSError:
        return False


def series_of(request: ExecutionRequest, resource: ScriptResource) -> Hashable:
    """Return what a run has in common with those it may share a sandbox with; None: with none."""
    needs_its_own = request.network or request.input_files
    if not request.series or needs_its_own or request.limits.timeout_s > LONGEST_ROW_S:
        return None
    return request.tenant, request.series, resource.model_dump_json(), request.limits


class SeriesSandbox:
    """One sandbox, from its order to its end. Rows are sent into it before it is known to stand."""

    def __init__(
        self,
        launch: Launch,
        starter: Starter,
        resources: ExitStack,
        identity: Identity | None,
    ) -> None:
        """starter: gives a zygote the order; what it takes over for standard output is what rows
        come through. resources: closed at its end. Raises NoZygote."""
        self.launch = launch
        self.identity = identity
        self.served = 0
        self.is_good = True
        """Whether it can serve another row; not so once one did not end by itself."""
        self.opened_at = self.used_at = self.row_began_at = time.monotonic()
        self._resources = resources
        self._starter = starter
        self._told: list[str] = []
        """How it ended, as its zygote says, once that was asked for."""
        self._own = ExitStack()
        """What is ours of its channels."""
        try:
            self._open()
        except OSError as error:
            self.close()
            raise NoZygote(str(error)) from error

    def _open(self) -> None:
        with ExitStack() as theirs:
            commands, ours = os.pipe()
            theirs.callback(os.close, commands)
            self._commands = self._own.enter_context(os.fdopen(ours, "wb", buffering=0))
            self._reports, report = map(self._own.enter_context, socket.socketpair())
            self.rows, rows = map(
                self._own.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            )
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            theirs.pop_all()  # From here on they are closed by whoever starts it.
            self._starter.start(Channels(commands, report.detach(), rows.detach(), null), ours)

    def row(self, env: Mapping[str, str], inputs: Mapping[str, JsonValue]) -> RowStart:
        """Return what starts a row in it. env: of the script, for a run of its own."""
        self.row_began_at = time.monotonic()
        known = self.launch.env
        own = {name: env[name] for name in env if env[name] != known.get(name)}
        return RowStart(self, own, json.dumps(inputs, ensure_ascii=False).encode())

    def heard_of(self, ending: Ending) -> Ending:
        """Take note of how a row ended; return it with what the zygote knows of it."""
        if ending.stop_reason is not StopReason.EXITED or ending.left:
            self.is_good = False
        is_cut_off = ending.stop_reason is StopReason.KILLED and ending.exit_code is None
        reason, *numbers = (self._told or self._last_words(LAST_WORDS_S)) if is_cut_off else [""]
        if reason != "memory_limit":
            return ending
        # The process that would have told how long the row took ended with it.
        wall_s = time.monotonic() - self.row_began_at
        usage = Usage(wall_s=wall_s, peak_memory_bytes=int(numbers[-1]))
        return Ending(StopReason.MEMORY_LIMIT, -signal.SIGKILL, usage=usage)

    def end(self) -> None:
        """Let its zygote end it, and wait for that; end the zygote if it does not."""
        self.is_good = False
        self._commands.close()
        self._told = self._last_words(KILL_PATIENCE_S)
        self._starter.end(Room(), self._reports.fileno(), reported=self._told != [""])

    def may_serve(self) -> bool:
        age_s = time.monotonic() - self.opened_at
        return self.is_good and self.served < MOST_ROWS and age_s < LASTS_S - LONGEST_ROW_S

    def _last_words(self, patience_s: float) -> list[str]:
        """Return why the zygote has ended it, and numbers, as a report has them; [""] when it has
        not."""
        data = b""
        with suppress(OSError):
            self._reports.settimeout(patience_s)
            while piece := self._reports.recv(REPORT_BYTES):
                data += piece
        return data.decode("utf-8", "replace").strip().split(" ")

    def close(self) -> None:
        """Let its zygote end it."""
        self.forget()
        self._resources.close()

    def forget(self) -> None:
        """Close our ends only."""
        self.is_good = False
        self._own.close()


class SeriesSandboxes:
    """Those that wait for another row of their series. Safe to use from several threads."""

    def __init__(self, *, is_open: bool = True) -> None:
        """is_open: whether there are to be any."""
        self._is_open = is_open
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, list[SeriesSandbox]] = {}
        self._failed_at: dict[Hashable, float] = {}
        """When no sandbox of a series came to serve even one row."""
        self._unprepared: dict[Hashable, None] = {}
        """Of which series a prepared sandbox did not; the longest ago comes first."""
        self._asked_at: dict[Hashable, float] = {}
        """When a row of a series was last asked for; the longest ago comes first."""
        self._sweeper: threading.Timer | None = None
        self._of_parent: list[SeriesSandbox] = []
        """Kept, since what they hold must not be given back by us."""
        _pools.add(self)

    def is_worth(self, series: Hashable, others_follow: bool) -> bool:
        """Return whether a run should have a sandbox of series: one of its own serves a single run
        sooner. series: None for no series."""
        if series is None or not self._is_open or not has_series_sandboxes():
            return False
        now = time.monotonic()
        with self._lock:
            before = self._asked_at.get(series, -IDLE_S)
            note(self._asked_at, series, now)
        return others_follow or now - before < IDLE_S

    @contextmanager
    def use(
        self, series: Hashable, make: Callable[[str], SeriesSandbox]
    ) -> Iterator[SeriesSandbox]:
        """Yield a sandbox for one row of series. make: gets PREPARED or UNPREPARED, see
        ``rows.py``. Raises what make does."""
        with self._lock:
            if time.monotonic() - self._failed_at.get(series, -RETRY_AFTER_S) < RETRY_AFTER_S:
                raise NoZygote("rows of this series could not be served a short time ago")
            waiting = self._waiting.get(series)
            sandbox = waiting.pop() if waiting else None
            how = UNPREPARED if series in self._unprepared else PREPARED
        try:
            sandbox = sandbox or make(how)
        except NoZygote:
            self._note_failure(series)
            raise
        try:
            yield sandbox
        except BaseException:
            sandbox.is_good = False
            if not sandbox.served:
                self._note_failure(series, how)
            raise
        finally:
            sandbox.served += 1
            sandbox.used_at = time.monotonic()
            self._give_back(series, sandbox)

    def _note_failure(self, series: Hashable, how: str = UNPREPARED) -> None:
        with self._lock:
            if how == PREPARED:
                note(self._unprepared, series, None)
                return
            note(self._failed_at, series, time.monotonic())

    def close(self) -> None:
        """End all that wait."""
        self._end_those_unused_since(time.monotonic() + 1)

    def end_oldest(self) -> bool:
        """End the one that has waited for the longest time. Returns whether there was any."""
        with self._lock:
            every = [waiting for waiting in self._waiting.values() if waiting]
            if not every:
                return False
            # Each list begins with the one that has waited for longest.
            sandbox = min(every, key=lambda waiting: waiting[0].used_at).pop(0)
        sandbox.close()
        return True

    def forget(self) -> None:
        """In a process forked from the worker: let go of sandboxes, which are the worker's."""
        for waiting in self._waiting.values():
            for sandbox in waiting:
                sandbox.forget()
            self._of_parent += waiting
        self._lock = threading.Lock()
        self._waiting, self._sweeper = {}, None

    def _give_back(self, series: Hashable, sandbox: SeriesSandbox) -> None:
        if not sandbox.may_serve():
            sandbox.close()
            return
        with self._lock:
            self._waiting.setdefault(series, []).append(sandbox)
            if self._sweeper is None:
                self._start_sweeper()
            count = sum(map(len, self._waiting.values()))
        if count > MOST_WAITING:
            self.end_oldest()

    def _start_sweeper(self) -> None:
        self._sweeper = threading.Timer(IDLE_S / 2, self._sweep)
        self._sweeper.daemon = True
        self._sweeper.start()

    def _sweep(self) -> None:
        try:
            self._end_those_unused_since(time.monotonic() - IDLE_S)
        finally:
            with self._lock:
                self._sweeper = None
                if self._waiting:
                    self._start_sweeper()

    def _end_those_unused_since(self, moment: float) -> None:
        with self._lock:
            ending = []
            for series, waiting in list(self._waiting.items()):
                ending += [each for each in waiting if each.used_at <= moment]
                waiting[:] = [each for each in waiting if each.used_at > moment]
                if not waiting:
                    del self._waiting[series]
        with ExitStack() as closing:  # Each, whatever becomes of the others.
            for sandbox in ending:
                closing.callback(sandbox.close)


def note(notes: dict[Hashable, Any], series: Hashable, value: object) -> None:
    """Keep value of series, and of others those that were kept last."""
    notes.pop(series, None)
    notes[series] = value
    if len(notes) > MOST_NOTED:
        del notes[next(iter(notes))]


class RowStart(OrderedStart):
    """Lets a sandbox of the row's series run it."""

    def __init__(self, sandbox: SeriesSandbox, env: dict[str, str], inputs: bytes) -> None:
        """env: what the row has beside the sandbox. inputs: what its input file is to hold."""
        super().__init__(sandbox.launch)
        self._sandbox = sandbox
        self._env = env
        self._inputs = inputs

    def start(self, theirs: Channels, commands: int) -> None:
        try:
            order = self.write_order(marshal.dumps(self._env, MARSHAL_VERSION))
            size = os.fstat(order).st_size
            write_all(order, self._inputs)
            socket.send_fds(self._sandbox.rows, [b"%d" % size], [order, *theirs.all()])
        except OSError:
            self._sandbox.is_good = False
            raise
        finally:
            theirs.close()

    def take_back(self) -> bool:
        self._sandbox.is_good = False
        return super().take_back()

    def kill_guard(self, room: Room) -> None:
        """End the sandbox. Not by what it named as its process: the code of packages runs in it,
        and it has the means to name the worker."""
        if room.is_taken:  # Else the order was taken back.
            self._sandbox.end()


_pools: weakref.WeakSet[SeriesSandboxes] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)
