"""One run from claim to finish, on the worker. No transaction spans it."""

from __future__ import annotations

import mimetypes
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from pydantic import JsonValue

from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import DomainError, InvalidTransition
from execfabric.core.ids import uuid7
from execfabric.core.storage import open_file, store_file
from executors.contract import (
    ExecutionRequest,
    ExecutionResult,
    ExecutorError,
    Limits,
    Outcome,
    OutputFile,
    StopReason,
    Stream,
)
from executors.registry import EXECUTORS
from executors.script.removal import remove_tree
from skills.catalogue.models import SkillVersion
from skills.catalogue.workspace import sync_script

from . import lifecycle
from .inputs import files_of
from .models import Artifact, Execution
from .selectors import executions_visible_to

logger = structlog.get_logger(__name__)


def run_execution(execution_id: str) -> None:
    """Run one queued execution. A second delivery does nothing."""
    actor = Actor.system("worker")
    execution = executions_visible_to(actor).get(pk=execution_id)
    try:
        execution = lifecycle.claim_execution(actor=actor, execution=execution)
    except InvalidTransition:
        logger.info("execution.not_queued", execution=execution_id, status=execution.status)
        return
    with _run_folder() as folder:
        result = _result_of(execution, folder)
        try:
            artifacts = [_store(execution, file) for file in result.artifacts]
            lifecycle.finish_execution(
                actor=actor, execution=execution, result=result, artifacts=artifacts
            )
        except lifecycle.StaleLease as error:
            logger.warning("execution.result_refused", execution=execution_id, reason=str(error))


class LiveSink:
    """Stores log and progress as they come and renews the lease in between."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.seq = 0

    def log(self, stream: Stream, text: str) -> None:
        self.seq += 1
        lifecycle.append_log(self.execution, seq=self.seq, stream=stream, text=text)

    def progress(self, fraction: float, message: str) -> None:
        lifecycle.note_progress(self.execution, fraction=fraction, message=message)

    def alive(self) -> bool:
        try:
            return lifecycle.renew_lease(self.execution)
        except lifecycle.StaleLease:
            return False


def _result_of(execution: Execution, folder: Path) -> ExecutionResult:
    """Run it; whatever keeps it from starting is a result too, never a lost record."""
    try:
        request = _request_for(execution, folder)
        executor = EXECUTORS.get(execution.version.kind)
        executor.validate(request.resource)
        workdir = folder / "run"
        workdir.mkdir()
        return executor.execute(request, LiveSink(execution), workdir=workdir)
    except (DomainError, ExecutorError) as error:
        return _could_not_start(str(error))
    except Exception:  # a run that breaks us still ends in a record
        logger.exception("execution.broke", execution=str(execution.pk))
        return _could_not_start("The platform failed to run this. Its log says why.")


def _could_not_start(why: str) -> ExecutionResult:
    return ExecutionResult(
        outcome=Outcome.FAILED,
        stop_reason=StopReason.COULD_NOT_START,
        summary="Could not start.",
        error=why,
    )


def _request_for(execution: Execution, folder: Path) -> ExecutionRequest:
    version = execution.version
    inputs: dict[str, Any] = dict(execution.inputs)
    input_files: dict[str, Path | list[Path]] = {}
    received = folder / "inputs"
    received.mkdir()
    for name, stored in files_of(version, inputs).items():
        if not stored:
            continue
        paths = []
        for number, file in enumerate(stored, start=1):
            target = received / name / str(number) / file.name
            target.parent.mkdir(parents=True)
            with open_file(file.stored_as) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            paths.append(target)
        input_files[name] = paths if isinstance(inputs[name], list) else paths[0]
    return ExecutionRequest(
        execution_id=str(execution.pk),
        tenant=current_schema(),
        kind=version.kind,
        resource=_resource_of(version),
        inputs=inputs,
        input_files=input_files,
        limits=Limits(timeout_s=version.timeout_s, memory_bytes=version.memory_bytes),
    )


def _resource_of(version: SkillVersion) -> dict[str, JsonValue]:
    script = version.script_version
    if script is None:
        raise ExecutorError(f"Skill version {version} names no script.")
    synced = sync_script(script)
    return {
        "folder": str(synced.folder),
        "runtime": script.runtime,
        "entry": script.entry,
        "python": str(synced.python) if synced.python else None,
    }


def _store(execution: Execution, file: OutputFile) -> Artifact:
    artifact_id = uuid7()
    with file.path.open("rb") as content:
        stored = store_file(f"artifacts/{execution.pk}", str(artifact_id), content)
    return Artifact(
        id=artifact_id,
        execution=execution,
        name=file.name,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        media_type=mimetypes.guess_type(file.name)[0] or "application/octet-stream",
        stored_as=stored,
    )


@contextmanager
def _run_folder() -> Iterator[Path]:
    """A folder for one run, gone afterwards whatever the run left in it."""
    root = Path(settings.DATA_DIR) / "runs"
    root.mkdir(exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
    try:
        yield folder
    finally:
        remove_tree(folder)
