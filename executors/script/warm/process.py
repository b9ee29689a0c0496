"""One zygote as the worker holds it, and how it is started."""

from __future__ import annotations

import marshal
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from executors.script.interpreter import library_environment
from executors.script.sandbox.probe import MARSHAL_VERSION
from executors.script.stage import KILL_PATIENCE_S
from executors.script.start import is_over, last_words

BOOT = """
import os, sys
control = int(sys.argv[1])
code, compiled = os.read(control, 8192).decode().split("\\0")
sys.path.append(code)
sys.pycache_prefix, sys.dont_write_bytecode = compiled or None, not compiled
from executors.script.warm.fork_hooks import hold_back
hold_back()
import atexit, ctypes, gc, io, json, marshal, resource, select, signal, site, socket, struct
import threading, typing, weakref
from executors.script.warm.run import ScriptProcess
from executors.script.warm.zygote import main
for name in [name for name in globals() if name[:2] != "__"]:
    if name not in ("ScriptProcess", "control", "main"):
        del globals()[name]
del name
try:
    main(control)
except ScriptProcess as process:
    del ScriptProcess, control, main
    script, end = process.become_script()
else:
    raise SystemExit
try:
    script()
except BaseException as error:
    end(error)
end(None)
"""
"""The folders come through the socket: a run can read the command line. A script is called from
here, since it can look at all frames above its own."""
CODE = Path(__file__).resolve().parents[3]
START_PATIENCE_S = 20
SEND_PATIENCE_S = 2
READY_BYTES = 64
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class NoZygote(Exception):
    """There is none for this run; the message says why."""


class ZygoteProcess:
    """The process of a zygote, which is a child of ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)
        self.is_ours = True
        self._has_ended = False
        self._lock = threading.Lock()

    def has_ended(self) -> bool:
        with self._lock:
            if self.is_ours and not self._has_ended and is_over(self.descriptor, 0):
                with suppress(ChildProcessError):
                    os.waitpid(self.pid, 0)
                os.close(self.descriptor)
                self._has_ended = True
            return self._has_ended

    def kill(self) -> None:
        with self._lock:
            if not self._has_ended:
                signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)

    def end(self, patience_s: float) -> None:
        """Wait for its end; kill it when it takes longer than it may."""
        if not self.has_ended() and not is_over(self.descriptor, patience_s):
            self.kill()
            is_over(self.descriptor, KILL_PATIENCE_S)
        self.has_ended()


@dataclass(eq=False)
class Zygote:
    """One zygote as the worker holds it."""

    process: ZygoteProcess
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
            statm = os.open(f"/proc/{self.process.pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return int(os.read(statm, 256).split()[1]) * PAGE_BYTES
            finally:
                os.close(statm)
        except (OSError, IndexError):
            return 0

    def close(self) -> None:
        """Let it end when its last run does."""
        self.control.close()
        self.errors.close()


def start_zygote(
    python: Path, identity: tuple[int, ...], settings: dict[str, Any], compiled: Path | None
) -> Zygote:
    """Start a zygote and wait until it takes runs. Raises OSError and NoZygote."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the zygote
    with theirs:
        zygote: ZygoteProcess | None = None
        # It ends as soon as the zygote is there: no process can make itself process 1.
        starter = subprocess.Popen(
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
                ours.send(f"{CODE}\0{compiled or ''}".encode())
                ours.send(marshal.dumps(settings, MARSHAL_VERSION))
                # One says its id, the other that it is ready; which comes first is open.
                words: set[bytes] = set()
                while len(words) < 2 and (word := ours.recv(READY_BYTES)):
                    words.add(word)
                    if word.isdigit():
                        zygote = ZygoteProcess(int(word))
                if zygote is not None and len(words) == 2:
                    ours.settimeout(SEND_PATIENCE_S)
                    starter.wait()
                    return Zygote(zygote, ours, errors, identity, settings["frame"])
            starter.wait(START_PATIENCE_S)
            raise NoZygote(last_words(errors))
        except BaseException:
            ours.close()
            errors.close()
            starter.kill()
            starter.wait()
            if zygote is not None:
                zygote.end(0)
            raise
