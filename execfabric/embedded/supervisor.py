"""Starts everything in order, watches it, and leaves nothing behind."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from execfabric.embedded import guard
from execfabric.embedded.child import (
    QUICK_CRASH_S,
    Child,
    ChildPlan,
    end_guarded,
    start_guarded,
)
from execfabric.embedded.errors import EmbeddedError, StartFailedError
from execfabric.embedded.launcher import Launcher
from execfabric.embedded.processes import last_lines
from execfabric.embedded.progress import Progress
from execfabric.embedded.server import Server
from execfabric.embedded.services import Services

WATCH_INTERVAL_S = 0.2
READY_INTERVAL_S = 0.05
READY_TIMEOUT_S = 90.0
MOST_SERVER_CRASHES = 5
"""Each soon after the start before it; one that ran well meanwhile counts from the beginning."""
# The first asks for an orderly stop, the second for one at once.
SIGNALS_HEEDED = 2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked for an end, by a signal."""


@dataclass(frozen=True)
class PlatformPlan:
    """Everything the supervisor runs.

    children are stopped in this order. environment is complete but for the two URLs, which are
    added when the services run. prepare is run to its end before the children start. ready_text
    is printed once all are ready.
    """

    folder: Path
    services: Services
    environment: Mapping[str, str]
    children: tuple[ChildPlan, ...]
    prepare: tuple[str, ...] = ()
    ready_text: Callable[[], str] = lambda: "Ready"
    ready_timeout_s: float = READY_TIMEOUT_S


@dataclass
class Supervisor:
    """Runs one PlatformPlan in the foreground."""

    plan: PlatformPlan
    progress: Progress = field(default_factory=Progress)
    launcher: Launcher = field(default_factory=Launcher)

    def __post_init__(self) -> None:
        self.children: list[Child] = []
        self.preparing: subprocess.Popen[bytes] | None = None
        self.signals = 0
        self.server_crashes: dict[str, int] = {}
        self.server_starts: dict[str, float] = {}

    def run(self) -> int:
        """Run until a signal or a failure; return the exit code: 0 after a signal, else 1."""
        guard.adopt_orphans()
        for number in STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._on_signal)
        try:
            code = self._run_until_stopped()
            self._stop()
        except StopRequested:
            # The second signal, or one that came while a failure was being handled.
            self.progress.say("Stopping at once")
            code = 0 if self.signals > 1 else 1
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._kill()
        self.progress.say("Stopped")
        return code

    def _run_until_stopped(self) -> int:
        try:
            self._bring_up()
            while True:
                self._check()
                time.sleep(WATCH_INTERVAL_S)
        except StopRequested:
            self.progress.say("\nStopping (Ctrl-C again stops at once)")
            return 0
        except EmbeddedError as error:
            self.progress.say(f"\n{error}\n")
            return 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        if self.signals <= SIGNALS_HEEDED:
            raise StopRequested

    def _bring_up(self) -> None:
        services = self.plan.services
        self.progress.step("Starting PostgreSQL and Valkey")
        services.start()
        environment = {
            **self.plan.environment,
            "EXECFABRIC_DATABASE_URL": services.database_url,
            "EXECFABRIC_DATABASE_OWNER_URL": services.database_owner_url,
            "EXECFABRIC_REDIS_URL": services.redis_url,
        }
        if self.plan.prepare:
            self.progress.step("Preparing the database")
            self._prepare(environment)
        for plan in self.plan.children:
            log = services.folder.open_log(plan.name)
            self.children.append(Child(plan, self.plan.folder, log, environment))
        self._start([child for child in self.children if not child.plan.starts_last])
        self._start([child for child in self.children if child.plan.starts_last])
        self.progress.say(f"\n{self.plan.ready_text()}\n")

    def _prepare(self, environment: Mapping[str, str]) -> None:
        log = self.plan.services.folder.open_log("prepare")
        with log.open("ab", buffering=0) as errors:
            log.chmod(0o600)
            self.preparing = start_guarded(
                self.plan.prepare, self.plan.folder, environment, subprocess.PIPE, errors
            )
            for line in self.preparing.stdout or ():
                errors.write(line)
                self.progress.step(f"  {line.decode(errors='replace').rstrip()}")
        code = self.preparing.wait()
        end_guarded(self.preparing)
        self.preparing = None
        if code != 0:
            raise StartFailedError(
                f"Preparing the database failed with code {code}. The end of {log}:\n"
                f"{last_lines(log)}"
            )

    def _start(self, children: list[Child]) -> None:
        """Start children together and wait until all are ready."""
        if not children:
            return
        self.progress.step(f"Starting {', '.join(child.plan.name for child in children)}")
        for child in children:
            child.start()
        waiting = list(children)
        give_up_at = time.monotonic() + self.plan.ready_timeout_s
        while waiting:
            self._check()
            for child in [child for child in waiting if child.is_ready()]:
                waiting.remove(child)
                self.progress.step(f"  {child.plan.name} is ready")
            if waiting and time.monotonic() > give_up_at:
                child = waiting[0]
                raise StartFailedError(
                    f"{child.plan.name} was not ready after {self.plan.ready_timeout_s:.0f} "
                    f"seconds. The end of {child.log}:\n{last_lines(child.log)}"
                )
            time.sleep(READY_INTERVAL_S)

    def _check(self) -> None:
        """Restart what crashed. Raises StartFailedError for what crashes again and again."""
        if self.launcher.was_interrupted():
            self.signals += 1
            raise StopRequested
        for child in self.children:
            code = child.watch()
            if code is not None:
                self._on_crash(child, code)
        for server in self.plan.services.dead():
            self._on_server_crash(server)

    def _on_crash(self, child: Child, code: int) -> None:
        self._sweep()
        if child.given_up():
            raise StartFailedError(
                f"{child.plan.name} stopped {child.quick_crashes} times soon after its start, at "
                f"last with code {code}. The end of {child.log}:\n{last_lines(child.log)}"
            )
        self.progress.step(f"{child.plan.name} stopped with code {code}, starting it again")

    def _on_server_crash(self, server: Server) -> None:
        started = self.server_starts.get(server.name, 0.0)
        quick = time.monotonic() - started < QUICK_CRASH_S
        crashes = self.server_crashes.get(server.name, 0) + 1 if quick else 1
        self.server_crashes[server.name] = crashes
        if crashes >= MOST_SERVER_CRASHES:
            raise server.failure(f"stopped {crashes} times soon after its start")
        self.progress.step(f"{server.title} stopped, starting it again")
        try:
            self.plan.services.revive(server)
        except StartFailedError as error:  # Killed again meanwhile? It counts as one more crash.
            self.progress.step(str(error).partition("\n")[0])
        self.server_starts[server.name] = time.monotonic()

    def _sweep(self) -> None:
        """Kill what the guard of a child left behind, should the guard itself have been killed."""
        known = [child.process for child in self.children]
        known += [server.process for server in self.plan.services.servers]
        guard.kill_descendants(frozenset(process.pid for process in known if process is not None))

    def _stop(self) -> None:
        if self.preparing is not None:
            end_guarded(self.preparing)
        for child in self.children:
            child.stop(self.progress.say)
        self.plan.services.stop()

    def _kill(self) -> None:
        """Kill whatever is left; after an orderly stop there is nothing."""
        if self.preparing is not None:
            end_guarded(self.preparing)
        for child in self.children:
            child.kill()
        self.plan.services.kill()
        guard.kill_descendants()
