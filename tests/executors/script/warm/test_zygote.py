"""What a zygote does with a run, whose guard and script here are one program."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from executors.script.warm import run as warm_run
from executors.script.warm import zygote as warm_zygote
from executors.script.warm.run import WarmRun
from executors.script.warm.world import Guard, World
from executors.script.warm.zygote import Zygote
from tests.executors.script.test_limits import wait_until

HANGS = ["sleep", "60"]


class NoWorld:
    """A world whose guards are made by the test."""

    def give_back(self, guard: Guard) -> None:
        os.close(guard.descriptor)


class Watched:
    """A run of a zygote with a program in place of its script, and the worker's ends.

    guard: the program that is in place of its guard.
    """

    def __init__(self, command: list[str], guard: list[str], lock: Path) -> None:
        self.zygote = make_zygote()
        self.process = subprocess.Popen(command)
        self.guard = subprocess.Popen(guard)
        self.run = WarmRun(cast("World", NoWorld()), None)
        self.run.pid = self.process.pid
        self.run.script = os.pidfd_open(self.process.pid)
        self.run.guard = Guard(self.guard.pid, os.pidfd_open(self.guard.pid), 0)
        self.run.problem_reader, self.problem = os.pipe()
        os.set_blocking(self.run.problem_reader, False)
        self.run.order_fd, self.commands = os.pipe()
        self.report, theirs = socket.socketpair()
        self.run.report_fd = theirs.detach()
        self.lock = lock
        self.run.held = [os.open(lock, os.O_RDWR | os.O_CREAT)]
        fcntl.flock(self.run.held[0], fcntl.LOCK_EX)
        self.run.started = self.run.looked = time.monotonic()
        self.run.deadline = self.run.started + 60
        self.run.limits = {"memory_bytes": 1 << 30}
        for descriptor in (self.run.script, self.run.guard.descriptor):
            self.zygote.listen(self.run, descriptor)
        self.zygote.runs.add(self.run)

    def told(self) -> list[bytes]:
        return self.report.recv(4096).split()

    def is_locked(self) -> bool:
        other = os.open(self.lock, os.O_RDWR)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(other)
        return False

    def close(self) -> None:
        self.process.kill()
        self.process.returncode = 0  # The zygote takes it.
        self.guard.kill()
        self.guard.wait()
        for descriptor in (self.problem, self.commands):
            os.close(descriptor)
        self.report.close()


def make_zygote() -> Zygote:
    control, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    zygote = Zygote(control, cast("World", NoWorld()), None, {"idle_s": 60, "spare_s": 60})
    zygote.may_prepare = False
    return zygote


MakeWatched = Callable[..., Watched]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[MakeWatched]:
    made: list[Watched] = []

    def make(command: list[str], guard: list[str] = HANGS) -> Watched:
        made.append(Watched(command, guard, tmp_path / "lock"))
        return made[-1]

    yield make
    for watched in made:
        watched.close()


def is_dead(process: subprocess.Popen[bytes]) -> bool:
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def test_how_a_script_ended_is_told_also_when_all_of_it_ended_at_once(watch: MakeWatched) -> None:
    watched = watch(["sh", "-c", "kill -TERM $$"], ["true"])
    wait_until(lambda: is_dead(watched.process))
    watched.guard.wait()

    watched.zygote.handle({watched.run.script, watched.run.guard.descriptor})

    assert watched.told()[:3] == [b"exited", b"-15", b"0"]
    assert watched.zygote.runs == set()


def test_what_a_script_leaves_running_is_ended_before_its_end_is_told(watch: MakeWatched) -> None:
    watched = watch(["true"], ["sh", "-c", "sleep 60 & wait"])
    wait_until(lambda: watched.run.guard.others() != [])
    wait_until(lambda: is_dead(watched.process))

    watched.zygote.handle({watched.run.script})

    assert not watched.run.is_reported
    assert watched.is_locked()

    assert watched.guard.wait() == -signal.SIGKILL
    watched.zygote.handle({watched.run.guard.descriptor})

    assert watched.told()[:3] == [b"exited", b"0", b"0"]
    assert not watched.is_locked()


def test_a_run_that_cannot_be_killed_keeps_its_locks_until_it_is_dead(
    watch: MakeWatched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(HANGS)
    monkeypatch.setattr(WarmRun, "kill", lambda self: None)
    monkeypatch.setattr(warm_run, "KILL_PATIENCE_S", 0)
    watched.run.deadline = time.monotonic()

    watched.zygote.handle(set())
    watched.zygote.handle(set())

    assert watched.told()[:3] == [b"time_limit", b"None", b"2"]
    assert watched.is_locked()
    assert watched.zygote.runs == set()

    watched.process.kill()
    wait_until(lambda: is_dead(watched.process))
    watched.zygote.handle({watched.run.script})
    assert watched.is_locked()

    watched.guard.kill()
    watched.guard.wait()
    watched.zygote.handle({watched.run.guard.descriptor})

    assert not watched.is_locked()
    assert watched.zygote.stuck == set()


def test_a_run_that_was_reported_is_not_waited_for_without_end(
    watch: MakeWatched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(["true"])
    monkeypatch.setattr(WarmRun, "kill", lambda self: None)
    monkeypatch.setattr(warm_run, "KILL_PATIENCE_S", 0)
    wait_until(lambda: is_dead(watched.process))
    watched.zygote.handle({watched.run.script})

    assert watched.told()[:3] == [b"exited", b"0", b"0"]
    assert not watched.is_locked()

    watched.zygote.handle(set())

    assert watched.zygote.runs == set()
    assert watched.zygote.stuck == {watched.run}
    watched.guard.kill()
    watched.guard.wait()
    watched.zygote.handle({watched.run.guard.descriptor})
    assert watched.zygote.stuck == set()


def test_an_order_that_comes_cut_off_ends_no_other_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the kernel hands over descriptors when the zygote can open no more."""
    zygote = make_zygote()
    reader, writer = os.pipe()
    message = (b"head", [writer], socket.MSG_CTRUNC, None)
    monkeypatch.setattr(warm_zygote.socket, "recv_fds", lambda *_: message)

    zygote.handle({zygote.control.fileno()})

    assert zygote.is_open
    assert os.read(reader, 1) == b""
