"""Runs a reviewed script folder: kind ``script``, runtimes Python and Shell."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, cast

import pydantic
from pydantic import BaseModel, ConfigDict, JsonValue

from executors.contract import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    ExecutorError,
    InvalidResource,
    Outcome,
    Sink,
    StopReason,
    Stream,
)
from executors.masking import Masker
from executors.registry import EXECUTORS
from executors.script.artifacts import Collector
from executors.script.command import build_command, build_environment_variables
from executors.script.identity import (
    FIRST_UID,
    UID_COUNT,
    Identities,
    Identity,
    folder_of_locks,
)
from executors.script.interpreter import NoInterpreter, can_start, find_interpreter
from executors.script.level import MachineProblem
from executors.script.levels import level_named
from executors.script.log import RunLog
from executors.script.outcome import Output, build_result, read_output
from executors.script.process import Ending, Launch, RunProcess
from executors.script.progress import ProgressFile
from executors.script.run_folder import (
    RunFolder,
    fill_run_folder,
    make_run_folder,
    remove_stale,
)
from executors.script.sandbox.probe import Layer

SWEEP_EVERY_S = 600

logger = logging.getLogger(__name__)


class ScriptResource(BaseModel):
    """The resource spec of kind ``script``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    folder: str
    """Absolute path of the unpacked bundle."""
    runtime: Literal["python", "shell"]
    entry: str
    python: str | None = None
    """Absolute path of the interpreter of the script's environment; None for a bare one."""


@EXECUTORS.register("script")
class ScriptExecutor(Executor):
    """Runs scripts at one isolation level.

    state_folder holds the folders of runs, the locks of user ids and, if need be, a copy of the
    interpreter. As root it must lie where every user may enter, since the run's user has to.
    """

    def __init__(
        self,
        *,
        state_folder: Path | None = None,
        level: str = "ns",
        first_uid: int = FIRST_UID,
        uid_count: int = UID_COUNT,
    ) -> None:
        self._state = state_folder or Path(tempfile.gettempdir()) / f"execfabric-{os.geteuid()}"
        self.level = level_named(level)
        # Any id of the range will do to try out what runs may reach.
        self._uid = first_uid if os.geteuid() == 0 else None
        self._last_uid = first_uid + uid_count - 1
        self._identities = Identities(folder_of_locks(self._state), first_uid, uid_count)
        self._swept_at = 0.0
        self._bare_python: Path | None = None

    def check(self) -> None:
        """Raise MachineProblem when no script could run here; a worker calls it as it starts."""
        self.level.check()
        self._make_state_folder()
        self._check_user_ids()
        self._interpreter(None)

    def layers(self) -> list[Layer]:
        """Return what the isolation is made of, and what of it this machine gives."""
        return self.level.layers()

    def base_python(self) -> Path:
        """Return the interpreter that environments are built on. Raises ExecutorError."""
        self._make_state_folder()
        return self._interpreter(None)

    def validate(self, spec: dict[str, Any]) -> None:
        self._parse(spec)

    def dry_run(self, request: ExecutionRequest) -> dict[str, JsonValue]:
        resource = self._parse(request.resource)
        masker = Masker(request.secrets.values())
        files: dict[str, JsonValue] = {
            name: [path.name for path in given] if isinstance(given, list) else given.name
            for name, given in request.input_files.items()
        }
        return {
            "runtime": resource.runtime,
            "entry": resource.entry,
            "isolation": self.level.name,
            "inputs": masker.mask_json({**request.inputs, **files}),
            "secrets": cast("list[JsonValue]", sorted(request.secrets)),
            "limits": request.limits.model_dump(),
        }

    def execute(self, request: ExecutionRequest, sink: Sink, *, workdir: Path) -> ExecutionResult:
        try:
            resource = self._parse(request.resource)
            self.level.check()
            self._make_state_folder()
            self._sweep()
            python = self._interpreter(resource.python) if resource.runtime == "python" else None
            identity = self._identities.take() if self._uid is not None else nullcontext(None)
            runs = self._state / "runs"
            with identity as who, make_run_folder(runs, who, self.level) as folder:
                return self._execute_in(folder, who, resource, python, request, sink, workdir)
        except MachineProblem as error:
            # Folders and users of the machine are its operator's business, not the tenant's.
            logger.error("Execution %s could not start: %s", request.execution_id, error)
            return _could_not_start("This worker cannot run scripts. Its log says why.")
        except ExecutorError as error:
            return _could_not_start(str(error))

    def _execute_in(
        self,
        folder: RunFolder,
        identity: Identity | None,
        resource: ScriptResource,
        python: Path | None,
        request: ExecutionRequest,
        sink: Sink,
        workdir: Path,
    ) -> ExecutionResult:
        given = fill_run_folder(
            folder,
            script=Path(resource.folder),
            inputs=request.inputs,
            input_files=request.input_files,
            identity=identity,
        )
        uid = identity.uid if identity else None
        launch = Launch(
            stage=self.level.stage_command(),
            argv=build_command(folder, resource.entry, python, bare=resource.python is None),
            env=build_environment_variables(folder.places, request, given, python),
            cwd=str(folder.places.own / "work"),
            sandbox=self.level.plan(folder.path, self._state, python, request.limits, uid),
            uid=uid,
            gid=identity.gid if identity else None,
            marker=None if self.level.hides_machine else f"EXECFABRIC_RESULT={folder.path}",
            held=(folder.lock, identity.lock) if identity else (folder.lock,),
        )
        masker = Masker(request.secrets.values())

        def write(stream: Stream, text: str) -> None:
            sink.log(stream, text)

        log = RunLog(write, masker, keep_bytes=request.limits.log_bytes)
        progress = ProgressFile(folder.room, masker)
        ending = RunProcess(launch, request.limits, folder.room, log, progress, sink).run()
        if identity is not None and not self.level.hides_machine:
            identity.sweep()
        return self._gather(folder, identity, request, ending, log, masker, workdir)

    def _gather(
        self,
        folder: RunFolder,
        identity: Identity | None,
        request: ExecutionRequest,
        ending: Ending,
        log: RunLog,
        masker: Masker,
        workdir: Path,
    ) -> ExecutionResult:
        """Read back what the run left; by now nothing of it is alive."""
        collector = Collector(
            workdir / "artifacts", request.limits, identity.uid if identity else None
        )
        output = Output()
        if folder.room.report is not None:
            output = read_output(folder.room.report, request.limits.result_bytes)
        if folder.room.output is not None and (
            ending.stop_reason is not StopReason.COULD_NOT_START
        ):
            collector.collect(folder.room.output)
        return build_result(ending, output, collector, log, masker)

    def _parse(self, spec: dict[str, Any]) -> ScriptResource:
        try:
            resource = ScriptResource.model_validate(spec)
        except pydantic.ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, problem["loc"])) or "resource"
            raise InvalidResource(
                f"The script resource is wrong: {where}: {problem['msg']}."
            ) from error
        folder = Path(resource.folder)
        if not folder.is_absolute() or not folder.is_dir():
            raise InvalidResource("The script folder is not there.")
        entry = folder / resource.entry
        if Path(resource.entry).name != resource.entry or entry.is_symlink() or not entry.is_file():
            raise InvalidResource(f"The script folder has no file {resource.entry!r}.")
        if resource.python is not None and not Path(resource.python).is_absolute():
            raise InvalidResource("The interpreter of the environment must be an absolute path.")
        return resource

    def _interpreter(self, python: str | None) -> Path:
        """Return the interpreter for a run. Raises NoInterpreter."""
        if python is not None:
            # In a sandbox it stands alone, so nobody has to pass the folders above it.
            uid = None if self.level.hides_machine else self._uid
            if not can_start(Path(python), uid):
                raise NoInterpreter(
                    f"The user of a run cannot start {python}. Build environments where every "
                    "user may enter, on an interpreter that every user may start."
                )
            return Path(python)
        if self._bare_python is None or not self._bare_python.exists():
            self._bare_python = self._find_bare_python()
        return self._bare_python

    def _find_bare_python(self) -> Path:
        cache = self._state / "python"
        try:
            return find_interpreter(self._uid, cache=cache)
        except NoInterpreter:
            if not self.level.hides_machine:
                raise
            return find_interpreter(None, cache=cache)

    def _make_state_folder(self) -> None:
        """Make sure the folders are there and ours. Raises MachineProblem."""
        mode = 0o711 if self._uid is not None else 0o700
        try:
            for folder in (self._state, self._state / "runs"):
                folder.mkdir(mode=mode, parents=True, exist_ok=True)
                # Below a temporary folder somebody else could have been first.
                found = folder.lstat()
                if folder.is_symlink() or found.st_uid != os.geteuid():
                    raise MachineProblem(f"The folder {folder} belongs to another user.")
                folder.chmod(mode)
        except OSError as error:
            raise MachineProblem(f"The folder {self._state} cannot be used: {error}.") from error
        closed = [p for p in self._state.absolute().parents if not p.stat().st_mode & 0o001]
        if self._uid is not None and closed and not self.level.hides_machine:
            raise MachineProblem(
                f"Runs cannot enter {self._state}, since {closed[0]} is closed to other users. "
                "Choose another state folder."
            )

    def _check_user_ids(self) -> None:
        """Raise MachineProblem where root is a container's and has no ids for runs."""
        if self._uid is None:
            return
        with tempfile.TemporaryFile(dir=self._state) as file:
            try:
                for uid in (self._uid, self._last_uid):
                    os.fchown(file.fileno(), uid, uid)
            except OSError as error:
                raise MachineProblem(
                    f"The user ids {self._uid} to {self._last_uid}, which runs get from a worker "
                    f"that is root, cannot be used here: {error.strerror}. Start the worker as an "
                    "ordinary user."
                ) from error

    def _sweep(self) -> None:
        now = time.monotonic()
        if not self._swept_at or now - self._swept_at > SWEEP_EVERY_S:
            self._swept_at = now
            remove_stale(self._state / "runs")


def _could_not_start(why: str) -> ExecutionResult:
    return ExecutionResult(
        outcome=Outcome.FAILED,
        stop_reason=StopReason.COULD_NOT_START,
        summary=why.splitlines()[0],
        error=why,
    )
