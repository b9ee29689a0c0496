"""What each exit code of execfabric-cli means. Scripts rely on these numbers: never renumber."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_LOGGED_IN = 4
    NOT_FOUND = 5
    INVALID_INPUTS = 6
    NEEDS_A_PERSON = 7
    TIMED_OUT = 8
    CANCELLED = 9
    UNREACHABLE = 10
    ENDED_WITHOUT_RESULT = 11
    NOT_AS_SEALED = 12
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.SUCCEEDED: "done; the execution succeeded",
    ExitCode.FAILED: "the execution failed",
    ExitCode.USAGE: "wrong usage: an option, a file or the configuration",
    ExitCode.REFUSED: "refused: not permitted, or not possible now",
    ExitCode.NOT_LOGGED_IN: "not logged in, or the login has expired",
    ExitCode.NOT_FOUND: "not found, or not visible to you",
    ExitCode.INVALID_INPUTS: "invalid inputs",
    ExitCode.NEEDS_A_PERSON: "waits for a confirmation or an approval",
    ExitCode.TIMED_OUT: "the execution hit its time limit, or --timeout passed",
    ExitCode.CANCELLED: "the execution was cancelled",
    ExitCode.UNREACHABLE: "the server cannot be reached, or has an error of its own",
    ExitCode.ENDED_WITHOUT_RESULT: "the execution was lost, rejected or has expired",
    ExitCode.NOT_AS_SEALED: "the audit trail is not as it was sealed",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}

OUTCOMES: dict[str, ExitCode] = {
    "succeeded": ExitCode.SUCCEEDED,
    "failed": ExitCode.FAILED,
    "timed_out": ExitCode.TIMED_OUT,
    "cancelled": ExitCode.CANCELLED,
    "lost": ExitCode.ENDED_WITHOUT_RESULT,
    "rejected": ExitCode.ENDED_WITHOUT_RESULT,
    "expired": ExitCode.ENDED_WITHOUT_RESULT,
}
"""Final status of an execution -> exit code. A status that is not here is not final."""

WAITING_FOR_A_PERSON = frozenset({"awaiting_confirmation", "awaiting_approval"})


def help_text() -> str:
    """Return the exit codes as lines for ``--help``."""
    lines = [f"{code.value:>5}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(["Exit codes:", *lines])
