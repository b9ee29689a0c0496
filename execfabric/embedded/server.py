"""What PostgreSQL and Valkey have in common: one foreground process, ready or dead."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

from execfabric.embedded.data_dir import DataFolder
from execfabric.embedded.errors import EmbeddedError, StartFailedError, explain_os_error
from execfabric.embedded.identity import Identity
from execfabric.embedded.processes import last_lines, start_server

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


class Server(ABC):
    """A server process of ours. Subclasses say what to run and when it is ready."""

    name = ""
    title = ""
    stop_signal = signal.SIGTERM

    def __init__(self, folder: DataFolder, identity: Identity, sockets: Path) -> None:
        self.folder = folder
        self.identity = identity
        self.sockets = sockets
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def home(self) -> Path:
        """The folder of its data, in which its processes work."""

    @abstractmethod
    def start(self) -> None:
        """Make ready what it needs, then run. Raises EmbeddedError."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """Return the program and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the running process takes connections. May raise OSError."""

    def standard_input(self) -> bytes:
        """Return what the process reads at its start."""
        return b""

    @property
    def log(self) -> Path:
        """The file with everything the server prints."""
        return self.folder.logs / f"{self.name}.log"

    def run(self) -> None:
        """Start the process and wait until it is ready. Raises StartFailedError."""
        try:
            process = start_server(
                [str(part) for part in self.command()],
                self.standard_input(),
                self.log,
                self.identity,
                self.stop_signal,
            )
        except OSError as error:
            raise explain_os_error(error, self.folder.path) from None
        self.process = process
        self._wait(process)

    def alive(self) -> bool:
        """Return whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop in an orderly way; after 20 seconds by force."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """Stop at once. Data that was confirmed as written is kept."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def failure(self, what: str) -> EmbeddedError:
        """Return the error for what happened, with the reason out of the log."""
        lines = last_lines(self.log)
        if "No space left on device" in lines:
            return StartFailedError(
                f"{self.title} {what}: the disk that holds {self.folder.path} is full. "
                "Free some space, then retry."
            )
        return StartFailedError(f"{self.title} {what}. The end of {self.log}:\n{lines}")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < give_up_at:
            code = process.poll()
            if code is not None:
                raise self.failure(f"stopped with code {code} while starting")
            try:
                if self.is_ready():
                    return
            except OSError:
                pass  # its files or socket are not there yet
            time.sleep(0.01)
        error = self.failure(f"was not ready after {READY_TIMEOUT_S:.0f} seconds")
        self.kill()
        raise error
