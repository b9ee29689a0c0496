"""From an executor's result to a stored one: files first, then the record, all or nothing."""

from __future__ import annotations

import contextlib
import mimetypes
import time
from collections.abc import Sequence

import structlog
from django.db import InterfaceError, OperationalError

from execfabric.core.actor import Actor
from execfabric.core.connections import drop_dead_connections
from execfabric.core.ids import uuid7
from execfabric.core.storage import delete_file, store_file
from executors.contract import ExecutionResult, OutputFile

from . import lifecycle, outcomes
from .models import Artifact, Execution
from .news import NO_NEWS, UnstoredNews

logger = structlog.get_logger(__name__)

PAUSES_S = (0.0, 0.5, *(1.0,) * 299)
"""Before each further attempt to record a result. Short ones, since a database may go again soon
after it came back; many, since nobody else can end the run while it is away."""


def record_result(
    actor: Actor,
    execution: Execution,
    result: ExecutionResult,
    news: UnstoredNews = NO_NEWS,
) -> None:
    """Store the result of a run this worker holds, and what of its news is not stored yet.

    A stale lease is logged and nothing stays.

    What cannot be stored ends the execution as failed, with as much as can be. Raises what the
    database raises when it cannot be reached for longer than PAUSES_S together.
    """
    result, artifacts = _stored(execution, result)
    try:
        _finish(actor, execution, result, artifacts, news)
    except lifecycle.StaleLease as error:
        logger.warning("execution.result_refused", execution=str(execution.pk), reason=str(error))
        _discard(artifacts)
    except (OperationalError, InterfaceError):
        _discard(artifacts)
        raise
    except Exception:  # The database does not take this one; how it ended is still true.
        logger.exception("execution.result_not_stored", execution=str(execution.pk))
        _discard(artifacts)
        # A lease that was given up meanwhile: whoever gave it up has ended the execution.
        with contextlib.suppress(lifecycle.StaleLease):
            _finish(actor, execution, outcomes.without_content(result), [], NO_NEWS)


def _stored(
    execution: Execution, result: ExecutionResult
) -> tuple[ExecutionResult, list[Artifact]]:
    """Store the files of result, all or none; return what is to be recorded."""
    artifacts: list[Artifact] = []
    try:
        for file in result.artifacts:
            artifact = _store(execution, file)
            artifacts.append(artifact)
    except Exception:  # A full disk, a bucket that is away: the run is over all the same.
        logger.exception("execution.files_not_stored", execution=str(execution.pk))
        _discard(artifacts)
        return outcomes.without_files(result), []
    return result, artifacts


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


def _finish(
    actor: Actor,
    execution: Execution,
    result: ExecutionResult,
    artifacts: Sequence[Artifact],
    news: UnstoredNews,
) -> None:
    """Record it, again where the connection died meanwhile; once it is recorded, it is not again.

    An attempt that was recorded although its answer was lost makes the next one a stale lease.
    """
    for pause_s in PAUSES_S:
        try:
            lifecycle.finish_execution(
                actor=actor, execution=execution, result=result, artifacts=artifacts, news=news
            )
        except (OperationalError, InterfaceError) as error:
            logger.warning("execution.finish_failed", execution=str(execution.pk), error=str(error))
            drop_dead_connections()
            time.sleep(pause_s)
        else:
            return
    lifecycle.finish_execution(
        actor=actor, execution=execution, result=result, artifacts=artifacts, news=news
    )


def _discard(artifacts: Sequence[Artifact]) -> None:
    """Delete the stored files of artifacts that are not recorded."""
    try:
        wanted = [artifact.pk for artifact in artifacts]
        recorded = set(Artifact.objects.filter(pk__in=wanted).values_list("pk", flat=True))
        for artifact in artifacts:
            if artifact.pk not in recorded:
                delete_file(artifact.stored_as)
    except Exception:  # A file too many harms nobody; the record comes first.
        logger.warning("execution.files_left", exc_info=True)
