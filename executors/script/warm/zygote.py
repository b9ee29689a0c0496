"""The zygote's process: a loop that takes runs from one worker and watches all it forked.

Started as ``python -I -S -B`` with next to no environment. It has one thread and speaks to the
worker over one socket that keeps messages apart: each is the head of an order with the descriptors
of its run. It ends when the socket does and no run is left, or by itself after some idle time. The
kernel ends every run with it.
"""

from __future__ import annotations

import gc
import marshal
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import Any

from executors.script.sandbox.kernel import LIBC, PR_SET_DUMPABLE, prctl
from executors.script.sandbox.privileges import empty_bounding_set
from executors.script.sandbox.seccomp import build_filter, program_of
from executors.script.warm.interpreter import WarmInterpreter
from executors.script.warm.messages import close_all, refuse
from executors.script.warm.pages import Ranges, pages_written_by
from executors.script.warm.run import WarmRun
from executors.script.warm.world import HelperGone, World, become_first

READY = b"ready"
HEAD_BYTES = 64 * 1024
SETTINGS_BYTES = 256 * 1024
MOST_DESCRIPTORS = 16


class Zygote:
    def __init__(
        self,
        control: socket.socket,
        world: World,
        interpreter: WarmInterpreter | None,
        settings: dict[str, Any],
    ) -> None:
        """control: from the worker. interpreter: None where every run starts a program. settings:
        ``idle_s``, how long to wait for the next run; ``spare_s``, how long to keep it prepared
        meanwhile."""
        self.control = control
        self.world = world
        self.interpreter = interpreter
        self.idle_s = settings["idle_s"]
        self.spare_s = settings["spare_s"]
        self.rests = False
        """Whether no run came for so long that none is prepared: that takes memory."""
        self.spare: WarmRun | None = None
        self.pages: Ranges | None = None
        """What a run writes to; looked for when the first has ended."""
        self.may_prepare = True
        """False when the last spare ended at once; then the next run tells the reason."""
        self.runs: set[WarmRun] = set()
        self.stuck: set[WarmRun] = set()
        """Those that were reported, though not all of them has ended. They keep their locks."""
        self.heard: set[tuple[WarmRun, int]] = set()
        """What of runs is listened to."""
        self.poll = select.poll()
        self.poll.register(control.fileno(), select.POLLIN)
        self.is_open = True

    def serve(self) -> None:
        idle_since = time.monotonic()
        while self.is_open or self.runs or self.stuck:
            now = time.monotonic()
            if self.runs:
                due, idle_since = min(run.next_look() for run in self.runs), now
            elif self.stuck:
                due = now + self.idle_s
            else:
                due = idle_since + self.idle_s
                if now >= due:
                    return
                if self.spare is not None and now >= idle_since + self.spare_s:
                    self.drop_spare()
                    self.rests = True
                elif self.spare is not None:
                    due = min(due, idle_since + self.spare_s)
            prepares = self.wants_spare()
            events = self.poll.poll(0 if prepares else max(0.0, due - now) * 1000 + 1)
            if prepares and not events:
                self.keep_spare()
            else:
                self.handle({descriptor for descriptor, _ in events})

    def handle(self, ready: set[int]) -> None:
        now = time.monotonic()
        if self.spare is not None and self.spare.script in ready:
            self.drop_spare()
            self.may_prepare = False
        for run in [*self.runs, *self.stuck]:
            if run.script in ready:
                self.stop_listening(run, run.script)
                run.hear()
        for run in list(self.stuck):
            if run.guard.descriptor in ready:
                self.end(run)
        for run in list(self.runs):
            if run.guard.descriptor in ready or run.is_stuck(now):
                self.end(run)
                continue
            if run.is_reported or run.is_over():
                self.stop_listening(run, run.order_fd)
            else:
                run.look(now, told=run.order_fd in ready)
                if run.reason:
                    self.stop_listening(run, run.order_fd)
        if self.is_open and self.control.fileno() in ready:
            self.take()

    def take(self) -> None:
        """Take one run from the worker.

        Should that not be possible, the worker sees the run's channels end, and starts it cold.
        """
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self.control, HEAD_BYTES, MOST_DESCRIPTORS
            )
        except ConnectionResetError:
            data, descriptors, flags = b"", [], 0
        if not data:
            self.leave()
            return
        if flags & socket.MSG_CTRUNC:
            # We have too many files open.
            close_all(tuple(descriptors))
            return
        self.may_prepare, self.rests = True, False
        head = marshal.loads(data)  # noqa: S302 - from our own worker
        run = self.spare or WarmRun(self.world, self.interpreter)
        if run is self.spare:
            self.spare = None
        else:
            try:
                run.prepare()
            except HelperGone:
                close_all(tuple(descriptors))
                self.leave()
                return
            except OSError as error:
                refuse(descriptors, error)
                return
            self.listen(run, run.script)
        try:
            run.hand_over(head, descriptors)
        except OSError:
            self.stop_listening(run, run.script)
            run.abandon()
            close_all(tuple(descriptors))
            return
        self.runs.add(run)
        self.listen(run, run.order_fd)
        self.listen(run, run.guard.descriptor)

    def leave(self) -> None:
        """Take no more runs; those there are go on to their end."""
        self.is_open = False
        self.poll.unregister(self.control.fileno())
        self.control.close()

    def wants_spare(self) -> bool:
        return self.spare is None and not self.rests and self.is_open and self.may_prepare

    def keep_spare(self) -> None:
        """Prepare the next run, so that it need not wait for what can be done before."""
        spare = WarmRun(self.world, self.interpreter)
        spare.pages = self.pages or []
        try:
            spare.prepare()
        except HelperGone:
            self.leave()
            return
        except OSError:
            self.may_prepare = False
            return
        self.spare = spare
        self.listen(spare, spare.script)

    def drop_spare(self) -> None:
        if self.spare is not None:
            self.stop_listening(self.spare, self.spare.script)
            self.spare.abandon()
            self.spare = None

    def end(self, run: WarmRun) -> None:
        """End a run whose guard has ended, or does not."""
        self.stop_listening(run, run.order_fd)
        script, guard = run.script, run.guard.descriptor
        self.runs.discard(run)
        if run.end():
            self.stuck.discard(run)
            self.stop_listening(run, script)
            self.stop_listening(run, guard)
        else:
            if run.is_over():
                self.stop_listening(run, script)
            run.kill()
            self.stuck.add(run)
        if self.pages is None and not self.runs and self.interpreter is not None:
            try:
                self.pages = pages_written_by(self.interpreter.rehearse_run)
            except OSError:  # No process for it, or a kernel that does not tell.
                self.pages = []

    def listen(self, run: WarmRun, descriptor: int) -> None:
        self.poll.register(descriptor, select.POLLIN)
        self.heard.add((run, descriptor))

    def stop_listening(self, run: WarmRun, descriptor: int) -> None:
        if (run, descriptor) in self.heard:
            self.heard.discard((run, descriptor))
            self.poll.unregister(descriptor)


def raise_file_limit() -> None:
    """Every run takes some files."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(control_fd: int) -> None:
    control = socket.socket(fileno=control_fd)
    os.set_inheritable(control_fd, False)
    sys.pycache_prefix, sys.dont_write_bytecode = None, True
    settings = marshal.loads(control.recv(SETTINGS_BYTES))  # noqa: S302 - from our own worker
    become_first(control)
    world = World(settings["frame"], keeps_networks=settings["keeps_networks"])
    interpreter = None
    if settings["preloaded"] is not None:
        interpreter = WarmInterpreter(settings["code"], settings["preloaded"])
    program_of(build_filter())
    if os.geteuid() == 0:
        empty_bounding_set()  # For all children; we start no program.
    raise_file_limit()
    # A script of the same user could otherwise reach our descriptors through /proc.
    prctl(PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null = os.open("/dev/null", os.O_RDWR)
    control.send(READY)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.close(null)
    if interpreter is not None:
        interpreter.get_ready()
    # What is here now is never looked at again, so that children share its pages for good.
    gc.collect()
    gc.freeze()
    LIBC.malloc_trim(0)
    Zygote(control, world, interpreter, settings).serve()
