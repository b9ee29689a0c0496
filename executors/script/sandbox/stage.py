"""The stage of the level ``ns``: between it and the script stands process 1 of the run.

The stage stays outside and watches as at any level. Its child enters the namespaces, builds the
view, hands the worker the run's own folders, forks the script and waits for it. Everything of the
run lives in the child's process namespace, which the kernel empties when the child ends: by itself,
killed by the stage, or because the stage or the worker is gone.
"""

# Whatever goes wrong must be reported; contextlib would cost every run its import:
# ruff: noqa: BLE001, PTH123, SIM105

from __future__ import annotations

import _socket
import os
import select
import time

from executors.script.sandbox.kernel import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from executors.script.sandbox.lockdown import lock_down
from executors.script.sandbox.namespaces import enter_namespaces, prepare_namespaces
from executors.script.sandbox.privileges import (
    drop_capabilities,
    empty_bounding_set,
    forbid_new_privileges,
)
from executors.script.sandbox.view import ROOM, build_view, enter_root, mount_processes
from executors.script.stage import KILL_PATIENCE_S, SANDBOX_FAILED, START_FAILED, Stage, keep_open
from executors.script.tree import descendants

TYPE_CHECKING = False  # As in typing, whose import would cost every run.
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal

PROGRESS_NAME = "progress"
FREE_SOCKETS = 64
"""So many sockets are not held against a run."""
SOCKET_BYTES = 280 * 1024
"""What the kernel keeps for a socket whose buffer is full, as measured. IP sockets hold nothing
where the run's loopback is down; else ``listener.py`` bounds them to about as much."""
COUNTED_SOCKETS = (b"UNIX", b"TCP", b"UDP", b"RAW", b"PING")
OWN_PROCESSES = 2
"""The stage and process 1 count for an ordinary user's limit, too."""


def send_room(report_fd: int, guard: int, owner: tuple[int, int], listener: int = -1) -> None:
    """Send the worker the run's folders through report_fd; closes guard and listener.

    guard: what ends the run when it is killed. owner: whose the file of the progress shall be.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    report = os.open(f"{ROOM}/report", flags)
    created = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    progress = os.open(PROGRESS_NAME, created, 0o600, dir_fd=report)
    os.fchown(progress, *owner)
    folders = [os.open(f"{ROOM}/output", flags), report, progress, guard]
    if listener >= 0:
        folders.append(listener)
    channel = _socket.socket(fileno=report_fd)
    packed = b"".join(number.to_bytes(4, "little") for number in folders)
    # A blank, which means nothing before the report.
    channel.sendmsg([b" "], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])
    channel.detach()
    for descriptor in folders:
        os.close(descriptor)


class SandboxStage(Stage):
    """One run in namespaces of its own; ``order["sandbox"]`` is the plan of its view."""

    lifeline = -1
    lifeline_held = -1
    status_reader = -1
    status_writer = -1
    listener = -1
    is_bounded = False
    """Whether no program can get a capability already."""

    def prepare(self) -> None:
        prepare_namespaces()

    def start(self) -> str:
        self.status_reader, self.status_writer = os.pipe()
        os.set_blocking(self.status_reader, False)
        # Nobody writes to it. Its end tells process 1 that the stage has ended.
        self.lifeline, self.lifeline_held = os.pipe()
        problem = super().start()
        os.close(self.status_writer)
        os.close(self.lifeline)
        return problem

    def become_child(self, problem_fd: int) -> None:
        """Be process 1 of the run. Never returns."""
        try:
            os.close(self.lifeline_held)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            self.join_memory_group(os.getpid())
            enter_namespaces()
            self.guard_script(problem_fd)
        except BaseException as error:
            os.write(problem_fd, f"{SANDBOX_FAILED}{error}"[:2000].encode())
        finally:
            os._exit(START_FAILED)

    def guard_script(self, problem_fd: int) -> None:
        """Build the view around process 1, start the script in it and wait for its end."""
        os.umask(0o022)
        plan = self.order["sandbox"]
        build_view(plan, *self.owner())
        mount_processes(plan["root"])
        self.listen_for_gate(plan)
        enter_root(plan["root"])
        self.hand_out_room()
        pid = os.fork()
        if pid == 0:
            self.become_script(problem_fd)
        self.become_guard()
        self.wait_for(pid)

    def owner(self) -> tuple[int, int]:
        if self.order["uid"] is None:
            return os.geteuid(), os.getegid()
        return self.order["uid"], self.order["gid"]

    def listen_for_gate(self, plan: dict[str, Any]) -> None:
        """Open the inside end of the gate if the run has the network."""
        if plan["network"]:
            from executors.script.network.listener import open_listener  # Few runs need it.

            settings = os.open("/proc/sys", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.listener = open_listener(settings)
            os.close(settings)

    def hand_out_room(self) -> None:
        """Send the worker the run's folders; it reads them also when nothing here is left.

        With them goes process 1 itself, in case that the worker must end it without us, and the
        socket that the gate is to serve.
        """
        send_room(self.report_fd, self.open_guard(), self.owner(), self.listener)

    def open_guard(self) -> int:
        """Return process 1 of the run as an open descriptor."""
        return os.pidfd_open(os.getpid())

    def become_guard(self) -> None:
        """Keep only what waiting takes, so that a script that got here would gain nothing."""
        keep_open(self.lifeline, self.status_writer, first=0)
        if not self.is_bounded:
            empty_bounding_set()
        drop_capabilities()
        forbid_new_privileges()
        prctl(PR_SET_DUMPABLE, 0)

    def wait_for(self, script: int) -> None:
        """Wait until the script ends, tell how, and end; the kernel then ends all others.

        Orphans of the run become our children and are taken at once: they count for its limit.
        """
        wakeup, wakeup_writer = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(wakeup_writer, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == script:
                    self.tell_status(os.waitstatus_to_exitcode(status))
                    os._exit(0)
                if pid == 0:
                    break
            ready, _, _ = select.select([wakeup, self.lifeline], [], [])
            if self.lifeline in ready:
                os._exit(START_FAILED)
            os.read(wakeup, 4096)

    def tell_status(self, code: int) -> None:
        os.write(self.status_writer, code.to_bytes(4, "little", signed=True))

    def other_processes(self) -> int:
        return OWN_PROCESSES if self.order["uid"] is None else 0

    def drop_rights(self) -> None:
        lock_down(self.order["sandbox"]["rules"], self.order["uid"], self.order["gid"])

    def processes(self) -> list[int]:
        return descendants(self.pid)

    def network_of(self) -> int:
        """Return a process in the run's network namespace."""
        return self.pid

    def unseen_bytes(self) -> int:
        """Count the sockets of the run; what each may hold is known, what it holds is not."""
        sockets = 0
        try:
            with open(f"/proc/{self.network_of()}/net/protocols", "rb") as stream:
                for line in stream:
                    if line.startswith(COUNTED_SOCKETS):
                        sockets += int(line.split()[2])
        except (OSError, ValueError, IndexError):
            pass
        return max(0, sockets - FREE_SOCKETS) * SOCKET_BYTES

    def exit_code(self, of_child: int) -> int:
        try:
            told = os.read(self.status_reader, 4)
        except BlockingIOError:
            told = b""
        return int.from_bytes(told, "little", signed=True) if len(told) == 4 else of_child

    def kill_user(self) -> None:
        """Nothing to do: no process of the run is outside its namespace."""

    def kill_all(self) -> int:
        """Kill process 1, and with it everything. Returns how many would not die."""
        patience = time.monotonic() + KILL_PATIENCE_S
        while self.reap():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if time.monotonic() > patience:
                return 1 + len(descendants(self.pid))
            time.sleep(0.001)
        return 0
