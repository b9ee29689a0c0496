"""Puts a run's end into the words of the contract."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from pydantic import JsonValue

from executors.contract import ExecutionResult, Outcome, StopReason
from executors.masking import Masker
from executors.results import SUMMARY_CHARS, first_line, parse_json, summarise, unstorable
from executors.script.artifacts import Collector, TooLarge, read_small_file
from executors.script.harness import BAD_RESULT_NAME
from executors.script.log import RunLog
from executors.script.process import Ending
from executors.script.run_folder import RESULT_NAME
from executors.text import clean

TRACEBACK = "Traceback (most recent call last):"

OUTCOMES = {
    StopReason.TIME_LIMIT: Outcome.TIMED_OUT,
    StopReason.CANCEL_REQUESTED: Outcome.CANCELLED,
}
SENTENCES = {
    StopReason.TIME_LIMIT: "The script was stopped because it reached its time limit.",
    StopReason.MEMORY_LIMIT: "The script was stopped because it used too much memory.",
    StopReason.OUTPUT_LIMIT: "The script was stopped because it printed too much.",
    StopReason.CANCEL_REQUESTED: "The run was cancelled.",
}


@dataclass(frozen=True)
class Output:
    """The result a script wrote. problem says why it is not usable; empty when it is."""

    value: JsonValue = None
    problem: str = ""


def read_output(report: int, max_bytes: int, masker: Masker) -> Output:
    """Read the result file from the open report folder; never raises for what it holds."""
    try:
        complaint = read_small_file(report, BAD_RESULT_NAME, 4096)
        if complaint is not None:
            said = masker.mask(clean(complaint.decode("utf-8", "replace")))
            return Output(problem=first_line(said))
        data = read_small_file(report, RESULT_NAME, max_bytes)
    except TooLarge:
        return Output(problem=f"The result is larger than {max_bytes} bytes.")
    except OSError as error:
        return Output(problem=f"The result could not be read: {error.strerror}.")
    if data is None or not data.strip():
        return Output()
    try:
        value = parse_json(data)
    except (ValueError, RecursionError) as error:
        return Output(problem=f"The result is not JSON: {first_line(clean(str(error)))}.")
    problem = unstorable(value)
    return Output(problem=problem) if problem else Output(value)


def build_result(
    ending: Ending, output: Output, collector: Collector, log: RunLog, masker: Masker
) -> ExecutionResult:
    """Return the result of a run whose process ended and whose files were read back."""
    reason = ending.stop_reason
    succeeded = reason is StopReason.EXITED and ending.exit_code == 0
    if reason is StopReason.EXITED and output.problem and (succeeded or _complained(output)):
        reason, succeeded = StopReason.BAD_RESULT, False
    error = "" if succeeded else masker.mask(_error(reason, ending, output, log))
    # Masked before anything of it is cut off: a part of a secret is not found any more.
    shown = masker.mask_json(output.value)
    if succeeded:
        summary = summarise(shown, len(collector.files))
    else:
        summary = _failure_summary(reason, ending, output, error)
    return ExecutionResult(
        outcome=Outcome.SUCCEEDED if succeeded else OUTCOMES.get(reason, Outcome.FAILED),
        stop_reason=reason,
        exit_code=ending.exit_code,
        output=shown,
        summary=masker.mask(summary)[:SUMMARY_CHARS],
        error=error,
        artifacts=collector.files,
        skipped_artifacts=[masker.mask(sentence) for sentence in collector.skipped],
        usage=ending.usage,
        log_bytes_dropped=log.dropped_bytes,
    )


def could_not_start(why: str) -> ExecutionResult:
    """Return the result of a run of which nothing ran."""
    return ExecutionResult(
        outcome=Outcome.FAILED,
        stop_reason=StopReason.COULD_NOT_START,
        summary=why.splitlines()[0],
        error=why,
    )


def _error(reason: StopReason, ending: Ending, output: Output, log: RunLog) -> str:
    if reason is StopReason.COULD_NOT_START:
        return ending.problem
    if reason is StopReason.BAD_RESULT:
        return output.problem
    tail = log.error_tail()
    start = tail.rfind(TRACEBACK)
    text = tail[start:] if start >= 0 else "\n".join(tail.splitlines()[-20:])
    return "\n".join(filter(None, [text.strip(), ending.problem]))


def _failure_summary(reason: StopReason, ending: Ending, output: Output, error: str) -> str:
    if reason in SENTENCES:
        return SENTENCES[reason]
    if reason is StopReason.COULD_NOT_START:
        return f"The script could not be started. {first_line(ending.problem)}"
    if reason is StopReason.BAD_RESULT:
        return output.problem
    if reason is StopReason.KILLED:
        if ending.exit_code is None:
            return ending.problem or "The script was killed."
        return f"The script was killed by {_signal_name(-ending.exit_code)}."
    last = error.splitlines()[-1].strip() if error else ""
    return last or f"The script ended with exit code {ending.exit_code}."


def _complained(output: Output) -> bool:
    return output.problem.startswith("main() returned")


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
