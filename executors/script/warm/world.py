"""Where a zygote lives, and how it makes the namespaces of its runs.

A zygote is process 1 of a process namespace of its own: when it ends, however that comes, the
kernel ends all it started. It sees the machine's files; beside that it keeps a mount namespace with
nothing but the frame of its runs' views, which each run gets a copy of.

The namespaces of a run last as long as their process 1, its guard. The guard does nothing, so it
need not be forked, only started (``kernel.start_idle``). It shares the memory of the one who starts
it, who must ignore the end of children, so that the kernel takes the run's orphans at once. The
zygote cannot, since it wants to know how scripts end. So a helper starts the guards.

To make a network namespace and take it apart is a tenth of what a short run costs. Where no run may
use its network, none can leave anything in it either, so a run gets that of one that is over.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
from typing import Any

from executors.script.sandbox.kernel import (
    CLONE_PARENT,
    fork_into,
    mount,
    setns,
    start_idle,
    unshare,
)
from executors.script.sandbox.namespaces import (
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUSER,
    NEWUTS,
    OF_A_RUN,
    gain_user_namespace,
    keep_ids,
    name_host,
)
from executors.script.sandbox.view import (
    RECURSIVE,
    SLAVE,
    build_frame,
    enter_root,
    mount_own_processes,
    mount_processes,
)
from executors.script.stage import keep_open
from executors.script.tree import children_of, descendants

MOST_GUARDS = 256
STACK_BYTES = 16 * 1024
"""Of a guard, which calls one function and never returns from it."""
ANSWER_BYTES = 256
HELPER_PATIENCE_S = 5
"""So long a zygote waits for its helper; meanwhile it looks after no run."""


class HelperGone(OSError):
    """The helper has ended: there will be no other run here."""


class Guard:
    """Process 1 of a run: as long as it lives, so do the run's namespaces and processes."""

    def __init__(self, pid: int, descriptor: int, number: int) -> None:
        """descriptor: of the process. number: see ``World.make_guard``."""
        self.pid = pid
        self.descriptor = descriptor
        self.number = number

    def kill(self) -> None:
        """End it, and with it every process of the run."""
        try:
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        except ProcessLookupError:
            return

    def is_gone(self) -> bool:
        """Return whether nothing of the run is alive."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def is_alone(self) -> bool:
        """Return whether the run has no other process, now that its script has ended."""
        try:
            return not children_of(self.pid)
        except OSError:
            return False  # Not known: such a kernel is built without it.

    def others(self) -> list[int]:
        return descendants(self.pid)

    def enter(self) -> None:
        """Move the calling process, which is in the guard's process namespace, into its others."""
        setns(self.descriptor, OF_A_RUN | own_user())
        mount_processes("")


class World:
    """The namespaces of a zygote, from inside."""

    def __init__(self, frame: dict[str, Any], *, keeps_networks: bool) -> None:
        """Make them. The caller is process 1. Raises OSError.

        frame: see ``build_frame``. keeps_networks: whether the network namespace of a run serves
        another when nothing of the first is alive.
        """
        name_host()
        mount(None, "/", None, RECURSIVE | SLAVE)
        mount_own_processes("")
        self.settings = os.open("/proc/sys", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        """The machine's settings, which a run's process does not see."""
        self.load = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        self._own_processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        machine = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        unshare(NEWNS)
        build_frame(frame)
        # In sight of it a run may mount its own.
        mount_own_processes(frame["root"])
        frame_only = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        enter_root(frame["root"])
        setns(machine, NEWNS)
        os.close(machine)
        self._numbers = list(reversed(range(MOST_GUARDS)))
        """Those of no guard; the last is the next, so that few are ever used."""
        self._helper, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._helper.settimeout(HELPER_PATIENCE_S)
        with theirs:
            if os.fork() == 0:
                self._helper.close()
                start_guards(theirs, frame_only, Networks(keeps_networks))
        os.close(frame_only)

    def make_guard(self) -> Guard:
        """Return process 1 of a new run. ``give_back`` it when it is gone.

        Raises OSError, and HelperGone.
        """
        if not self._numbers:
            raise OSError(0, "there are too many runs")
        number = self._numbers.pop()
        try:
            answer, descriptors = self._ask_helper(str(number).encode())
            if not descriptors:
                raise OSError(0, answer.decode())
        except OSError:
            self._numbers.append(number)
            raise
        return Guard(int(answer), descriptors[0], number)

    def _ask_helper(self, message: bytes) -> tuple[bytes, list[int]]:
        try:
            self._helper.send(message)
            answer, descriptors, _, _ = socket.recv_fds(
                self._helper, ANSWER_BYTES, 1, socket.MSG_CMSG_CLOEXEC
            )
        except (ConnectionError, TimeoutError) as error:
            raise HelperGone(*error.args) from error
        if not answer:
            raise HelperGone(0, "the helper of a zygote has ended")
        return answer, descriptors

    def give_back(self, guard: Guard) -> None:
        os.close(guard.descriptor)
        self._numbers.append(guard.number)

    def fork_beside(self, guard: Guard) -> int:
        """Fork into a guard's process namespace; returns as ``os.fork``. The child is to call
        ``Guard.enter``. Raises OSError."""
        setns(guard.descriptor, NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                setns(self._own_processes, NEWPID)
        return pid


def become_first(control: socket.socket) -> None:
    """Return in a new process, which is process 1 of a new namespace, has mounts of its own and is
    a child of our parent. The calling process tells its id through control, and ends."""
    if os.geteuid() != 0:
        gain_user_namespace()
    pid = fork_into(NEWPID | NEWNS | NEWUTS | CLONE_PARENT)
    if pid:
        control.send(str(pid).encode())
        os._exit(0)


def own_user() -> int:
    """Return the flag of a user namespace where each run needs one of its own: for ordinary users,
    whose processes the kernel counts there."""
    return NEWUSER if os.geteuid() else 0


class Networks:
    """The network namespaces of guards, for the one who starts them.

    Nothing in them is up. A run that keeps to one has no right to change that, and what it opens
    there ends with it. ``Guard.number`` is another's only when nothing of the guard's run is alive.
    """

    def __init__(self, keeps_them: bool) -> None:
        self._keeps_them = keeps_them
        self._of_number: dict[int, int] = {}

    def enter(self, number: int, processes: int) -> int:
        """Get to where guard number starts; return what else it needs. processes: ``/proc``."""
        if not self._keeps_them:
            return NEWNET
        known = self._of_number.get(number)
        if known is None:
            unshare(NEWNET)
            flags = os.O_RDONLY | os.O_CLOEXEC
            self._of_number[number] = os.open("self/ns/net", flags, dir_fd=processes)
        else:
            setns(known, NEWNET)
        return 0


def start_guards(channel: socket.socket, frame_only: int, networks: Networks) -> None:
    """Start guards for the zygote at the other end, as long as there is one. Never returns.

    It stays dumpable: who may not look at a process may not enter its namespaces either. A script
    may not all the same, since it has fewer capabilities than a guard, or another user.
    """
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        setns(frame_only, NEWNS)
        keep_open(channel.fileno(), processes)
        stacks = ctypes.create_string_buffer(MOST_GUARDS * STACK_BYTES)
        end = ctypes.addressof(stacks) // 16 * 16
        while asked := channel.recv(ANSWER_BYTES):
            number = int(asked)
            end_of_stack = end + (number + 1) * STACK_BYTES
            pid = 0
            try:
                network = networks.enter(number, processes)
                flags = OF_A_RUN & ~NEWNET | network | NEWPID | own_user()
                pid = start_idle(flags, end_of_stack)
                if own_user():
                    keep_ids(os.geteuid(), os.getegid(), f"{pid}", processes)
                descriptor = os.pidfd_open(pid)
                socket.send_fds(channel, [str(pid).encode()], [descriptor])
                os.close(descriptor)
            except OSError as error:
                if pid:
                    os.kill(pid, signal.SIGKILL)
                channel.send(str(error).encode()[:ANSWER_BYTES])
    finally:
        os._exit(0)
