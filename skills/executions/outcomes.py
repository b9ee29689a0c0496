"""What of a result is stored, and results the platform itself gives: of runs that no executor could
bring to their end."""

from __future__ import annotations

from typing import Any

from executors.contract import ExecutionResult, Outcome, StopReason

FILES_NOT_STORED = "It ran, but its files could not be stored."
RESULT_NOT_STORED = "It ran, but its result could not be stored."


def fields_of(result: ExecutionResult) -> dict[str, Any]:
    """Return the fields of an execution that hold its result."""
    return {
        "stop_reason": result.stop_reason.value,
        "exit_code": result.exit_code,
        "output": result.output,
        "summary": result.summary,
        "error": result.error,
        "skipped_artifacts": result.skipped_artifacts,
        "log_bytes_dropped": result.log_bytes_dropped,
        "wall_s": result.usage.wall_s,
        "cpu_s": result.usage.cpu_s,
        "peak_memory_bytes": result.usage.peak_memory_bytes,
    }


def could_not_start(why: str) -> ExecutionResult:
    return ExecutionResult(
        outcome=Outcome.FAILED,
        stop_reason=StopReason.COULD_NOT_START,
        summary="Could not start.",
        error=why,
    )


def not_started_any_more() -> ExecutionResult:
    """Cancelled while it was prepared: nothing of it ran."""
    return ExecutionResult(
        outcome=Outcome.CANCELLED,
        stop_reason=StopReason.CANCEL_REQUESTED,
        summary="Cancelled before it started.",
    )


def stopped_with_worker(result: ExecutionResult) -> ExecutionResult:
    """Return how a run ended that was ended because its worker was stopped."""
    return _ended_by_platform(
        result, "The worker was stopped while this ran. It may have run in part."
    )


def shut_out(result: ExecutionResult) -> ExecutionResult:
    """Return how a run ended that was ended because its tenant was suspended or closed."""
    why = "This workspace was suspended or closed while this ran. It may have run in part."
    return result.model_copy(update={"summary": why, "error": why})


def cut_off(result: ExecutionResult) -> ExecutionResult:
    """Return how a run ended that was ended because its lease could not be renewed."""
    return _ended_by_platform(
        result,
        "The worker did not reach the database for too long, and stopped this. "
        "It may have run in part.",
    )


def _ended_by_platform(result: ExecutionResult, why: str) -> ExecutionResult:
    return result.model_copy(
        update={
            "outcome": Outcome.FAILED,
            "stop_reason": StopReason.PLATFORM_FAILED,
            "summary": why,
            "error": why,
        }
    )


def broke_in_the_middle() -> ExecutionResult:
    """It was started; what it did until the platform failed is not known."""
    return ExecutionResult(
        outcome=Outcome.FAILED,
        stop_reason=StopReason.PLATFORM_FAILED,
        summary="The platform failed while this ran. It may have run in part.",
        error="The platform failed while this ran. It may have run in part. Its log says why.",
    )


def without_files(result: ExecutionResult) -> ExecutionResult:
    """Return result without its artifacts; a success becomes a failure, its output stays."""
    lost = [f"{file.name} could not be stored." for file in result.artifacts]
    return _failed(
        result.model_copy(
            update={"artifacts": [], "skipped_artifacts": [*result.skipped_artifacts, *lost]}
        ),
        FILES_NOT_STORED,
    )


def without_content(result: ExecutionResult) -> ExecutionResult:
    """Return only how the run ended, for a result the database does not take."""
    return _failed(
        ExecutionResult(
            outcome=result.outcome,
            stop_reason=result.stop_reason,
            exit_code=result.exit_code,
            usage=result.usage,
            log_bytes_dropped=result.log_bytes_dropped,
        ),
        RESULT_NOT_STORED,
    )


def _failed(result: ExecutionResult, why: str) -> ExecutionResult:
    said: dict[str, object] = {
        "summary": f"{why} {result.summary}".strip(),
        "error": f"{why}\n{result.error}".strip(),
    }
    if result.outcome is Outcome.SUCCEEDED:
        said.update(outcome=Outcome.FAILED, stop_reason=StopReason.PLATFORM_FAILED)
    return result.model_copy(update=said)
