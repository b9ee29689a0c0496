"""Run one command and leave none of its processes behind, however we or our parent end.

    python guard.py COMMAND [ARGUMENT...]

Standard input is the lifeline: when its other end closes, because the supervisor let go or was
killed, everything below this process is killed. When the command ends, what it left behind is
killed too, and its exit code is ours (128 + n for signal n). TERM and INT go on to the command.

Run by path with -I -S, so it starts fast and imports nothing of ours.
"""

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIFELINE = 0
KILL_PATIENCE_S = 5.0
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_LIBC = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of every process below us whose own parent ends."""
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int) -> set[int]:
    """Return the ids of all processes below root."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is slow to import
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:  # gone meanwhile
            continue
        children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting.extend(below)
    return found


def kill_descendants(spared: frozenset[int] = frozenset()) -> None:
    """Kill and reap every process below us, except spared and what is below those.

    The caller must have called adopt_orphans(), else killed parents hide their children.
    """
    give_up_at = time.monotonic() + KILL_PATIENCE_S
    while time.monotonic() < give_up_at:
        found = descendants(os.getpid()) - spared
        for pid in spared:
            found -= descendants(pid)
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:  # gone meanwhile
                continue
        for pid in found:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # not ours yet: reaped in a later round
                continue
        time.sleep(0.01)


def _start(command: list[str]) -> int:
    guard = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        os.setsid()
        for number in (*FORWARDED, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), LIFELINE)
        os.execvp(command[0], command)  # noqa: S606 - starting a program is the purpose
    except OSError as error:
        sys.stderr.write(f"Cannot start {command[0]}: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(127)


def _forward(command: int, wakeup: int) -> None:
    """Pass the signals that arrived on to the command."""
    for number in os.read(wakeup, 256):
        if number in FORWARDED:
            try:
                os.kill(command, signal.SIGTERM)
            except ProcessLookupError:
                return


def _reap(command: int) -> int | None:
    """Reap what ended below us; return the exit code of command once it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == command:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


def main(arguments: list[str]) -> int:
    """Guard the command in arguments until it or the lifeline ends; return the exit code."""
    adopt_orphans()
    wakeup, wakeup_end = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wakeup_end, False)
    signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    command = _start(arguments)
    while True:
        readable, _, _ = select.select([LIFELINE, wakeup], [], [])
        if LIFELINE in readable and not os.read(LIFELINE, 1):
            kill_descendants()
            return 128 + signal.SIGKILL
        if wakeup in readable:
            _forward(command, wakeup)
            code = _reap(command)
            if code is not None:
                kill_descendants()
                return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
