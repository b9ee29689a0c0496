"""One process of the platform: started under the guard, watched, restarted, stopped."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from execfabric.embedded import guard

STOP_TIMEOUT_S = 10.0
# A stop that takes longer than this is worth a word.
SILENT_STOP_S = 1.0
KILL_TIMEOUT_S = 7.0
# An exit sooner than this after the start counts as a quick crash.
QUICK_CRASH_S = 10.0
MOST_QUICK_CRASHES = 5
FIRST_PAUSE_S = 0.5


@dataclass(frozen=True)
class ChildPlan:
    """What to run and how to see that it is ready.

    ready_file is removed before each start, so that an old one does not count. One that
    starts_last is started once all others are ready. withheld names variables it must not have.
    stop_timeout_s is how long it may take to end once it was asked to.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool] = lambda: True
    ready_file: Path | None = None
    starts_last: bool = False
    withheld: frozenset[str] = frozenset()
    stop_timeout_s: float = STOP_TIMEOUT_S


class Child:
    """A running ChildPlan, in folder. Its output goes to log; its process tree ends with it."""

    def __init__(
        self, plan: ChildPlan, folder: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.log = log
        self.environment = {
            name: value for name, value in environment.items() if name not in plan.withheld
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.quick_crashes = 0
        self._started = 0.0
        self._start_again = 0.0

    def start(self) -> None:
        """Start the command now."""
        if self.plan.ready_file is not None:
            self.plan.ready_file.unlink(missing_ok=True)
        with self.log.open("ab") as output:
            self.log.chmod(0o600)
            self.process = start_guarded(
                self.plan.command, self.folder, self.environment, output, output
            )
        self._started = time.monotonic()

    def watch(self) -> int | None:
        """Restart the command when its pause is over; return its exit code if it just ended."""
        if self.process is None:
            if self._start_again and time.monotonic() >= self._start_again:
                self._start_again = 0.0
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        self._forget()
        quick = time.monotonic() - self._started < QUICK_CRASH_S
        self.quick_crashes = self.quick_crashes + 1 if quick else 1
        pause_s = FIRST_PAUSE_S * 2 ** (self.quick_crashes - 1)
        self._start_again = time.monotonic() + pause_s
        return code

    def given_up(self) -> bool:
        """Return whether it crashed too often to try again."""
        return self.quick_crashes >= MOST_QUICK_CRASHES

    def is_ready(self) -> bool:
        """Return whether it runs and answers."""
        return self.process is not None and self.process.poll() is None and self.plan.ready()

    def stop(self, say: Callable[[str], None] = lambda text: None) -> None:
        """Ask it to end; if it takes too long, kill its whole tree. say is told of a long stop."""
        self._start_again = 0.0
        if self.process is None:
            return
        timeout_s = self.plan.stop_timeout_s
        self.process.terminate()
        if not self._ends_within(SILENT_STOP_S):
            say(f"Waiting for {self.plan.name} to finish (at most {timeout_s:.0f} s)")
            if not self._ends_within(timeout_s - SILENT_STOP_S):
                self.kill()
        self._forget()

    def kill(self) -> None:
        """Kill its whole tree."""
        self._start_again = 0.0
        if self.process is None:
            return
        end_guarded(self.process)
        self._forget()

    def _ends_within(self, timeout_s: float) -> bool:
        if self.process is not None:
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return False
        return True

    def _forget(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None


def start_guarded(
    command: tuple[str, ...],
    folder: Path,
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    errors: IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start command in folder under the guard; stdin is the lifeline, so keep it open."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
    )


def end_guarded(process: subprocess.Popen[bytes]) -> None:
    """Cut the lifeline of process and wait until its tree is gone."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(KILL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
