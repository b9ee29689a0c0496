"""One run from claim to finish, on the worker. No transaction spans it."""

from __future__ import annotations

import functools
import hashlib
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from pydantic import JsonValue

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.errors import Conflict, DomainError, Postponed
from execfabric.core.request_context import request_id_scope
from execfabric.core.storage import open_file
from executors.contract import (
    ExecutionRequest,
    ExecutionResult,
    ExecutorError,
    Limits,
    StopReason,
)
from executors.registry import EXECUTORS
from skills.catalogue.errors import VersionWithdrawn
from skills.catalogue.models import SkillVersion
from skills.catalogue.resources import Resolved, resolve_resource
from skills.catalogue.workspace import sync_script

from . import lifecycle, outcomes
from .ends import hand_over
from .heartbeat import Heartbeat
from .inputs import files_of
from .live_log import LiveSink
from .models import Execution, StoredFile
from .policy import Mode
from .recording import record_result
from .run_folders import make_run_folder

logger = structlog.get_logger(__name__)


def run_execution(execution_id: UUID | str, heartbeat: Heartbeat | None = None) -> None:
    """Run one queued execution of the schema at hand. A second delivery does nothing.

    heartbeat keeps the run's lease; without one the run must be over before that runs out.
    """
    actor = Actor.system("worker")
    try:
        execution = _claim(actor, UUID(str(execution_id)))
    except VersionWithdrawn as error:
        withdrawn = Execution.objects.get(pk=execution_id)
        lifecycle.recall_execution(actor=actor, execution=withdrawn, reason=error.reason)
        return
    except Conflict as error:
        logger.info("execution.not_claimed", execution=str(execution_id), reason=str(error))
        return
    if execution is None:
        logger.info("execution.waits_for_others", execution=str(execution_id))
        return
    with (
        request_id_scope(execution.request_id),
        ExitStack() as lease,
        # The folder outlives the recording, which reads the artifacts in it.
        ExitStack() as folders,
    ):
        pulse = lease.enter_context((heartbeat or Heartbeat()).keep(execution))
        sink = LiveSink(execution, pulse.alive)
        pulse.beside = sink.store
        result = _result_of(execution, sink, folders)
        if result.stop_reason is StopReason.CANCEL_REQUESTED:
            if pulse.was_stopped:
                result = outcomes.stopped_with_worker(result)
            elif pulse.was_shut:
                result = outcomes.shut_out(result)
            elif pulse.was_cut_off:
                result = outcomes.cut_off(result)
        rest = sink.rest()
        with ExitStack() as unless_left:
            let_go = unless_left.enter_context(lease.pop_all())
            if hand_over(execution, result, rest, let_go.close):
                unless_left.pop_all()
            else:
                record_result(actor, execution, result, rest)


def _claim(actor: Actor, execution_id: UUID) -> Execution | None:
    """Return the execution, claimed; None where it has to wait for others to end."""
    try:
        return lifecycle.claim_execution(actor=actor, execution_id=execution_id)
    except Postponed:
        return lifecycle.claim_in_turn(actor, execution_id)


def _result_of(execution: Execution, sink: LiveSink, folders: ExitStack) -> ExecutionResult:
    """Run it; whatever keeps it from starting or ending is a result too, never a lost record."""
    was_started = False
    try:
        folder = folders.enter_context(make_run_folder())
        request = _request_for(execution, folder)
        executor = EXECUTORS.get(execution.version.kind)
        executor.validate(request.resource)
        workdir = folder
        if request.input_files:
            workdir = folder / "run"
            workdir.mkdir()
        if not sink.alive():
            return outcomes.not_started_any_more()
        was_started = True
        return executor.execute(request, sink, workdir=workdir)
    except Exception as error:  # A run that breaks us still ends in a record.
        if was_started:
            logger.exception("execution.broke", execution=str(execution.pk))
            return outcomes.broke_in_the_middle()
        if isinstance(error, DomainError | ExecutorError):
            return outcomes.could_not_start(str(error))
        logger.exception("execution.broke", execution=str(execution.pk))
        return outcomes.could_not_start("The platform failed to start this. Its log says why.")


def _request_for(execution: Execution, folder: Path) -> ExecutionRequest:
    version = execution.version
    inputs: dict[str, Any] = dict(execution.inputs)
    input_files: dict[str, Path | list[Path]] = {}
    received = folder / "inputs"
    for name, stored in files_of(version, inputs).items():
        if not stored:
            continue
        paths = []
        for number, file in enumerate(stored, start=1):
            target = received / name / str(number) / file.name
            target.parent.mkdir(parents=True)
            _copy(file, target)
            paths.append(target)
        input_files[name] = paths if isinstance(inputs[name], list) else paths[0]
    resolved = _resolved(version, purpose=f"execution {execution.pk}")
    # Not checked: all of it is ours, and of the types it says; inputs were checked when asked for.
    return ExecutionRequest.model_construct(
        execution_id=str(execution.pk),
        tenant=current_schema(),
        kind=version.kind,
        resource=resolved.spec,
        inputs=inputs,
        input_files=input_files,
        limits=_limits(version.timeout_s, version.memory_bytes),
        network=version.network,
        network_hosts=version.network_hosts,
        secrets=resolved.secrets,
        series=_series_of(execution),
        others_follow=execution.door == Door.BATCH,
    )


def _series_of(execution: Execution) -> str:
    """Return what runs of one person and version have in common, where the same decision let them
    start: that nobody need confirm them, or that somebody let their batch run."""
    if execution.requested_by_id is None:
        return ""
    series = f"{execution.requested_by_id} {execution.version_id}"
    if execution.mode == Mode.AUTO:
        return series
    # Rows have the request of their batch.
    return f"{series} {execution.request_id}" if execution.door == Door.BATCH else ""


@functools.lru_cache(maxsize=100)
def _limits(timeout_s: float, memory_bytes: int) -> Limits:
    return Limits(timeout_s=timeout_s, memory_bytes=memory_bytes)


def _copy(file: StoredFile, target: Path) -> None:
    """Raises Conflict where another content lies there now: people let this one run."""
    with open_file(file.stored_as) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    with target.open("rb") as copied:
        if hashlib.file_digest(copied, "sha256").hexdigest() != file.sha256:
            raise Conflict(f"The stored file {file.name} is not the one that was uploaded.")


def _resolved(version: SkillVersion, *, purpose: str) -> Resolved:
    script = version.script_version
    if script is None:  # The database sees to it: of another kind than script.
        return resolve_resource(version, purpose=purpose)
    synced = sync_script(script)
    spec: dict[str, JsonValue] = {
        "folder": str(synced.folder),
        "runtime": script.runtime,
        "entry": script.entry,
        "python": str(synced.python) if synced.python else None,
    }
    return Resolved(spec, {})
