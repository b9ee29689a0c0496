"""What we owe the program that started us: make, a shell, a terminal."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PR_SET_PDEATHSIG = 1


class Launcher:
    """The process that started us.

    make waits for us after an interrupt of its own instead of passing it on, and it is not
    always the terminal that interrupts it; so we look at it from time to time.
    """

    def __init__(self) -> None:
        self.pid = os.getppid()
        self._caught_interrupts = False

    def follow(self) -> None:
        """End with it: the kernel sends us TERM when it dies, and was_interrupted() works."""
        self._caught_interrupts = self._catches_interrupts()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self.pid:
            os.kill(os.getpid(), signal.SIGTERM)

    def was_interrupted(self) -> bool:
        """Return whether it got an interrupt. make drops its handler once that has run."""
        return self._caught_interrupts and not self._catches_interrupts()

    def _catches_interrupts(self) -> bool:
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        except OSError:
            return False
        caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
        return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


@contextmanager
def own_terminal() -> Iterator[None]:
    """Take the terminal's keys for us alone, so that Ctrl-C does not also stop make with an error.

    Does nothing without a terminal, in the background, or when we have it already.
    """
    terminal = 0
    try:
        before = os.tcgetpgrp(terminal)
        mine = before == os.getpgrp() != os.getpid()
        if mine:
            os.setpgid(0, 0)
    except OSError:
        mine = False
    if not mine:
        yield
        return
    # Stopping us alone would leave make, and the shell behind it, waiting for ever.
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    _give_terminal(terminal, os.getpid())
    try:
        yield
    finally:
        _give_terminal(terminal, before)


def _give_terminal(terminal: int, group: int) -> None:
    # A process in the background that changes this would be stopped by TTOU.
    handler = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(terminal, group)
    except OSError:
        pass  # the terminal or the group is gone
    finally:
        signal.signal(signal.SIGTTOU, handler)
