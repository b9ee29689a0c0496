"""The rows of a series in one sandbox, one after another; the sandbox from inside.

The process that was made for a run has built its view and given up all rights, as for any run. Then
it does not become the script: for each row it forks, and before the next one it kills all that is
left in its process namespace and empties the folders a script can write to. It has the user of the
scripts, so a further layer of Landlock keeps these from signalling and tracing it. What they can
still change of it, it looks at before each row; if anything is different, it ends. What a row is
given is read by the row's own process only, and what it leaves by one that ends when it is removed,
so that no memory holds it that the next one gets.
"""

# ruff: noqa: PTH108, PTH208 - pathlib would cost each row its pages.

from __future__ import annotations

import ctypes
import os
import resource
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from executors.script.removal import FOLDER_FLAGS, empty_folder
from executors.script.sandbox.kernel import PR_SET_DUMPABLE, call, prctl
from executors.script.sandbox.landlock import enter_own_scope, make_own_scope
from executors.script.sandbox.stage import PROGRESS_NAME, send_room
from executors.script.sandbox.view import ROOM, ROOM_FOLDERS
from executors.script.stage import KILL_PATIENCE_S, START_FAILED
from executors.script.warm.claim import claim
from executors.script.warm.messages import answer_worker, close_all, read_order

if TYPE_CHECKING:
    import signal

    from executors.script.warm.interpreter import WarmInterpreter
    from executors.script.warm.run import WarmRun
else:
    import _signal as signal

DESCRIPTORS = 5
"""Of a row: its order, then its channels as ``Channels.all`` has them."""
INPUT = f"{ROOM}/report/input.json"
"""Where the inputs of a row lie: nothing can be shown beside the script any more."""
INPUT_FILES = 1
UNPREPARED, PREPARED = "unprepared", "prepared"
"""Whether what is the same for all rows is done for each, or once."""
OWN_PROCESSES = 1
"""Ours has the user of the scripts, so it counts for their limit."""
USUAL_FILES = (INPUT, f"{ROOM}/report/{PROGRESS_NAME}", f"{ROOM}/report/result.json")
"""What nearly every row leaves."""
IDLE_S = 5.0
"""Without a row for so long it ends, whatever the worker thinks."""
SIZE_BYTES = 32
LIMITS = range(16)
"""All there are."""
SCHEDULING_BYTES = 56
"""``struct sched_attr``: policy, priorities, time slice, clamps."""
OF_PROCESS = 1
"""``IOPRIO_WHO_PROCESS``."""
PLACES = (ROOM, *(f"{ROOM}/{name}" for name in ROOM_FOLDERS))


class Rows:
    """What a sandbox for rows is from inside. Whatever is wrong with it, it ends: then the worker
    starts the row another way."""

    def __init__(self, run: WarmRun) -> None:
        """run: one that has given up all rights; its standard output is what rows come through."""
        prctl(PR_SET_DUMPABLE, 0)
        self.run = run
        self.channel = socket.socket(fileno=os.dup(1))
        self.channel.settimeout(IDLE_S)
        null = os.open("/dev/null", os.O_RDWR)
        for number in (1, 2):
            os.dup2(null, number)
        os.close(null)
        self.own = os.pidfd_open(os.getpid())
        self.scope = make_own_scope()
        self.first = state()
        self.free_files = free_files()

    def prepare(self, interpreter: WarmInterpreter) -> None:
        """Do once what is the same for all rows."""
        try:
            interpreter.prepare_rows(self.run.order)
        except BaseException:  # noqa: BLE001 - the worker makes one that is not prepared
            os._exit(START_FAILED)

    def serve(self) -> dict[str, str]:
        """Return in the process of each row, with its order: the variables it has beside ours.

        Never returns in this one.
        """
        while True:
            try:
                size, order_file, commands, report, out, err = self.receive()
                if state() != self.first:
                    os._exit(START_FAILED)
                self.tidy()
                write_input(order_file, size)
                send_room(report, os.dup(self.own), self.run.owner())
                if not claim(order_file):
                    os._exit(START_FAILED)
            except BaseException:  # noqa: BLE001 - the worker takes the order back
                os._exit(START_FAILED)
            started = time.monotonic()
            try:
                pid = os.fork()
            except OSError as error:
                answer_worker(report, {"problem": f"There is no process for it: {error.strerror}."})
                os._exit(START_FAILED)
            if pid == 0:
                return self.become_row(order_file, out, err)
            close_all((order_file, out, err))
            answer = self.follow(pid, commands, started, self.run.limits["timeout_s"])
            close_all((commands,))
            answer_worker(report, answer)
            if answer["left"]:
                os._exit(START_FAILED)

    def receive(self) -> list[int]:
        """Return the size of the next row's order and its descriptors. Ends the process when there
        is no row."""
        try:
            size, descriptors, flags, _ = socket.recv_fds(
                self.channel, SIZE_BYTES, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except TimeoutError:
            os._exit(0)
        if flags & socket.MSG_CTRUNC or len(descriptors) != DESCRIPTORS:
            os._exit(0)
        return [int(size), *descriptors]

    def tidy(self) -> None:
        """Remove all that the row before has left. Raises OSError."""
        for path in USUAL_FILES:
            try:
                os.unlink(path)
            except OSError:
                continue  # It is not there, or no file.
        if free_files() != self.free_files:
            clear_room_elsewhere()

    def become_row(self, order_file: int, out: int, err: int) -> dict[str, str]:
        """Be the process of a row; return its order. Nobody else's channel stays open in it."""
        try:
            self.channel.detach()
            # One that was open before would have the flags and locks that the last row gave it.
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(out, 1)
            os.dup2(err, 2)
            order = read_order(order_file)
            enter_own_scope(self.scope)
            os.closerange(3, 1 << 20)
            prctl(PR_SET_DUMPABLE, 1)
            os.setsid()  # Last: it tells ``WarmRun.is_row_unstarted`` that this is the script's.
        except BaseException:  # noqa: BLE001 - no script without it, and no exit code of one
            os.kill(os.getpid(), signal.SIGKILL)
        return order

    def follow(self, pid: int, commands: int, started: float, timeout_s: float) -> dict[str, Any]:
        """Wait for the end of a row, or bring it about; return what is to be reported."""
        script = os.pidfd_open(pid)
        poll = select.poll()
        for descriptor in (script, commands):
            poll.register(descriptor, select.POLLIN)
        reason = "time_limit"
        if ready := poll.poll(timeout_s * 1000):
            reason = "exited"
            if script not in {descriptor for descriptor, _ in ready}:
                reason = "told" if os.read(commands, 1) else "worker_gone"
                signal.pidfd_send_signal(script, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(script, signal.SIGKILL)
        is_dead = bool(poll.poll(0)) if reason == "exited" else ends(script)
        os.close(script)
        status, usage = None, None
        if is_dead:
            _, code, usage = os.wait4(pid, 0)
            status = os.waitstatus_to_exitcode(code)
        return {
            "reason": reason,
            "status": status,
            "left": kill_others() + (not is_dead),
            "wall_s": time.monotonic() - started,
            "cpu_s": usage.ru_utime + usage.ru_stime if usage else 0.0,
            "peak_bytes": usage.ru_maxrss * 1024 if usage else 0,
        }


def ends(process: int) -> bool:
    """Wait for the end of a process that was killed. Returns whether it came."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(KILL_PATIENCE_S * 1000))


def kill_others() -> int:
    """Kill every other process of this namespace. Returns 1 if any would not die, else 0.

    Those whose parent has ended belong to process 1, and the kernel takes them at once.
    """
    patience = time.monotonic() + KILL_PATIENCE_S
    while time.monotonic() < patience:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return 0
        time.sleep(0.001)
    return 1


def free_files() -> int:
    """Return how many more files there may be; the kernel counts each name as one."""
    return os.statvfs(ROOM).f_ffree


def clear_room_elsewhere() -> None:
    """Do ``clear_room`` in a process of its own, whose memory then holds the names. Raises
    OSError."""
    pid = os.fork()
    if pid == 0:
        code = START_FAILED
        try:
            clear_room()
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise OSError(0, "what was left in the sandbox could not be removed")


def clear_room() -> None:
    """Remove all that scripts have left. Raises OSError."""
    if set(os.listdir(ROOM)) != set(ROOM_FOLDERS):
        raise OSError(0, "the folders of the sandbox are not those it had")
    for name in ROOM_FOLDERS:
        folder = os.open(f"{ROOM}/{name}", FOLDER_FLAGS)
        try:
            empty_folder(folder)
        finally:
            os.close(folder)


def write_input(order_file: int, size: int) -> None:
    """Write what follows an order of that size to the row's input file, past our own memory. Raises
    OSError, for instance when it is larger than the row may write."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    target = os.open(INPUT, flags, 0o400)
    end = os.fstat(order_file).st_size
    while size < end:
        size += os.sendfile(target, order_file, size, end - size)
    os.close(target)


def state() -> list[Any]:
    """Return what a script can change of us, or of its folders, and the next row would inherit."""
    scheduling = ctypes.create_string_buffer(SCHEDULING_BYTES)
    call("sched_getattr", 0, scheduling, SCHEDULING_BYTES, 0)
    return [
        *map(resource.getrlimit, LIMITS),
        scheduling.raw,
        os.sched_getaffinity(0),
        call("ioprio_get", OF_PROCESS, 0),
        *map(state_of_folder, PLACES),
    ]


def state_of_folder(path: str) -> list[Any]:
    """Return which one it is and what is kept with it: its mode, its lists of rights and others."""
    found = os.lstat(path)
    names = os.listxattr(path, follow_symlinks=False)
    return [found.st_ino, found.st_mode, found.st_uid, found.st_gid, *names]
