"""What the platform and the Local Agent hand to an executor, and what they get back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

MEBIBYTE = 1024 * 1024


class Outcome(StrEnum):
    """How an execution ended, as seen by the executor."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class StopReason(StrEnum):
    """Why the run stopped. A run that could not start is not a run that exited non-zero."""

    EXITED = "exited"
    KILLED = "killed"
    TIME_LIMIT = "time_limit"
    OUTPUT_LIMIT = "output_limit"
    MEMORY_LIMIT = "memory_limit"
    CANCEL_REQUESTED = "cancel_requested"
    COULD_NOT_START = "could_not_start"
    BAD_RESULT = "bad_result"
    PLATFORM_FAILED = "platform_failed"
    """It was started, and then the platform failed it, not the script."""


class Limits(BaseModel):
    """Bounds of one run. Every one is enforced; none is advisory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_s: float = Field(default=300, gt=0, le=86_400)
    memory_bytes: int = Field(default=512 * MEBIBYTE, ge=32 * MEBIBYTE)
    processes: int = Field(default=64, ge=1)
    open_files: int = Field(default=256, ge=16)
    file_bytes: int = Field(default=256 * MEBIBYTE, ge=0)
    """Largest single file the run may write."""
    disk_bytes: int | None = Field(default=None, ge=MEBIBYTE)
    """All the run keeps in files at once, where the level can bound it. It lies in memory, so None
    means a quarter of the memory limit, and 64 MiB at least."""
    disk_files: int = Field(default=10_000, ge=10)
    """Files and folders the run keeps at once."""
    log_bytes: int = Field(default=10 * MEBIBYTE, ge=0)
    """Log kept, its beginning and its end; what lies between is counted and dropped."""
    log_flood_bytes: int = Field(default=64 * MEBIBYTE, ge=0)
    """A run that prints more than this is stopped."""
    result_bytes: int = Field(default=1 * MEBIBYTE, ge=0)
    artifact_count: int = Field(default=200, ge=0)
    artifact_bytes: int = Field(default=256 * MEBIBYTE, ge=0)
    """All artifacts of the run together."""
    network_bytes: int = Field(default=1024 * MEBIBYTE, ge=0)
    """What a run that has the network may move, both ways together, where a gate counts it."""
    network_connections: int = Field(default=32, ge=1)
    """Connections to the network at once."""

    @property
    def room_bytes(self) -> int:
        """What ``disk_bytes`` comes to."""
        if self.disk_bytes is not None:
            return self.disk_bytes
        return max(64 * MEBIBYTE, self.memory_bytes // 4)


class ExecutionRequest(BaseModel):
    """One run, complete: an executor needs nothing else and asks nobody."""

    model_config = ConfigDict(extra="forbid")

    execution_id: str
    tenant: str
    kind: str
    resource: dict[str, JsonValue]
    """The resource spec, in the words of its kind; checked by ``Executor.validate``."""
    inputs: dict[str, JsonValue] = {}
    input_files: dict[str, Path | list[Path]] = {}
    """Input name -> local file, or files for an array of files. The run sees private copies, and
    the input's value is their path or list of paths there. Names may repeat within a list."""
    limits: Limits = Limits()
    network: bool = False
    """Whether the run may reach the network, as its level gives it."""
    network_hosts: list[str] = []
    """The hosts it may reach, see ``executors/network/policy.py``; empty for all public."""
    secrets: dict[str, str] = {}
    series: str = ""
    """Runs of one tenant that name the same series are asked for by one person, of one version.
    An executor may let them have one place to run in, one after another."""
    others_follow: bool = False
    """Whether more runs of the series are sure to follow this one."""


class OutputFile(BaseModel):
    """A file the run left in its output folder, already out of the run's reach."""

    name: str
    """Relative, normalised, '/'-separated; safe to show and to join."""
    path: Path
    size_bytes: int
    sha256: str


class Usage(BaseModel):
    wall_s: float = 0
    cpu_s: float = 0
    peak_memory_bytes: int = 0


class ExecutionResult(BaseModel):
    outcome: Outcome
    stop_reason: StopReason
    exit_code: int | None = None
    output: JsonValue = None
    summary: str = ""
    """One line a person reads: the result in short, or what went wrong."""
    error: str = ""
    """The script's own traceback or message; empty on success."""
    artifacts: list[OutputFile] = []
    skipped_artifacts: list[str] = []
    """Why a file was not kept, one sentence each."""
    usage: Usage = Usage()
    log_bytes_dropped: int = 0


Stream = Literal["stdout", "stderr"]


class Sink(Protocol):
    """Where a run's log and progress go while it runs. Called from one thread, never for long."""

    def log(self, stream: Stream, text: str) -> None:
        """Take a piece of log: valid text without NUL or terminal escapes, whole characters."""

    def left_out(self, size_bytes: int) -> None:
        """Take note that so much of the log is left out between what came and what comes."""

    def progress(self, fraction: float, message: str) -> None:
        """Take the newest progress line; fraction is in 0..1."""

    def alive(self) -> bool:
        """Called about once a second while the run goes on. False asks to cancel the run."""


class Executor(ABC):
    """Validates and calls one kind of execution asset. One instance serves many runs."""

    kind: str

    @abstractmethod
    def check(self) -> None:
        """Raise ExecutorError when nothing of this kind could run on this machine.

        A worker asks as it starts, and does not start when the answer is no.
        """

    @abstractmethod
    def validate(self, spec: dict[str, Any]) -> None:
        """Raise InvalidResource when spec is not a usable resource of this kind."""

    @abstractmethod
    def dry_run(self, request: ExecutionRequest) -> dict[str, JsonValue]:
        """Return what ``execute`` would do, secrets masked; nothing runs, nothing is sent."""

    @abstractmethod
    def execute(self, request: ExecutionRequest, sink: Sink, *, workdir: Path) -> ExecutionResult:
        """Run to the end and return its result; never raises for what the asset did.

        workdir is an existing, empty, private folder of the caller. Artifacts of the result lie
        in it; the caller removes it when it has stored them.
        """


class ExecutorError(Exception):
    """Base of what executors raise; the message is for a person."""


class InvalidResource(ExecutorError):
    """The resource spec is not usable."""
