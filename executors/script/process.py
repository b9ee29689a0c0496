"""Follows one run from the worker's side: log, progress, cancel, and how it ended."""

from __future__ import annotations

import ast
import marshal
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from executors.contract import Limits, Sink, StopReason, Stream, Usage
from executors.script.level import MachineProblem
from executors.script.log import RunLog
from executors.script.progress import ProgressFile
from executors.script.run_folder import ROOM_DESCRIPTORS, Room
from executors.script.stage import KILL_PATIENCE_S, SANDBOX_FAILED

MARSHAL_VERSION = 4
"""Every Python there is reads it; the stage's may be another than ours."""
READ_BYTES = 64 * 1024
REPORT_BYTES = 64 * 1024
SELECT_S = 0.05
ALIVE_EVERY_S = 1.0
PROGRESS_EVERY_S = 0.2
DRAIN_S = 1.0
STAGE_GRACE_S = KILL_PATIENCE_S + 20
"""How long after the time limit a stage that does not report is given up."""

REASONS = {"time_limit": StopReason.TIME_LIMIT, "memory_limit": StopReason.MEMORY_LIMIT}


@dataclass(frozen=True)
class Ending:
    """How a run ended. exit_code is negative for a signal, None when it never started."""

    stop_reason: StopReason
    exit_code: int | None = None
    problem: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Launch:
    """What to start. uid and gid are None where the run is the worker's own user."""

    stage: list[str]
    argv: list[str]
    env: dict[str, str]
    cwd: str
    sandbox: dict[str, Any] | None
    """What the stage builds around the script; None at the level ``process``."""
    uid: int | None
    gid: int | None
    marker: str | None
    """Text that only this run's environment holds; None where no process can outlive the stage."""
    held: tuple[int, ...] = ()
    """Locks that the stage keeps while anything of the run may be alive."""


class RunProcess:
    """One run. Call ``run`` once."""

    def __init__(
        self,
        launch: Launch,
        limits: Limits,
        room: Room,
        log: RunLog,
        progress: ProgressFile,
        sink: Sink,
    ) -> None:
        self._launch = launch
        self._room = room
        self._limits = limits
        self._log = log
        self._progress = progress
        self._sink = sink
        self._wanted: StopReason | None = None
        self._report = b""
        self._order_fd = -1

    def run(self) -> Ending:
        """Start the stage and follow it until nothing of the run is alive.

        What the sink raises passes through, after everything of the run was killed. Raises
        MachineProblem when the sandbox could not be made; then nothing of the script ran.
        """
        pipes = [os.pipe() for _ in range(3)]
        (order_r, self._order_fd), (out_r, out_w), (err_r, err_w) = pipes
        # A socket, since it carries open folders, too.
        report_r, report_w = (end.detach() for end in socket.socketpair())
        theirs = (order_r, report_w, out_w, err_w)
        stage = None
        try:
            try:
                stage = subprocess.Popen(
                    [*self._launch.stage, *map(str, theirs)],
                    pass_fds=(*theirs, *self._launch.held),
                    env={"PATH": os.defpath, **_library_path()},
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                return Ending(
                    StopReason.COULD_NOT_START,
                    problem=f"There is no process for it: {error.strerror}.",
                )
            finally:
                for descriptor in theirs:
                    os.close(descriptor)
            self._send_order()
            self._follow(report_r, {out_r: "stdout", err_r: "stderr"})
        finally:
            # The end of this pipe tells the stage to kill everything, whatever happened here.
            os.close(self._order_fd)
            if stage is not None:
                self._end(stage)
            for descriptor in (report_r, out_r, err_r):
                os.close(descriptor)
        self._log.finish()
        return self._ending()

    def _send_order(self) -> None:
        order = marshal.dumps(
            {
                "argv": self._launch.argv,
                "env": self._launch.env,
                "cwd": self._launch.cwd,
                "sandbox": self._launch.sandbox,
                "uid": self._launch.uid,
                "gid": self._launch.gid,
                "worker_pid": os.getpid(),
                "limits": self._limits.model_dump(),
            },
            MARSHAL_VERSION,
        )
        data = memoryview(len(order).to_bytes(8, "big") + order)
        with suppress(BrokenPipeError):  # A stage that died says so by having no report.
            while data:
                data = data[os.write(self._order_fd, data) :]

    def _follow(self, report_r: int, streams: dict[int, Stream]) -> None:
        selector = selectors.DefaultSelector()
        with selector:
            for descriptor in (report_r, *streams):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            give_up = time.monotonic() + self._limits.timeout_s + STAGE_GRACE_S
            chores = _Chores(self._check_alive, self._tell_progress)
            while report_r in selector.get_map():
                for key, _ in selector.select(SELECT_S):
                    self._read(key.fd, selector, streams)
                now = time.monotonic()
                self._log.tick(now)
                chores.tick(now)
                if now > give_up:
                    return
            # Everything is dead, so what is left in the pipes is all there will ever be.
            drained_by = time.monotonic() + DRAIN_S
            while selector.get_map() and time.monotonic() < drained_by:
                for key, _ in selector.select(SELECT_S):
                    self._read(key.fd, selector, streams)
            self._tell_progress()

    def _read(
        self, descriptor: int, selector: selectors.BaseSelector, streams: dict[int, Stream]
    ) -> None:
        try:
            if descriptor in streams:
                data = os.read(descriptor, READ_BYTES)
            else:
                data = self._receive(descriptor)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""  # The stage died with something of ours unread.
        if not data:
            selector.unregister(descriptor)
        elif descriptor in streams:
            self._log.feed(streams[descriptor], data, time.monotonic())
            if self._log.total_bytes > self._limits.log_flood_bytes:
                self._stop(StopReason.OUTPUT_LIMIT)
        else:
            self._report = (self._report + data)[:REPORT_BYTES]

    def _receive(self, descriptor: int) -> bytes:
        """Read of the report; folders that come with it go to the room."""
        with socket.socket(fileno=descriptor) as channel:
            try:
                data, folders, _, _ = socket.recv_fds(
                    channel, READ_BYTES, ROOM_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            finally:
                channel.detach()
        if folders:
            self._room.take(folders)
        return data

    def _check_alive(self) -> None:
        if self._wanted is None and not self._sink.alive():
            self._stop(StopReason.CANCEL_REQUESTED)

    def _tell_progress(self) -> None:
        newest = self._progress.read()
        if newest is not None:
            self._sink.progress(*newest)

    def _stop(self, reason: StopReason) -> None:
        if self._wanted is None:
            self._wanted = reason
            with suppress(BrokenPipeError):
                os.write(self._order_fd, b"k")

    def _end(self, stage: subprocess.Popen[bytes]) -> None:
        """Wait for the stage; should it be dead or stuck, do its work from outside."""
        try:
            stage.wait(KILL_PATIENCE_S + 5)
        except subprocess.TimeoutExpired:
            stage.kill()
            stage.wait()
        if stage.returncode != 0 or not self._report:
            kill_strays(self._launch.uid, self._launch.marker)

    def _ending(self) -> Ending:
        try:
            report = cast("dict[str, Any]", ast.literal_eval(self._report.decode()))
        except (ValueError, SyntaxError):
            if self._wanted is not None:
                return Ending(self._wanted)
            return Ending(StopReason.KILLED, problem="The process that guards the run was killed.")
        problem = cast("str", report.get("problem", ""))
        if problem.startswith(SANDBOX_FAILED):
            raise MachineProblem(problem)
        if problem:
            return Ending(StopReason.COULD_NOT_START, problem=problem)
        usage = Usage(
            wall_s=report["wall_s"],
            cpu_s=report["cpu_s"],
            peak_memory_bytes=report["peak_bytes"],
        )
        problem = f"{report['left']} processes could not be killed." if report["left"] else ""
        status = cast("int | None", report["status"])
        reason = REASONS.get(report["reason"])
        if reason is None and report["reason"] == "exited" and status is not None:
            reason = StopReason.KILLED if status < 0 else StopReason.EXITED
        if self._wanted is StopReason.OUTPUT_LIMIT or reason is None:
            reason = self._wanted or StopReason.KILLED
        return Ending(reason, status, problem, usage)


class _Chores:
    """Calls what has to happen now and then."""

    def __init__(self, alive: Callable[[], None], progress: Callable[[], None]) -> None:
        self._chores = [(ALIVE_EVERY_S, alive), (PROGRESS_EVERY_S, progress)]
        now = time.monotonic()
        self._due = [now + every for every, _ in self._chores]

    def tick(self, now: float) -> None:
        for number, (every, chore) in enumerate(self._chores):
            if now >= self._due[number]:
                self._due[number] = now + every
                chore()


def _library_path() -> dict[str, str]:
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
