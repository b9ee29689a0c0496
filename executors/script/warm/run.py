"""One run of a zygote. It does what a stage does at a cold start, but never waits: others run, too.

As there, process 1 of the run stands between the zygote and the script and guards it. Both are
forked before the run is ordered. They build what is the same for every run, in namespaces of their
own, and wait. Each such pair serves one run.
"""

# Whatever goes wrong must be reported:
# ruff: noqa: BLE001, SIM105

from __future__ import annotations

import marshal
import os
import resource
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from executors.script.sandbox.kernel import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from executors.script.sandbox.lockdown import lock_calls, lock_down
from executors.script.sandbox.namespaces import fork_into_namespaces, settle_namespaces
from executors.script.sandbox.stage import SandboxStage
from executors.script.sandbox.view import build_frame, complete_view, enter_root, mount_processes
from executors.script.stage import (
    KILL_PATIENCE_S,
    SANDBOX_FAILED,
    START_FAILED,
    TICK_S,
    pack_report,
)
from executors.script.tree import descendants
from executors.script.warm.claim import claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from executors.script.warm.interpreter import WarmInterpreter

GUARD_IN_NAMESPACE = 1
"""Process 1 alone counts for an ordinary user's limit; the zygote is outside."""
TOLD_BYTES = 4096
STATUS = struct.Struct("=i?dq")
"""Exit code, whether nothing else is left, CPU seconds, peak memory in bytes."""
MOST_DESCRIPTORS = 8


class ScriptProcess(BaseException):
    """Carries the process that is to be a script up to where no frame of ours is above it: a script
    can look at all of those."""

    def __init__(self, run: WarmRun, door: socket.socket) -> None:
        self.run = run
        self.door = door

    def become_script(self) -> tuple[Callable[[], None], Callable[[BaseException | None], None]]:
        """Wait for the order; return the script, and what to call when it has ended, with what it
        raised."""
        return self.run.be_script(self.door)


class WarmRun(SandboxStage):
    """One run. ``prepare`` and ``hand_over``, then ``look`` now and then, ``hear`` when there is
    something to read from ``status_reader``, and ``end`` when ``guard`` has ended."""

    def __init__(self, frame: dict[str, Any], interpreter: WarmInterpreter) -> None:
        """frame: see ``build_frame``."""
        super().__init__({"limits": {}}, -1, -1, -1, -1)
        self.pid = -1
        self.frame = frame
        self.interpreter = interpreter
        self.reason = ""
        self.guard = -1
        self.held: list[int] = []
        self.told: tuple[int | None, bool, float, int] = (None, False, 0.0, 0)
        """What ``tell_status`` wrote."""
        self.is_reported = self.is_reaped = False
        self.problem_reader = self.problem_writer = -1

    def prepare(self) -> None:
        """Fork process 1 of the run. Raises OSError, and in the script's process ScriptProcess."""
        ids = os.geteuid(), os.getegid()
        inner = None
        self.is_bounded = ids[0] == 0
        try:
            self.status_reader, self.status_writer = os.pipe()
            self.problem_reader, self.problem_writer = os.pipe()
            for reader in (self.status_reader, self.problem_reader):
                os.set_blocking(reader, False)
            # Nobody writes to it. Its end tells process 1 that the zygote has ended.
            self.lifeline, self.lifeline_held = os.pipe()
            self.door, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.pid = fork_into_namespaces()
            if self.pid == 0:
                raise ScriptProcess(self, self.be_first(inner, *ids))
            self.guard = os.pidfd_open(self.pid)
        except OSError:
            self.close()
            raise
        finally:
            if self.pid:
                close_all((self.status_writer, self.problem_writer, self.lifeline))
                if inner is not None:
                    inner.close()

    def hand_over(self, head: dict[str, Any], descriptors: list[int]) -> None:
        """Give it its run. head: the part of the order that the zygote may know.

        Takes over descriptors. Should process 1 have ended, the report says so.
        """
        order_file, self.order_fd, self.report_fd, out, err, *self.held = descriptors
        self.order, self.limits = head, head["limits"]
        self.looked = self.started = time.monotonic()
        self.deadline = self.started + self.limits["timeout_s"]
        try:
            socket.send_fds(self.door, [b"o"], [order_file, self.report_fd, out, err])
        except OSError:
            pass
        self.door.close()
        close_all((order_file, out, err))

    def be_first(self, door: socket.socket, uid: int, gid: int) -> socket.socket:
        """Be process 1 of the run. Returns in the script's process only: the door to wait at."""
        try:
            self.door.detach()  # The zygote's end. Its number is going to be another file's.
            # The channels of other runs are here, too, and must not stay open because of us.
            keep_open(door.fileno(), self.lifeline, self.status_writer, self.problem_writer)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            settle_namespaces(uid, gid)
            os.umask(0o022)
            build_frame(self.frame)
            mount_processes(self.frame["root"])
            inner, script_door = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            script = os.fork()
            if script == 0:
                inner.detach()
                keep_open(script_door.fileno(), self.problem_writer)
                return script_door
            script_door.close()
            order_file, self.report_fd, *streams = receive(door)
            socket.send_fds(inner, [b"o"], [order_file, *streams])
            self.order = read_order(order_file, of_script=False)
            self.join_memory_group(script)
            complete_view(self.frame, self.order["sandbox"], *self.owner())
            self.listen_for_gate(self.order["sandbox"])
            enter_root(self.frame["root"])
            self.hand_out_room()
            if not claim(order_file):
                raise OSError(0, "the worker has taken the order back")
            inner.send(b"go")
            self.become_guard()
            self.wait_for(script)
            os._exit(START_FAILED)
        except BaseException as error:
            os.write(self.problem_writer, f"{SANDBOX_FAILED}{error}"[:2000].encode())
            os._exit(START_FAILED)

    def be_script(
        self, door: socket.socket
    ) -> tuple[Callable[[], None], Callable[[BaseException | None], None]]:
        """Get ready until the view is complete, then give up all rights.

        Returns what ``ScriptProcess.become_script`` does. A shell takes over the process at once.
        """
        try:
            lock_calls()
            self.interpreter.get_ready()
            order_file, self.out_fd, self.err_fd = receive(door)
            self.order = read_order(order_file, of_script=True)
            self.limits = self.order["limits"]
            os.dup2(self.out_fd, 1)
            os.dup2(self.err_fd, 2)
            if self.order["python"] is not None:
                self.interpreter.start_afresh(self.order)
            if not door.recv(2):
                os._exit(START_FAILED)
            door.detach()  # Its number is going to be another file's.
        except BaseException as error:
            os.write(self.problem_writer, f"{SANDBOX_FAILED}{error}"[:2000].encode())
            os._exit(START_FAILED)
        if self.order["python"] is None:
            self.become_script(self.problem_writer)
        problem_fd = self.give_up_all(self.problem_writer)
        # The change of user has taken this away; a program that was started anew has it.
        prctl(PR_SET_DUMPABLE, 1)
        os.close(problem_fd)
        return self.interpreter.become_script(self.order)

    def drop_rights(self) -> None:
        order = self.order
        lock_down(
            order["sandbox"]["rules"], order["uid"], order["gid"],
            calls_are_locked=True, is_bounded=self.is_bounded,
        )  # fmt: skip

    def other_processes(self) -> int:
        return GUARD_IN_NAMESPACE if self.order["uid"] is None else 0

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

    def next_look(self) -> float:
        """Return the moment of ``time.monotonic`` at which ``look`` has something to do."""
        if self.is_reported:
            return self.deadline
        return self.deadline if self.reason else min(self.deadline, self.looked + TICK_S)

    def is_stuck(self, now: float) -> bool:
        """Return whether it was killed and does not die, or not even ends by itself."""
        return (bool(self.reason) or self.is_reported) and now >= self.deadline

    def tell_status(self, code: int) -> None:
        """Say, in process 1, how the script ended, and whether anything but us is left."""
        alone = False
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            alone = True
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = usage.ru_utime + usage.ru_stime
        os.write(self.status_writer, STATUS.pack(code, alone, cpu_s, usage.ru_maxrss * 1024))

    def hear(self) -> None:
        """Read what process 1 says. If all but itself has ended, the worker need not wait for it:
        to take its namespaces apart takes the kernel a while."""
        told = read_if_any(self.status_reader)
        if len(told) == STATUS.size:
            self.told = STATUS.unpack(told)
        if self.told[1] and not self.is_reported:
            self.report()
            self.deadline = time.monotonic() + KILL_PATIENCE_S

    def report(self) -> None:
        """Tell the worker how it ended."""
        if self.is_reported:
            return
        self.is_reported = True
        problem = read_if_any(self.problem_reader)
        code, alone, cpu_s, peak_bytes = self.told
        left = 0
        if not alone:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid == 0:
                left = 1 + len(descendants(self.pid))
            else:
                self.is_reaped = True
                code = os.waitstatus_to_exitcode(status) or None if code is None else code
                cpu_s = usage.ru_utime + usage.ru_stime
                peak_bytes = usage.ru_maxrss * 1024
        answer: dict[str, Any] = {
            "reason": self.reason or "exited",
            "status": code,
            "left": left,
            "wall_s": time.monotonic() - self.started,
            "cpu_s": cpu_s,
            "peak_bytes": max(self.peak_bytes, peak_bytes),
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
        """Report, and close everything if process 1 has ended. Returns whether it has."""
        self.hear()  # It may have ended before we came to listen.
        self.report()
        if not self.is_reaped:
            self.is_reaped = os.waitpid(self.pid, os.WNOHANG)[0] != 0
        if self.is_reaped:
            self.let_go()
            self.close()
        return self.is_reaped

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def abandon(self) -> None:
        """End one that has no run yet."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.door.close()
        self.close()

    def close(self) -> None:
        close_all((self.status_reader, self.problem_reader, self.lifeline_held, self.guard))


def refuse(descriptors: list[int], error: OSError) -> None:
    """Tell the worker that there is no process for the run it sent descriptors of."""
    _, _, report, *_ = descriptors
    close_all(tuple(descriptor for descriptor in descriptors if descriptor != report))
    answer_worker(report, {"problem": f"{SANDBOX_FAILED}{error}"})


def answer_worker(report_fd: int, answer: dict[str, Any]) -> None:
    with socket.socket(fileno=report_fd) as channel:
        try:
            channel.send(pack_report(answer))
            # A child that has not closed its copy yet must not keep the worker waiting.
            channel.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The worker is gone.


def read_order(descriptor: int, *, of_script: bool) -> dict[str, Any]:
    """Return the script's part of an order, or that of process 1. See ``WarmStart.start``."""
    size = int.from_bytes(os.pread(descriptor, 8, 0), "big")
    if of_script:
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 8 + size)
    else:
        data = os.pread(descriptor, size, 8)
    order: dict[str, Any] = marshal.loads(data)  # noqa: S302 - from our own worker
    return order


def read_if_any(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, TOLD_BYTES)
    except BlockingIOError:
        return b""


def receive(door: socket.socket) -> list[int]:
    """Return the descriptors that come through the door. Ends the process when none will."""
    _, descriptors, _, _ = socket.recv_fds(door, 1, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if not descriptors:
        os._exit(0)
    return descriptors


def keep_open(*descriptors: int) -> None:
    """Close all but standard input, output, error and descriptors."""
    first = 3
    for kept in (*sorted(descriptors), 1 << 20):
        os.closerange(first, kept)
        first = kept + 1


def close_all(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)
