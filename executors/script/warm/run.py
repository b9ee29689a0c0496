"""One run of a zygote. It does what a stage does at a cold start, but never waits: others run, too.

Process 1 of the run is a guard that only lives (``world.py``). The script's process is forked
beside it before the run is ordered, does what is the same for every run, and waits. Then it builds
its own view, gives up all rights, and becomes the script. Each such pair serves one run.
"""

# Whatever goes wrong must be reported:
# ruff: noqa: BLE001

from __future__ import annotations

import gc
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from executors.script.network.listener import open_listener
from executors.script.sandbox.kernel import PR_SET_DUMPABLE, prctl
from executors.script.sandbox.lockdown import lock_down
from executors.script.sandbox.stage import SandboxStage
from executors.script.sandbox.view import complete_view, copy_tree
from executors.script.stage import (
    KILL_PATIENCE_S,
    SANDBOX_FAILED,
    START_FAILED,
    TICK_S,
    keep_open,
)
from executors.script.tree import descendants, session_of
from executors.script.warm.claim import claim
from executors.script.warm.interpreter import keep_for_good
from executors.script.warm.messages import (
    answer_worker,
    close_all,
    read_if_any,
    read_order,
    receive,
)
from executors.script.warm.pages import copy_when_idle
from executors.script.warm.rows import INPUT, INPUT_FILES, OWN_PROCESSES, PREPARED, Rows

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from executors.script.warm.interpreter import WarmInterpreter
    from executors.script.warm.pages import Ranges
    from executors.script.warm.world import Guard, World
else:
    import _signal as signal  # Without enumerations, whose pages each run would have copied.

GUARD_IN_NAMESPACE = 1
"""The guard counts for an ordinary user's limit; the zygote is outside."""
MOST_LOOKS_UNSTARTED = 4
"""A row starts within a millisecond, on a machine that is at its limit within some looks."""


class ScriptProcess(BaseException):
    """Carries the process that is to be a script up to where no frame of ours is above it: a script
    can look at all of those."""

    def __init__(self, run: WarmRun, door: socket.socket) -> None:
        self.run = run
        self.door = door

    def become_script(self) -> tuple[Callable[[], None], Callable[[BaseException | None], None]]:
        """Wait for the order; return the script, and what to call when it has ended, with what it
        raised."""
        # Freed nowhere, with all frames below: each thing freed has its page copied, and what the
        # zygote closed then would be files of the script.
        keep_for_good(self)
        return self.run.be_script(self.door)


class WarmRun(SandboxStage):
    """One run. ``prepare`` and ``hand_over``, then ``look`` now and then, ``hear`` when ``script``
    has ended, and ``end`` when the guard has."""

    guard: Guard

    def __init__(self, world: World, interpreter: WarmInterpreter | None) -> None:
        """interpreter: None where every run starts a program."""
        super().__init__({"limits": {}}, -1, -1, -1, -1)
        self.pid = -1
        self.world = world
        self.interpreter = interpreter
        self.reason = ""
        self.script = -1
        """The script's process as a descriptor; -1 after its end."""
        self.held: list[int] = []
        self.cpu_s = 0.0
        self.is_reported = False
        self.problem_reader = self.problem_writer = -1
        self.unstarted = self.looks_at_unstarted = 0
        """The last process seen that may be about to be a row's, and how often."""
        self.pages: Ranges = []
        """What to copy while it waits for its order."""

    def prepare(self) -> None:
        """Fork the script's process. Raises OSError, and in that process ScriptProcess."""
        self.is_bounded = os.geteuid() == 0
        self.door, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.guard = self.world.make_guard()
        except OSError:
            self.door.close()
            inner.close()
            raise
        try:
            self.problem_reader, self.problem_writer = os.pipe()
            os.set_blocking(self.problem_reader, False)
            self.pid = self.world.fork_beside(self.guard)
            if self.pid == 0:
                raise ScriptProcess(self, self.enter(inner))
            self.script = os.pidfd_open(self.pid)
        except OSError:
            self.guard.kill()
            if self.pid > 0:
                os.waitpid(self.pid, 0)
            self.door.close()
            self.close()
            raise
        finally:
            if self.pid:
                close_all((self.problem_writer,))
                inner.close()

    def hand_over(self, head: dict[str, Any], descriptors: list[int]) -> None:
        """Give it its run, and take over descriptors. head: the part of the order for the zygote.

        Raises OSError, for instance when its process has ended; then it has taken over nothing, and
        can only be abandoned.
        """
        order_file, order_fd, report_fd, out, err, *held = descriptors
        self.order, self.limits = head, head["limits"]
        trees: list[int] = []
        try:
            for source, _ in head["sandbox"]["given"]:
                trees.append(copy_tree(source))
            self.join_memory_group(self.pid)
            socket.send_fds(self.door, [b"o"], [order_file, report_fd, out, err, *trees])
        finally:
            close_all(tuple(trees))
        self.order_fd, self.report_fd, self.held = order_fd, report_fd, held
        self.looked = self.started = time.monotonic()
        self.deadline = self.started + self.limits["timeout_s"]
        self.door.close()
        close_all((order_file, out, err))

    def enter(self, door: socket.socket) -> socket.socket:
        """Get to where the script will be; return door."""
        try:
            self.door.detach()  # The zygote's end. Its number is going to be another file's.
            # The channels of other runs are here, too, and must not stay open because of us.
            of_machine = self.world.settings, self.world.load
            keep_open(door.fileno(), self.problem_writer, self.guard.descriptor, *of_machine)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.umask(0o022)
            self.guard.enter()
        except BaseException as error:
            self.fail(error)
        return door

    def be_script(
        self, door: socket.socket
    ) -> tuple[Callable[[], None], Callable[[BaseException | None], None]]:
        """Wait for the order, build the view, then give up all rights.

        Returns what ``ScriptProcess.become_script`` does. A program takes over the process at once.
        """
        interpreter = self.interpreter
        try:
            if self.pages:
                copy_when_idle(self.pages, door.fileno(), self.world.load)
            order_file, self.report_fd, self.out_fd, self.err_fd, *trees = receive(door)
            door.close()
            self.order = read_order(order_file)
            self.limits = self.order["limits"]
            os.dup2(self.out_fd, 1)
            os.dup2(self.err_fd, 2)
            plan = self.order["sandbox"]
            if self.order["rows"]:
                plan["room_files"] += INPUT_FILES
                plan["inputs_at"] = INPUT
            complete_view("", plan, trees, *self.owner())
            self.listen_for_gate(plan)
            if not self.order["rows"]:
                self.hand_out_room()
            if not claim(order_file):
                raise OSError(0, "the worker has taken the order back")
            if interpreter is not None:
                interpreter.start_afresh(self.order)
        except BaseException as error:
            self.fail(error)
        if interpreter is None:
            self.become_script(self.problem_writer)
        problem_fd = self.give_up_all(self.problem_writer)
        os.close(problem_fd)
        rows = Rows(self) if self.order["rows"] else None
        if rows is not None and self.order["rows"] == PREPARED:
            rows.prepare(interpreter)
        gc.freeze()  # What is here by now is not looked at when the script's modules go.
        if rows is not None:
            interpreter.set_variables(rows.serve())
        # The change of user has taken this away; a program that was started anew has it.
        prctl(PR_SET_DUMPABLE, 1)
        return interpreter.become_script(self.order)

    def fail(self, error: BaseException) -> None:
        """End the script's process. Never returns."""
        os.write(self.problem_writer, f"{SANDBOX_FAILED}{error}"[:2000].encode())
        os._exit(START_FAILED)

    def open_guard(self) -> int:
        return os.dup(self.guard.descriptor)

    def listen_for_gate(self, plan: dict[str, Any]) -> None:
        if plan["network"]:
            # Those of the network are the caller's, whoever opened the folder.
            self.listener = open_listener(self.world.settings)

    def drop_rights(self) -> None:
        order = self.order
        lock_down(order["sandbox"]["rules"], order["uid"], order["gid"], is_bounded=self.is_bounded)

    def other_processes(self) -> int:
        others = OWN_PROCESSES if self.order["rows"] else 0
        return others + (GUARD_IN_NAMESPACE if self.order["uid"] is None else 0)

    def look(self, now: float, *, told: bool) -> None:
        """End the run if it has to. told: whether the worker says so, or is gone."""
        if self.reason:
            return
        if told:
            self.reason = "told" if os.read(self.order_fd, 1) else "worker_gone"
        elif now >= self.deadline:
            self.reason = "time_limit"
        elif now - self.looked >= TICK_S:
            self.looked = now
            if self.memory_exceeded():
                self.reason = "memory_limit"
        if self.reason:
            self.deadline = now + KILL_PATIENCE_S
            self.kill()

    def bytes_of_all(self, pids: list[int]) -> int:
        if not self.order["rows"] or self.order["uid"] is not None:
            return super().bytes_of_all(pids)
        # An ordinary user cannot see how much of the process that serves rows is shared. It is
        # about all, since rows are forked from it; so it is counted as one of those that share it.
        serving = self.resident_bytes(self.pid)
        if self.is_row_unstarted(pids):  # It hides as well, and shares what it was forked with.
            return max(serving, self.resident_bytes(pids[1]))
        rest = super().bytes_of_all([pid for pid in pids if pid != self.pid])
        return max(serving, serving // len(pids) + rest)

    def is_row_unstarted(self, pids: list[int]) -> bool:
        """Return whether nothing lives beside the process that serves rows but one that is about to
        be a row's. When the script gets it, it has a session of its own, which no process can give
        back. Believed for a moment only: a package may have changed what serves rows."""
        if len(pids) != 2:
            return False
        try:
            is_unstarted = session_of(pids[1]) == session_of(self.pid)
        except (OSError, IndexError):
            return False
        if pids[1] != self.unstarted:
            self.unstarted, self.looks_at_unstarted = pids[1], 0
        self.looks_at_unstarted += 1
        return is_unstarted and self.looks_at_unstarted <= MOST_LOOKS_UNSTARTED

    def processes(self) -> list[int]:
        return [self.pid, *descendants(self.pid), *self.guard.others()]

    def network_of(self) -> int:
        return self.guard.pid

    def next_look(self) -> float:
        """Return the moment of ``time.monotonic`` at which ``look`` has something to do."""
        if self.is_reported or self.reason:
            return self.deadline
        return min(self.deadline, self.looked + TICK_S)

    def is_stuck(self, now: float) -> bool:
        """Return whether it was killed and does not die."""
        return (bool(self.reason) or self.is_over()) and now >= self.deadline

    def is_over(self) -> bool:
        """Return whether the script's process has ended."""
        return self.script < 0

    def hear(self) -> None:
        """Take the end of the script's process. If nothing else of the run is left, the worker need
        not wait for the guard: to take its namespaces apart takes the kernel a while."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return
        close_all((self.script,))
        self.script = -1
        self.status = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.peak_bytes = max(self.peak_bytes, usage.ru_maxrss * 1024)
        if self.guard.is_alone():
            self.report(0)
        self.deadline = time.monotonic() + KILL_PATIENCE_S
        self.kill()

    def report(self, left: int) -> None:
        """Tell the worker how it ended. left: processes that do not die."""
        if self.is_reported:
            return
        self.is_reported = True
        problem = read_if_any(self.problem_reader)
        answer: dict[str, Any] = {
            "reason": self.reason or "exited",
            "status": self.status,
            "left": left,
            "wall_s": time.monotonic() - self.started,
            "cpu_s": self.cpu_s,
            "peak_bytes": self.peak_bytes,
        }
        if problem:
            answer = {"problem": problem.decode("utf-8", "replace")}
        close_all((self.order_fd,))
        if not left:
            self.let_go()
        answer_worker(self.report_fd, answer)

    def let_go(self) -> None:
        """Give its locks back: no process of its user is left."""
        close_all(tuple(self.held))
        self.held = []

    def end(self) -> bool:
        """Report, and close everything if nothing of the run is alive. Returns whether it is so."""
        if not self.is_over():
            self.hear()  # It may have ended before we came to listen.
        is_gone = self.is_over() and self.guard.is_gone()
        self.report(0 if is_gone else 1 + len(self.processes()))
        if is_gone:
            self.let_go()
            self.close()
        return is_gone

    def kill(self) -> None:
        self.guard.kill()

    def abandon(self) -> None:
        """End one that has no run yet."""
        self.kill()
        os.waitpid(self.pid, 0)
        self.door.close()
        self.close()

    def close(self) -> None:
        close_all((self.problem_reader, self.script))
        self.script = -1
        self.world.give_back(self.guard)
