"""Puts a run's end into the words of the contract."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import dataclass
from typing import Any, cast

from pydantic import JsonValue

from executors.contract import ExecutionResult, Outcome, StopReason
from executors.inputs import INPUT_DEPTH
from executors.masking import Masker
from executors.script.artifacts import Collector, TooLarge, read_small_file
from executors.script.harness import BAD_RESULT_NAME
from executors.script.log import RunLog
from executors.script.process import Ending
from executors.script.run_folder import RESULT_NAME
from executors.text import clean

SUMMARY_CHARS = 200
RESULT_DEPTH = 5 * INPUT_DEPTH
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
            return Output(problem=_line(said))
        data = read_small_file(report, RESULT_NAME, max_bytes)
    except TooLarge:
        return Output(problem=f"The result is larger than {max_bytes} bytes.")
    except OSError as error:
        return Output(problem=f"The result could not be read: {error.strerror}.")
    if data is None or not data.strip():
        return Output()
    try:
        value = cast("JsonValue", json.loads(data, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        return Output(problem=f"The result is not JSON: {_line(clean(str(error)))}.")
    problem = _unstorable(value)
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


def summarise(value: JsonValue, files: int) -> str:
    """Return one line about a successful run: its own summary, or what it gave."""
    if isinstance(value, dict) and isinstance(value.get("summary"), str):
        return _line(clean(cast("str", value["summary"]))) or "Finished."
    parts = []
    if isinstance(value, dict):
        shown = [f"{key}: {_short(item)}" for key, item in value.items() if _is_scalar(item)]
        parts.append(", ".join(shown[:4]) or f"{len(value)} values")
    elif isinstance(value, list):
        parts.append(f"{len(value)} items")
    elif value is not None:
        parts.append(_short(value))
    if files:
        parts.append("1 file" if files == 1 else f"{files} files")
    return _line(clean("; ".join(parts)))[:SUMMARY_CHARS] if parts else "Finished without a result."


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
        return f"The script could not be started. {_line(ending.problem)}"
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


def _unstorable(value: Any) -> str:
    """Return why a parsed result cannot be stored; empty when it can."""
    todo: list[tuple[Any, int]] = [(value, 1)]
    while todo:
        item, depth = todo.pop()
        if depth > RESULT_DEPTH:
            return f"The result is nested deeper than {RESULT_DEPTH} levels."
        if isinstance(item, str) and ("\0" in item or not _is_text(item)):
            return "The result contains a NUL character or half characters."
        if isinstance(item, float) and not math.isfinite(item):
            return "The result contains a number that is too large."
        if isinstance(item, dict):
            todo += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            todo += [(part, depth + 1) for part in item]
    return ""


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not a JSON number")


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _is_scalar(value: JsonValue) -> bool:
    return isinstance(value, str | bool | int | float)


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
