"""One run of a zygote. It does what a stage does at a cold start, but never waits: others run, too.

As there, process 1 of the run stands between the zygote and the script and guards it.
"""

# Whatever goes wrong must be reported:
# ruff: noqa: BLE001

from __future__ import annotations

import _socket
import marshal
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from executors.script.sandbox.kernel import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from executors.script.sandbox.namespaces import fork_into_namespaces, settle_namespaces
from executors.script.sandbox.stage import SandboxStage
from executors.script.stage import KILL_PATIENCE_S, SANDBOX_FAILED, START_FAILED, TICK_S
from executors.script.tree import descendants

if TYPE_CHECKING:
    from executors.script.warm.interpreter import WarmInterpreter

GUARD_IN_NAMESPACE = 1
"""Process 1 alone counts for an ordinary user's limit; the zygote is outside."""
TOLD_BYTES = 4096


class WarmRun(SandboxStage):
    """One run. ``begin``, then ``look`` now and then, and ``report`` when ``guard`` has ended."""

    def __init__(
        self, head: dict[str, Any], descriptors: list[int], interpreter: WarmInterpreter
    ) -> None:
        """head: the part of the order that the zygote may know. Takes over descriptors."""
        order_file, commands, report, out, err, *held = descriptors
        super().__init__(head, commands, report, out, err)
        self.order_file = order_file
        self.held = held
        self.interpreter = interpreter
        self.started = time.monotonic()
        self.looked = self.started
        self.deadline = self.started + self.limits["timeout_s"]
        self.reason = ""
        self.guard = -1

    def begin(self) -> None:
        """Fork process 1 of the run. Raises OSError."""
        ids = os.geteuid(), os.getegid()
        try:
            self.status_reader, self.status_writer = os.pipe()
            os.set_blocking(self.status_reader, False)
            # Nobody writes to it. Its end tells process 1 that the zygote has ended.
            self.lifeline, self.lifeline_held = os.pipe()
            self.pid = fork_into_namespaces()
            if self.pid == 0:
                self.be_first(*ids)
            self.guard = os.pidfd_open(self.pid)
        finally:
            theirs = (self.order_file, self.out_fd, self.err_fd, self.status_writer, self.lifeline)
            close_all(theirs)

    def be_first(self, uid: int, gid: int) -> None:
        """Be process 1 of the run. Never returns."""
        try:
            # The channels of other runs are here, too, and must not stay open because of us.
            keep_open(
                self.order_file, self.report_fd, self.out_fd, self.err_fd, self.lifeline,
                self.status_writer,
            )  # fmt: skip
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            self.order = read_order(self.order_file)
            settle_namespaces(uid, gid)
            self.guard_script(self.status_writer)
        except BaseException as error:
            os.write(self.status_writer, f"{SANDBOX_FAILED}{error}"[:2000].encode())
        finally:
            os._exit(START_FAILED)

    def other_processes(self) -> int:
        return GUARD_IN_NAMESPACE if self.order["uid"] is None else 0

    def turn_into_program(self, problem_fd: int) -> None:
        if self.order["python"] is None:
            super().turn_into_program(problem_fd)
        # The change of user has taken this away; a program that was started anew has it.
        prctl(PR_SET_DUMPABLE, 1)
        self.interpreter.become_script(self.order, problem_fd)

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
            os.kill(self.pid, signal.SIGKILL)

    def next_look(self) -> float:
        """Return the moment of ``time.monotonic`` at which ``look`` has something to do."""
        return self.deadline if self.reason else min(self.deadline, self.looked + TICK_S)

    def is_stuck(self, now: float) -> bool:
        """Return whether it was killed and does not die."""
        return bool(self.reason) and now >= self.deadline

    def report(self) -> None:
        """Tell the worker how it ended, and let go of everything."""
        answer: dict[str, Any] = {
            "reason": self.reason or "exited",
            "status": None,
            "left": 0,
            "wall_s": time.monotonic() - self.started,
            "cpu_s": 0.0,
            "peak_bytes": self.peak_bytes,
        }
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        told = read_if_any(self.status_reader)
        if pid == 0:
            answer["left"] = 1 + len(descendants(self.pid))
        else:
            answer["cpu_s"] = usage.ru_utime + usage.ru_stime
            answer["peak_bytes"] = max(self.peak_bytes, usage.ru_maxrss * 1024)
            answer["status"] = os.waitstatus_to_exitcode(status)
        if len(told) == 4:
            answer["status"] = int.from_bytes(told, "little", signed=True)
        elif told:
            answer = {"problem": told.decode("utf-8", "replace")}
        self.send(answer)

    def refuse(self, error: OSError) -> None:
        """Tell the worker that there is no process for the run."""
        self.send({"problem": f"{SANDBOX_FAILED}{error}"})

    def send(self, answer: dict[str, Any]) -> None:
        channel = _socket.socket(fileno=self.report_fd)
        try:
            channel.send(repr(answer).encode())
            # A child that has not closed its copy yet must not keep the worker waiting.
            channel.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # The worker is gone.
        channel.detach()
        ends = (self.order_fd, self.report_fd, self.status_reader, self.lifeline_held, self.guard)
        close_all((*ends, *self.held))


def read_order(descriptor: int) -> dict[str, Any]:
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    order: dict[str, Any] = marshal.loads(data)  # noqa: S302 - from our own worker
    return order


def read_if_any(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, TOLD_BYTES)
    except BlockingIOError:
        return b""


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
