"""Follows one run from the worker's side: log, progress, cancel, and how it ended."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from executors.contract import Limits, Sink, StopReason, Stream, Usage
from executors.script.level import MachineProblem
from executors.script.log import RunLog
from executors.script.network.keeper import GateProcess
from executors.script.progress import ProgressFile
from executors.script.run_folder import MOST_DESCRIPTORS, Room
from executors.script.stage import KILL_PATIENCE_S, REPORTED, SANDBOX_FAILED
from executors.script.start import Channels, Starter

READ_BYTES = 64 * 1024
REPORT_BYTES = 64 * 1024
SELECT_MS = 50
ALIVE_EVERY_S = 1.0
PROGRESS_EVERY_S = 0.2
DRAIN_S = 1.0
BEGIN_PATIENCE_S = 10
"""How long a stage that can be lost may take to build the sandbox."""
STAGE_GRACE_S = KILL_PATIENCE_S + 20
"""How long after the time limit a stage that does not report is given up."""

ROOM_LOST = "The run was stopped: its folders did not reach the worker."

MOST_NUMBER, MOST_BYTES = 2**31 - 1, 2**63 - 1
"""What the database can store."""

REASONS = {"time_limit": StopReason.TIME_LIMIT, "memory_limit": StopReason.MEMORY_LIMIT}


@dataclass(frozen=True)
class Ending:
    """How a run ended. exit_code is negative for a signal, None when it never started."""

    stop_reason: StopReason
    exit_code: int | None = None
    problem: str = ""
    usage: Usage = field(default_factory=Usage)
    left: int = 0
    """Processes of the run that could not be killed."""


class StageLost(Exception):
    """The stage was gone before the run began; it can be started another way."""


class RunProcess:
    """One run. Call ``run`` once."""

    def __init__(
        self,
        starter: Starter,
        limits: Limits,
        room: Room,
        log: RunLog,
        progress: ProgressFile,
        sink: Sink,
        gate: GateProcess | None = None,
    ) -> None:
        """gate: of a run that has the network."""
        self._starter = starter
        self._room = room
        self._limits = limits
        self._log = log
        self._progress = progress
        self._sink = sink
        self._gate = gate
        self._wanted: StopReason | None = None
        self._report = b""
        self._open: set[int] = set()
        """Channels that have not ended."""
        self._commands = -1
        self._has_lost_room = False
        """Whether its folders did not arrive: what it leaves in them cannot be read."""
        self._is_lost = False
        """Whether the order was taken back: then nothing of the script ran or will."""

    def run(self) -> Ending:
        """Start the stage and follow it until nothing of the run is alive.

        What the sink raises passes through, after everything of the run was killed. Raises
        MachineProblem when the sandbox could not be made, and StageLost; then nothing of the script
        ran.
        """
        (commands_r, self._commands), (out_r, out_w), (err_r, err_w) = (os.pipe() for _ in range(3))
        # A socket, since it carries open folders, too.
        report_r, report_w = (end.detach() for end in socket.socketpair())
        try:
            try:
                self._starter.start(Channels(commands_r, report_w, out_w, err_w), self._commands)
            except OSError as error:
                if self._starter.can_be_lost:
                    raise StageLost(str(error)) from error
                return Ending(
                    StopReason.COULD_NOT_START,
                    problem=f"There is no process for it: {error.strerror}.",
                )
            self._follow(report_r, {out_r: "stdout", err_r: "stderr"})
        finally:
            # The end of this pipe tells the stage to kill everything, whatever happened here.
            os.close(self._commands)
            if not (self._is_lost or self._has_report() or self._room.is_taken):
                self._is_lost = self._starter.take_back()
            self._starter.end(self._room, report_r, reported=self._has_report())
            for descriptor in (report_r, out_r, err_r):
                os.close(descriptor)
        if self._is_lost:
            if self._wanted is not None and not self._has_lost_room:
                return Ending(self._wanted)
            raise StageLost("it ended before the run began")
        self._log.finish()
        ending = self._ending()
        if self._has_lost_room:
            return replace(ending, stop_reason=StopReason.KILLED, exit_code=None, problem=ROOM_LOST)
        return ending

    def _follow(self, report_r: int, streams: dict[int, Stream]) -> None:
        poll = select.poll()
        self._open = {report_r, *streams}
        for descriptor in self._open:
            poll.register(descriptor, select.POLLIN)
        started = time.monotonic()
        give_up = started + self._limits.timeout_s + STAGE_GRACE_S
        begin_by = started + BEGIN_PATIENCE_S if self._starter.can_be_lost else give_up
        chores = _Chores(started, self._check_alive, self._tell_progress)
        while report_r in self._open:
            ready = poll.poll(SELECT_MS)
            self._hear_gate()  # First what was refused, then what the script says to that.
            for descriptor, _ in ready:
                self._read(descriptor, poll, streams)
            now = time.monotonic()
            self._log.tick(now)
            chores.tick(now)
            if now > give_up:
                return
            if (now > begin_by or self._is_unwanted()) and not self._room.is_taken:
                self._is_lost = self._starter.take_back()
                if self._is_lost:
                    return
                begin_by = give_up  # It began this very moment.
        # Everything is dead, so what is left in the pipes is all there will ever be.
        drained_by = time.monotonic() + DRAIN_S
        while self._open and time.monotonic() < drained_by:
            for descriptor, _ in poll.poll(SELECT_MS):
                self._read(descriptor, poll, streams)
        self._tell_progress()

    def _read(self, descriptor: int, poll: select.poll, streams: dict[int, Stream]) -> None:
        """Read what there is; only called when there is something, or the end."""
        try:
            if descriptor in streams:
                data = os.read(descriptor, READ_BYTES)
            else:
                data = self._receive(descriptor)
        except ConnectionResetError:
            data = b""  # The stage died with something of ours unread.
        if not data:
            poll.unregister(descriptor)
            self._open.discard(descriptor)
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
                data, folders, flags, _ = socket.recv_fds(
                    channel, READ_BYTES, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            finally:
                channel.detach()
        if flags & socket.MSG_CTRUNC:
            # Which of them came is not known.
            for folder in folders:
                os.close(folder)
            self._lose_room()
        elif folders:
            self._room.take(folders)
            if not self._room.is_taken:
                self._lose_room()
            if self._gate is not None and self._room.listener is not None:
                self._gate.open(self._room.listener)
                self._room.listener = None
        return data

    def _is_unwanted(self) -> bool:
        """Return whether an order is to be taken back that nobody waits for any more."""
        return self._wanted is not None and self._starter.can_be_lost

    def _lose_room(self) -> None:
        self._has_lost_room = True
        self._stop(StopReason.KILLED)

    def _hear_gate(self) -> None:
        for line in self._gate.read() if self._gate is not None else ():
            self._log.feed("stderr", f"[network] {line}\n".encode(), time.monotonic())

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
                os.write(self._commands, b"k")

    def _has_report(self) -> bool:
        """Return whether more came than the blank that folders come with."""
        return bool(self._report.strip())

    def _ending(self) -> Ending:
        first, _, rest = self._report.decode("utf-8", "replace").strip().partition(" ")
        if first == "problem":
            if rest.startswith(SANDBOX_FAILED):
                raise MachineProblem(rest)
            return Ending(StopReason.COULD_NOT_START, problem=rest)
        numbers = read_numbers(rest.split())
        if numbers is None:
            if self._wanted is not None:
                return Ending(self._wanted)
            return Ending(StopReason.KILLED, problem="The process that guards the run was killed.")
        status, left, usage = numbers
        problem = f"{left} processes could not be killed." if left else ""
        reason = REASONS.get(first)
        if reason is None and first == "exited" and status is not None:
            reason = StopReason.KILLED if status < 0 else StopReason.EXITED
        if self._wanted is StopReason.OUTPUT_LIMIT or reason is None:
            reason = self._wanted or StopReason.KILLED
        return Ending(reason, status, problem, usage, left)


def read_numbers(words: list[str]) -> tuple[int | None, int, Usage] | None:
    """Return exit status, how many processes are left, and the usage of a report; None where that
    is not what it says. The code of packages runs where rows are served, and could write one."""
    if len(words) != len(REPORTED) - 1:
        return None
    try:
        status = None if words[0] == "None" else int(words[0])
        left, peak_bytes = int(words[1]), int(words[4])
        wall_s, cpu_s = float(words[2]), float(words[3])
    except ValueError:
        return None
    most = ((abs(status or 0), MOST_NUMBER), (left, MOST_NUMBER), (wall_s, MOST_NUMBER),
            (cpu_s, MOST_NUMBER), (peak_bytes, MOST_BYTES))  # fmt: skip
    if not all(0 <= number <= bound for number, bound in most):  # That is so for no NaN.
        return None
    return status, left, Usage(wall_s=wall_s, cpu_s=cpu_s, peak_memory_bytes=peak_bytes)


class _Chores:
    """Calls what has to happen now and then."""

    def __init__(self, now: float, alive: Callable[[], None], progress: Callable[[], None]) -> None:
        self._chores = [(ALIVE_EVERY_S, alive), (PROGRESS_EVERY_S, progress)]
        self._due = [now + every for every, _ in self._chores]

    def tick(self, now: float) -> None:
        for number, (every, chore) in enumerate(self._chores):
            if now >= self._due[number]:
                self._due[number] = now + every
                chore()
