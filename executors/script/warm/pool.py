"""The worker's side of warm starts: which zygotes there are, and how a run gets one.

A zygote serves one tenant and one interpreter: the runs it forks share its hash seed and the layout
of its memory. Whatever is wrong with a zygote, the run can still start cold.
"""

from __future__ import annotations

import logging
import marshal
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from executors.contract import Limits
from executors.script.interpreter import library_environment
from executors.script.run_folder import Room
from executors.script.sandbox.probe import MARSHAL_VERSION
from executors.script.sandbox.view import FRAME
from executors.script.stage import KILL_PATIENCE_S
from executors.script.start import Channels, Launch, Starter, end_process

BOOT = (
    "import os, sys; sys.path.append(os.read(int(sys.argv[1]), 4096).decode()); "
    "from executors.script.warm.zygote import main; main(int(sys.argv[1]))"
)
"""The folder of the code comes through the socket: a run can read the command line."""
CODE = Path(__file__).resolve().parents[3]
START_PATIENCE_S = 20
SEND_PATIENCE_S = 2
RETRY_AFTER_S = 60
READY_BYTES = 64
READ_BYTES = 64 * 1024

MOST_ZYGOTES = 8
MOST_RUNS = 500
IDLE_S = 300
GROWTH_BYTES = 32 * 1024 * 1024

logger = logging.getLogger(__name__)

Key = tuple[str, Path, tuple[str, ...]]
"""Tenant, interpreter, imported modules."""


@dataclass(frozen=True)
class Recycling:
    """When a zygote has to go. Limits of one worker process."""

    most_zygotes: int = MOST_ZYGOTES
    most_runs: int = MOST_RUNS
    idle_s: float = IDLE_S
    growth_bytes: int = GROWTH_BYTES


class NoZygote(Exception):
    """There is none for this run; the message says why."""


@dataclass(eq=False)
class Zygote:
    """One zygote as the worker holds it."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    errors: IO[bytes]
    """Its standard error."""
    python: tuple[int, ...]
    """Which file the interpreter was when it started."""
    frame: dict[str, Any]
    first_bytes: int = 0
    active: int = 0
    served: int = 0
    used_at: float = field(default_factory=time.monotonic)

    def resident_bytes(self) -> int:
        """Return its memory; 0 when it is not there any more."""
        try:
            fields = Path(f"/proc/{self.process.pid}/statm").read_bytes().split()
            return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def close(self) -> None:
        """Let it end when its last run does."""
        self.control.close()
        self.errors.close()


class Zygotes:
    """The zygotes of one worker process. Safe to use from several threads."""

    def __init__(self, recycling: Recycling | None = None) -> None:
        self._recycling = recycling or Recycling()
        self._lock = threading.Lock()
        self._zygotes: dict[Key, Zygote] = {}
        self._leaving: list[Zygote] = []
        self._failed_at: dict[Path, float] = {}
        _pools.add(self)

    @contextmanager
    def use(
        self, tenant: str, python: Path, preloaded: tuple[str, ...], frame: dict[str, Any]
    ) -> Iterator[Zygote]:
        """Yield a zygote of a tenant and an interpreter. Raises NoZygote.

        preloaded: names of the modules it has imported. frame: what its runs' views have in common,
        see ``view.build_frame``.
        """
        with self._lock:
            zygote = self._find((tenant, python, preloaded), frame)
            zygote.active += 1
            zygote.served += 1
        try:
            yield zygote
        finally:
            with self._lock:
                zygote.active -= 1
                zygote.used_at = time.monotonic()
                if zygote in self._leaving and not zygote.active:
                    zygote.close()

    def drop(self, zygote: Zygote) -> None:
        """End a zygote that does not do its work, and every run it has."""
        with self._lock:
            for key, known in list(self._zygotes.items()):
                if known is zygote:
                    self._retire(key)
        zygote.process.kill()

    def close(self) -> None:
        """End all zygotes that have no run."""
        with self._lock:
            for key in list(self._zygotes):
                self._retire(key)
            for zygote in self._leaving:
                if not zygote.active:
                    end_process(zygote.process, SEND_PATIENCE_S)
            self._reap()

    def processes(self) -> list[int]:
        """Return the ids of the zygotes that take runs."""
        return [zygote.process.pid for zygote in self._zygotes.values()]

    def forget(self) -> None:
        """In a process forked from the worker: let go of zygotes, which are the worker's."""
        for zygote in (*self._zygotes.values(), *self._leaving):
            zygote.process.returncode = 0  # Not our child, so nothing to wait for.
            zygote.close()
        self._lock = threading.Lock()
        self._zygotes, self._leaving = {}, []

    def _find(self, key: Key, frame: dict[str, Any]) -> Zygote:
        self._reap()
        _, python, preloaded = key
        identity = _identity_of(python)
        zygote = self._zygotes.get(key)
        if zygote is not None and zygote.process.poll():
            logger.warning("A zygote ended: %s.", last_words(zygote.errors))
        if zygote is not None and not self._is_fit(zygote, identity, frame):
            self._retire(key)
            zygote = None
        if zygote is None:
            if time.monotonic() - self._failed_at.get(python, -RETRY_AFTER_S) < RETRY_AFTER_S:
                raise NoZygote("it did not start a short time ago")
            self._make_place()
            settings = {
                "code": str(CODE),
                "frame": frame,
                "idle_s": self._recycling.idle_s,
                "preloaded": preloaded,
            }
            zygote = self._start(python, identity, settings)
        # The order of the dictionary is the order of use.
        self._zygotes.pop(key, None)
        self._zygotes[key] = zygote
        return zygote

    def _is_fit(self, zygote: Zygote, python: tuple[int, ...], frame: dict[str, Any]) -> bool:
        recycling = self._recycling
        return (
            zygote.process.poll() is None
            and zygote.python == python
            and zygote.frame == frame
            and zygote.served < recycling.most_runs
            and (zygote.active > 0 or time.monotonic() - zygote.used_at < recycling.idle_s)
            and 0 < zygote.resident_bytes() <= zygote.first_bytes + recycling.growth_bytes
        )

    def _make_place(self) -> None:
        if len(self._zygotes) < self._recycling.most_zygotes:
            return
        for key, zygote in self._zygotes.items():
            if not zygote.active:
                self._retire(key)
                return
        raise NoZygote("all there may be have runs of others")

    def _retire(self, key: Key) -> None:
        zygote = self._zygotes.pop(key)
        self._leaving.append(zygote)
        # Not under a thread that is about to send: the number could be another socket's by then.
        if not zygote.active:
            zygote.close()

    def _reap(self) -> None:
        self._leaving = [gone for gone in self._leaving if gone.process.poll() is None]

    def _start(self, python: Path, identity: tuple[int, ...], settings: dict[str, Any]) -> Zygote:
        try:
            zygote = start_zygote(python, identity, settings)
        except (OSError, NoZygote, subprocess.TimeoutExpired) as error:
            self._failed_at[python] = time.monotonic()
            raise NoZygote(str(error)) from error
        self._failed_at.pop(python, None)
        zygote.first_bytes = zygote.resident_bytes()
        return zygote


def start_zygote(python: Path, identity: tuple[int, ...], settings: dict[str, Any]) -> Zygote:
    """Start a zygote and wait until it takes runs. Raises OSError and NoZygote."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the zygote
    with theirs:
        process = subprocess.Popen(
            [str(python), "-I", "-S", "-B", "-X", "utf8", "-c", BOOT, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={"LANG": "C.UTF-8", "TZ": "UTC", **library_environment(python)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        theirs.close()
        try:
            with suppress(ConnectionError):
                ours.settimeout(START_PATIENCE_S)
                ours.send(str(CODE).encode())
                ours.send(marshal.dumps(settings, MARSHAL_VERSION))
                if ours.recv(READY_BYTES):
                    ours.settimeout(SEND_PATIENCE_S)
                    return Zygote(process, ours, errors, identity, settings["frame"])
            process.wait(START_PATIENCE_S)
            raise NoZygote(last_words(errors))
        except BaseException:
            ours.close()
            errors.close()
            process.kill()
            process.wait()
            raise


def last_words(errors: IO[bytes]) -> str:
    """Return the last line a zygote wrote to its standard error."""
    errors.seek(0)
    lines = errors.read(READ_BYTES).decode("utf-8", "replace").splitlines()
    return lines[-1] if lines else "it ended"


class WarmStart(Starter):
    """Lets a zygote fork the run, which takes the place of the stage."""

    can_be_lost = True

    def __init__(
        self, launch: Launch, limits: Limits, pool: Zygotes, zygote: Zygote, python: Path | None,
        *, has_environment: bool,
    ) -> None:  # fmt: skip
        """python: what the script shall take for its interpreter; None for a shell."""
        super().__init__(launch, limits)
        self._pool = pool
        self._zygote = zygote
        self._python = None
        if python is not None:
            self._python = {"executable": str(python), "has_environment": has_environment}

    def start(self, theirs: Channels, commands: int) -> None:
        try:
            with self._write_order() as order:
                socket.send_fds(
                    self._zygote.control,
                    [marshal.dumps(self._head(), MARSHAL_VERSION)],
                    [order.fileno(), *theirs.all(), *self._launch.held],
                )
        finally:
            theirs.close()

    def _head(self) -> dict[str, Any]:
        """Return the part of the order that the zygote itself may know."""
        launch = self._launch
        return {"limits": self._limits.model_dump(), "uid": launch.uid, "gid": launch.gid}

    def _write_order(self) -> IO[bytes]:
        """Return the order in a file that only the zygote's children read: process 1 its first
        part, the script's process the second."""
        plan = self._launch.sandbox or {}
        own = {name: part for name, part in plan.items() if name not in FRAME}
        rules = {"rules": own.pop("rules", {})}
        first = marshal.dumps({**self._head(), "sandbox": own}, MARSHAL_VERSION)
        script = self._launch.order(self._limits, python=self._python, sandbox=rules)
        file = open(os.memfd_create("order"), "wb", buffering=0)  # noqa: PTH123, SIM115 - a number
        file.write(b"".join((len(first).to_bytes(8, "big"), first, script)))
        return file

    def end(self, room: Room, report: int, *, reported: bool) -> None:
        if not reported and not ends_in_time(report, KILL_PATIENCE_S + 5, room):
            # It lives and does not answer. With it end the runs of others, but they would hang too.
            self._pool.drop(self._zygote)
            ends_in_time(report, KILL_PATIENCE_S, room)
        super().end(room, report, reported=reported)


def ends_in_time(report: int, patience_s: float, room: Room) -> bool:
    """Wait until a channel ends; what still comes is dropped. Returns whether it did.

    Where something came, the script may have begun meanwhile; room is told, since then the run must
    not start another time.
    """
    deadline = time.monotonic() + patience_s
    poll = select.poll()
    poll.register(report, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        with suppress(BlockingIOError, ConnectionResetError):
            if os.read(report, READ_BYTES):
                room.may_have_begun = True
                continue
        return True
    return False


def _identity_of(python: Path) -> tuple[int, ...]:
    """Return what changes when the interpreter is replaced. Raises NoZygote."""
    try:
        found = python.stat()
    except OSError as error:
        raise NoZygote(f"the interpreter is gone: {error.strerror}") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


_pools: weakref.WeakSet[Zygotes] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)
