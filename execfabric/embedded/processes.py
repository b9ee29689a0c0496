"""Starting a server that dies with us, and finding servers an earlier start left behind."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from execfabric.embedded.identity import Identity

PR_SET_PDEATHSIG = 1
ORPHAN_PATIENCE_S = 10.0
SERVER_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return a function for the new process: the kernel sends it death_signal when we die.

    "We" is the calling thread, so start servers from one that lives as long as they should.
    """
    parent = os.getpid()

    def ask_kernel() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # we died before the kernel was asked
            os._exit(1)

    return ask_kernel


def start_server(
    command: Sequence[str],
    standard_input: bytes,
    log: Path,
    identity: Identity,
    death_signal: signal.Signals,
) -> subprocess.Popen[bytes]:
    """Start command as identity in a session of its own (Ctrl-C is ours alone), output to log.

    standard_input is a few lines at most. The kernel sends death_signal when we die.
    """
    # A file in memory, not a pipe: a program that does not read cannot hold us up.
    settings = os.fdopen(os.memfd_create("settings"), "w+b", buffering=0)
    with settings, log.open("ab") as output:
        log.chmod(0o600)
        settings.write(standard_input)
        settings.seek(0)
        return subprocess.Popen(
            command,
            stdin=settings,
            stdout=output,
            stderr=output,
            cwd="/",
            env=SERVER_ENVIRONMENT,
            start_new_session=True,
            # Runs after the change of user, which would clear the request to the kernel.
            preexec_fn=die_with_parent(death_signal),
            **identity.popen_options(),
        )


def stop_orphans(folder: Path, stop_signal: signal.Signals) -> None:
    """Stop every process that works in folder; the caller holds the data folder.

    Servers of a killed start are on their way out already; this waits for them.
    """
    for pid in _leaders(_processes_in(folder)):
        _send(pid, stop_signal)
    kill_at = time.monotonic() + ORPHAN_PATIENCE_S
    while found := _processes_in(folder):
        if time.monotonic() > kill_at:
            for pid in found:
                _send(pid, signal.SIGKILL)
        time.sleep(0.02)


def last_lines(log: Path, count: int = 12) -> str:
    """Return the last lines of log, without undecodable bytes; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])


def _processes_in(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
        except OSError:  # gone meanwhile, or another user's
            continue
    return found


def _leaders(pids: list[int]) -> list[int]:
    return [pid for pid in pids if _parent_of(pid) not in pids]


def _parent_of(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
