"""How a worker gets the stage of a run, the trusted process around the script.

``ColdStart`` starts one for the run. ``warm/pool.py`` has the other way.
"""

from __future__ import annotations

import functools
import marshal
import os
import select
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from executors.contract import Limits
from executors.script.run_folder import Room
from executors.script.sandbox.probe import MARSHAL_VERSION
from executors.script.sandbox.view import FRAME
from executors.script.stage import KILL_PATIENCE_S

READ_BYTES = 64 * 1024


@functools.lru_cache(maxsize=100)
def as_numbers(limits: Limits) -> dict[str, Any]:
    """Return limits as a stage is told them; not to be changed."""
    return limits.model_dump()


@dataclass(frozen=True)
class Launch:
    """What to start. uid and gid are None where the run is the worker's own user."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    sandbox: dict[str, Any] | None
    """What the stage builds around the script; None at the level ``process``."""
    limits: dict[str, Any]
    uid: int | None
    gid: int | None
    marker: str | None
    """Text that only this run's environment holds; None where no process can outlive the stage."""
    held: tuple[int, ...] = ()
    """Locks that the stage keeps while anything of the run may be alive."""

    def frame(self) -> dict[str, Any]:
        """Return the part of the sandbox that is the same for other runs."""
        return {name: part for name, part in (self.sandbox or {}).items() if name in FRAME}

    def order(self, **more: Any) -> bytes:
        """Return what the stage is told; more is added or instead."""
        order = {
            "argv": self.argv,
            "env": self.env,
            "cwd": self.cwd,
            "sandbox": self.sandbox,
            "uid": self.uid,
            "gid": self.gid,
            "worker_pid": os.getpid(),
            "limits": self.limits,
            **more,
        }
        return marshal.dumps(order, MARSHAL_VERSION)


@dataclass(frozen=True)
class Channels:
    """The stage's ends of what connects it to the worker; see ``stage.py``."""

    commands: int
    report: int
    out: int
    err: int

    def all(self) -> tuple[int, ...]:
        return self.commands, self.report, self.out, self.err

    def close(self) -> None:
        for descriptor in self.all():
            os.close(descriptor)


class Starter(ABC):
    """Gives one run its stage, and sees to it that nothing of the run is left."""

    can_be_lost = False
    """Whether the stage may be gone before the run began, through no fault of the run."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch

    @abstractmethod
    def start(self, theirs: Channels, commands: int) -> None:
        """Start the stage. Takes over theirs; commands is our end. Raises OSError."""

    def take_back(self) -> bool:
        """Take back an order whose run has not begun. Returns whether that could be: then it never
        will begin."""
        return False

    def end(self, room: Room, report: int, *, reported: bool) -> None:
        """Wait for the stage; should it be dead or stuck, do its work from outside.

        report: our end of the channel it reports by. reported: whether it has.
        """
        if reported:
            return
        self.kill_guard(room)
        kill_strays(self._launch.uid, self._launch.marker)

    def kill_guard(self, room: Room) -> None:
        """Kill process 1 of the run, with which all of it ends, and wait for its end."""
        if room.guard is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(room.guard, signal.SIGKILL)
            is_over(room.guard, KILL_PATIENCE_S)


class ColdStart(Starter):
    """A stage of its own: the first of two interpreters that start for the run."""

    def __init__(self, launch: Launch, command: list[str]) -> None:
        """command: starts a stage; the numbers of its channels are appended."""
        super().__init__(launch)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, theirs: Channels, commands: int) -> None:
        try:
            self._process = subprocess.Popen(
                [*self._command, *map(str, theirs.all())],
                pass_fds=(*theirs.all(), *self._launch.held),
                env={"PATH": os.defpath, **library_path()},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()
        order = self._launch.order()
        with suppress(BrokenPipeError):  # A stage that died says so by having no report.
            write_all(commands, len(order).to_bytes(8, "big") + order)

    def end(self, room: Room, report: int, *, reported: bool) -> None:
        if self._process is None:
            return
        end_process(self._process, KILL_PATIENCE_S + 5)
        super().end(room, report, reported=reported and self._process.returncode == 0)


def write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def end_process(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Wait for the end of process; kill it when it takes longer than it may."""
    if process.poll() is not None:
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        if not is_over(descriptor, patience_s):
            process.kill()
    finally:
        os.close(descriptor)
    process.wait()


def is_over(process: int, timeout_s: float) -> bool:
    """Wait for the end of a process, given as a descriptor. Returns whether it came."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def ends_in_time(report: int, patience_s: float) -> bool:
    """Wait until a channel ends; what still comes is dropped. Returns whether it did."""
    deadline = time.monotonic() + patience_s
    poll = select.poll()
    poll.register(report, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        with suppress(BlockingIOError, ConnectionResetError):
            if os.read(report, READ_BYTES):
                continue
        return True
    return False


def last_words(errors: IO[bytes]) -> str:
    """Return the last line a zygote wrote to its standard error."""
    errors.seek(0)
    lines = errors.read(READ_BYTES).decode("utf-8", "replace").splitlines()
    return lines[-1] if lines else "it ended"


def library_path() -> dict[str, str]:
    """Our own interpreter may have been started with a library path it cannot do without."""
    name = "LD_LIBRARY_PATH"
    return {name: os.environ[name]} if name in os.environ else {}


def kill_strays(uid: int | None, marker: str | None) -> None:
    """Kill what is left of a run whose stage died: by user id, else by its environment."""
    if uid is None and marker is None:
        return
    for _ in range(50):
        strays = [path for path in Path("/proc").iterdir()
                  if path.name.isdigit() and _belongs(path, uid, marker)]  # fmt: skip
        if not strays:
            return
        for path in strays:
            with suppress(OSError):
                os.kill(int(path.name), signal.SIGKILL)
        time.sleep(0.01)


def _belongs(process: Path, uid: int | None, marker: str | None) -> bool:
    try:
        state = (process / "stat").read_bytes().rpartition(b")")[2].split()[0]
        if state in (b"Z", b"X"):
            return False
        if uid is not None:
            return process.stat().st_uid == uid
        return marker is not None and marker.encode() in (process / "environ").read_bytes()
    except (OSError, IndexError):
        return False
