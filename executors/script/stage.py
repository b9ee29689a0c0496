"""The trusted process between a worker and a script: starts it, bounds it, and leaves nothing.

Runs alone as ``python -I -S -B`` and imports the standard library only, as do the modules of ours
that it imports. It speaks to the worker over two channels the script never has: the order (length,
a marshalled dict, then single command bytes; the end of the pipe means that the worker is gone) and
the report (at the end, see ``pack_report``).

Being a child subreaper, it becomes the parent of every orphan below it, however often something
forked or called setsid. So "no child left" means that nothing of the run is alive.
"""

# pathlib and contextlib would cost every run their import; whatever goes wrong must be reported:
# ruff: noqa: BLE001, PTH119, PTH123, SIM105

from __future__ import annotations

import marshal
import os
import resource
import select
import sys
import time

from executors.script.sandbox.kernel import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    prctl,
)
from executors.script.sandbox.limits import raise_oom_score, set_limits
from executors.script.sandbox.privileges import become_user, forbid_new_privileges
from executors.script.tree import count_tasks_of, descendants, stop_then_kill

TYPE_CHECKING = False  # As in typing, which like signal imports much that no run needs.
if TYPE_CHECKING:
    import signal
    from typing import Any, NoReturn
else:
    import _signal as signal

TICK_S = 0.05
KILL_PATIENCE_S = 10
REPORTED = ("reason", "status", "left", "wall_s", "cpu_s", "peak_bytes")
START_FAILED = 127
SANDBOX_FAILED = "The sandbox could not be made: "
"""How a problem starts that is the machine's, not the script's."""


class Stage:
    """One run: ``run`` returns the report."""

    def __init__(
        self, order: dict[str, Any], order_fd: int, report_fd: int, out_fd: int, err_fd: int
    ) -> None:
        self.order = order
        self.limits: dict[str, Any] = order["limits"]
        self.order_fd = order_fd
        self.report_fd = report_fd
        self.out_fd = out_fd
        self.err_fd = err_fd
        self.pid = 0
        self.status: int | None = None
        self.peak_bytes = 0
        self.page_bytes = os.sysconf("SC_PAGE_SIZE")

    def run(self) -> dict[str, Any]:
        """Start the script, wait for an end of any kind, kill what is left, report."""
        try:
            self.prepare()
        except OSError as error:
            return {"problem": f"{SANDBOX_FAILED}{error}"}
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        # Without this, a script of the same user could open our pipes through /proc.
        prctl(PR_SET_DUMPABLE, 0)
        wakeup, wakeup_writer = os.pipe()
        os.set_blocking(wakeup_writer, False)
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.kill_user()
        started = time.monotonic()
        problem = self.start()
        if problem:
            self.kill_all()
            return {"problem": problem}
        reason = self.watch(wakeup, started)
        left = self.kill_all()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "reason": reason,
            "status": self.status,
            "left": left,
            "wall_s": time.monotonic() - started,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_bytes": max(self.peak_bytes, usage.ru_maxrss * 1024),
        }

    def prepare(self) -> None:
        """Do what must come before anything else."""

    def start(self) -> str:
        """Fork the script. Returns why it could not be started, empty when it runs."""
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.become_child(writer)
        os.close(writer)
        os.close(self.out_fd)
        os.close(self.err_fd)
        # The pipe closes by itself when the script's program takes over.
        with os.fdopen(reader, "rb") as stream:
            return stream.read().decode("utf-8", "replace")

    def become_child(self, problem_fd: int) -> None:
        """What the forked child does. Never returns."""
        self.become_script(problem_fd)

    def join_memory_group(self, pid: int) -> None:
        """Move a process into the run's group. Raises OSError.

        While the caller sees the machine's /sys and has its rights. See ``memory_group.py``.
        """
        group = self.order["sandbox"].get("memory_group")
        if group is not None:
            descriptor = os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, str(pid).encode())
            finally:
                os.close(descriptor)

    def become_script(self, problem_fd: int) -> NoReturn:
        """Give up everything the script must not have, then turn into it. Never returns."""
        problem_fd = self.give_up_all(problem_fd)
        try:
            os.execve(self.order["argv"][0], self.order["argv"], self.order["env"])  # noqa: S606
        except BaseException as error:
            name = os.path.basename(self.order["argv"][0])
            os.write(problem_fd, f"The run could not start {name}: {error}"[:2000].encode())
        finally:
            os._exit(START_FAILED)

    def give_up_all(self, problem_fd: int) -> int:
        """Give up everything the script must not have.

        problem_fd: where to say what went wrong, before the process ends. Returns the number it
        has from then on; it closes by itself when a program takes over.
        """
        step = "prepare"
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            for source, target in ((null, 0), (self.out_fd, 1), (self.err_fd, 2)):
                os.dup2(source, target)
            os.dup2(problem_fd, 3, inheritable=False)
            problem_fd = 3
            os.closerange(4, 1 << 20)
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            step = "limit"
            prctl(PR_SET_DUMPABLE, 1)
            raise_oom_score()
            set_limits(self.limits, others=self.other_processes())
            step = "enter its folder"
            os.umask(0o077)
            os.chdir(self.order["cwd"])
            step = "drop rights"
            self.drop_rights()
        except BaseException as error:
            why = SANDBOX_FAILED if step == "drop rights" else f"The run could not {step}: "
            os.write(problem_fd, f"{why}{error}"[:2000].encode())
            os._exit(START_FAILED)
        return problem_fd

    def other_processes(self) -> int:
        """Return how many processes of the run's user are not the run's."""
        return count_tasks_of(os.getuid()) if self.order["uid"] is None else 0

    def drop_rights(self) -> None:
        """Last before the script's program. Whatever this raises, no script runs."""
        forbid_new_privileges()
        self.drop_user()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(START_FAILED)

    def drop_user(self) -> None:
        if self.order["uid"] is not None:
            become_user(self.order["uid"], self.order["gid"])

    def watch(self, wakeup: int, started: float) -> str:
        """Wait until the script ends or has to. Returns why."""
        deadline = started + self.limits["timeout_s"]
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "time_limit"
            ready, _, _ = select.select([self.order_fd, wakeup], [], [], min(TICK_S, left))
            if wakeup in ready:
                os.read(wakeup, 4096)
            self.reap()
            if self.status is not None:
                return "exited"
            if self.order_fd in ready:
                return "told" if os.read(self.order_fd, 1) else "worker_gone"
            if os.getppid() != self.order["worker_pid"]:
                return "worker_gone"
            if self.memory_exceeded():
                return "memory_limit"

    def memory_exceeded(self) -> bool:
        """Return whether the whole tree uses too much. Two samples, since the second is dear."""
        pids = self.processes()
        unseen = self.unseen_bytes()
        used = unseen + sum(self.resident_bytes(pid) for pid in pids)
        limit = self.limits["memory_bytes"]
        if used > limit:
            # Forked processes share pages, which the plain figure counts once for each of them.
            used = unseen + self.bytes_of_all(pids)
        self.peak_bytes = max(self.peak_bytes, used)
        return bool(used > limit)

    def processes(self) -> list[int]:
        """Return the living processes of the run."""
        return descendants(os.getpid())

    def unseen_bytes(self) -> int:
        """Return what the run may use that no process of it shows."""
        return 0

    def bytes_of_all(self, pids: list[int]) -> int:
        """Return what processes use that share pages with one another."""
        return sum(self.proportional_bytes(pid) for pid in pids)

    def resident_bytes(self, pid: int) -> int:
        try:
            with open(f"/proc/{pid}/statm", "rb") as stream:
                return int(stream.read().split()[1]) * self.page_bytes
        except (OSError, IndexError):
            return 0

    def proportional_bytes(self, pid: int) -> int:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as stream:
                for line in stream:
                    if line.startswith(b"Pss:"):
                        return int(line.split()[1]) * 1024
        except OSError:
            pass
        return self.resident_bytes(pid)

    def reap(self) -> bool:
        """Take all children that ended. Returns whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                self.status = self.exit_code(os.waitstatus_to_exitcode(status))

    def exit_code(self, of_child: int) -> int:
        """Return how the script ended; of_child: how our own child did."""
        return of_child

    def kill_all(self) -> int:
        """Kill every process of the run. Returns how many would not die."""
        patience = time.monotonic() + KILL_PATIENCE_S
        while self.reap():
            if self.order["uid"] is None:
                stop_then_kill(os.getpid())
            else:
                self.kill_user()
            if time.monotonic() > patience:
                return len(descendants(os.getpid()))
            time.sleep(0.002)
        return 0

    def kill_user(self) -> None:
        """Kill all processes of the run's user at once, which no fork can outrun."""
        if self.order["uid"] is None:
            return
        pid = os.fork()
        if pid == 0:
            try:
                self.drop_user()
                if os.getresuid() == (self.order["uid"],) * 3 and self.order["uid"] > 0:
                    os.kill(-1, signal.SIGKILL)
            finally:
                os._exit(0)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass


def pack_report(report: dict[str, Any]) -> bytes:
    """Return a report as the worker reads it: a problem's text, or numbers in a row.

    wall_s and cpu_s are seconds; status is None when there is none.
    """
    if "problem" in report:
        return f"problem {report['problem']}".encode("utf-8", "backslashreplace")
    return " ".join([str(report[name]) for name in REPORTED]).encode()


def keep_open(*descriptors: int, first: int = 3) -> None:
    """Close all descriptors from first on but those given."""
    for kept in (*sorted(descriptors), 1 << 20):
        os.closerange(first, kept)
        first = kept + 1


def read_exactly(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            raise EOFError("the worker is gone")
        data += piece
    return data


def stage_for(order: dict[str, Any]) -> type[Stage]:
    """Return the class that the order's sandbox names as ``module:class``."""
    if order["sandbox"] is None:
        return Stage
    module, _, name = order["sandbox"]["stage"].partition(":")
    stage: type[Stage] = getattr(__import__(module, fromlist=(name,)), name)
    return stage


def main() -> None:
    order_fd, report_fd, out_fd, err_fd = map(int, sys.argv[1:5])
    for descriptor in (order_fd, report_fd, out_fd, err_fd):
        os.set_inheritable(descriptor, False)
    try:
        size = int.from_bytes(read_exactly(order_fd, 8), "big")
        order = marshal.loads(read_exactly(order_fd, size))  # noqa: S302 - from our own worker
        report = stage_for(order)(order, order_fd, report_fd, out_fd, err_fd).run()
    except EOFError:
        return
    except BaseException as error:
        report = {"problem": f"The run could not be prepared: {error}"}
    try:
        os.write(report_fd, pack_report(report))
    except BrokenPipeError:
        pass
