"""Follows an execution to its end: its log as it comes, its progress beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from rich.status import Status
from rich.text import Text

from cli.client import Client, Json
from cli.errors import CliError
from cli.exit_codes import OUTCOMES, WAITING_FOR_A_PERSON, ExitCode
from cli.output import Screen
from cli.terminal import clean, clean_line

LONG_POLL_S = 20
PROGRESS_EVERY_S = 1.5
LONGEST_LINE = 64 * 1024
"""Characters; a longer one is shown in several."""
PATIENCE_S = 60.0
"""How long the server may be away, for a restart for example, before following gives up."""

ShowLine = Callable[[str, str], None]
"""Takes the stream (``stdout``, ``stderr`` or ``notice``) and one line without its newline."""


class LogLines:
    """Puts pieces of log together to whole lines. A carriage return starts a line over."""

    def __init__(self, show: ShowLine) -> None:
        self._show = show
        self._pending: dict[str, str] = {}

    def add(self, chunk: Json) -> None:
        stream = str(chunk.get("stream", "stdout"))
        text = self._pending.pop(stream, "") + str(chunk.get("text", ""))
        *lines, rest = text.replace("\r\n", "\n").split("\n")
        for line in lines:
            self._show(stream, _last_version(line))
        # A bar that is drawn anew without end is one line, and a line without end is many.
        if len(rest) > LONGEST_LINE:
            rest = rest[rest.rfind("\r", 0, -1) + 1 :]
        while len(rest) > LONGEST_LINE:
            self._show(stream, clean(rest[:LONGEST_LINE]))
            rest = rest[LONGEST_LINE:]
        if rest:
            self._pending[stream] = rest

    def flush(self) -> None:
        """Show what came without a newline at its end."""
        for stream, rest in self._pending.items():
            self._show(stream, _last_version(rest))
        self._pending = {}


def is_final(execution: Json) -> bool:
    return execution.get("status") in OUTCOMES


def awaits_a_person(execution: Json) -> bool:
    return execution.get("status") in WAITING_FOR_A_PERSON


def successor(execution: Json) -> str:
    """Return the id of what the platform started in place of a lost execution; empty if nothing."""
    return str(execution.get("retried_as") or "") if execution.get("status") == "lost" else ""


def follow(
    client: Client, screen: Screen, execution: Json, show: ShowLine, *, timeout_s: float | None
) -> Json:
    """Show the log until the execution is final or needs a person; return how it stands then.

    Where it is lost and the platform starts another one in its place, that is followed in turn.
    timeout_s bounds the waiting, not the execution. Raises CliError (timed out) when it passes.
    """
    if awaits_a_person(execution):
        return execution  # nothing runs, so the log would keep us waiting for nothing
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        execution = _follow_one(client, screen, execution, show, deadline)
        if not (following := successor(execution)):
            return execution
        screen.note(Text(f"It was lost, and is started again as {clean_line(following)}."))
        execution = client.execution(following, patience_s=PATIENCE_S)


def _follow_one(
    client: Client, screen: Screen, execution: Json, show: ShowLine, deadline: float | None
) -> Json:
    lines = LogLines(show)
    with ProgressLine(client, screen, execution):
        try:
            return _follow_log(client, execution, lines, deadline)
        finally:
            lines.flush()


def read_log(
    client: Client, reference: str, lines: LogLines, *, after: int = 0
) -> tuple[int, bool]:
    """Show the log there is after a cursor. Return the new cursor and whether the log is final."""
    while True:
        page = client.log(reference, after=after, patience_s=PATIENCE_S)
        _add(page, lines)
        after, before = _cursor(page, after), after
        if after == before or page.get("final"):
            return after, bool(page.get("final"))


def _follow_log(client: Client, execution: Json, lines: LogLines, deadline: float | None) -> Json:
    reference = str(execution["id"])
    cursor = 0
    idle_s = 0.2
    while True:
        asked_at = time.monotonic()
        wait_s = _wait_s(reference, deadline)
        page = client.log(reference, after=cursor, wait_s=wait_s, patience_s=PATIENCE_S)
        _add(page, lines)
        moved = _cursor(page, cursor) != cursor
        cursor = _cursor(page, cursor)
        if page.get("final"):
            return _settled(client, reference, deadline)
        if moved:
            idle_s = 0.2
            continue
        execution = client.execution(reference, patience_s=PATIENCE_S)
        if is_final(execution):
            read_log(client, reference, lines, after=cursor)
            return execution
        if awaits_a_person(execution):
            return execution
        if time.monotonic() - asked_at < idle_s:  # a server that does not hold the call open
            time.sleep(idle_s)
            idle_s = min(idle_s * 1.5, 2.0)


def _settled(client: Client, reference: str, deadline: float | None) -> Json:
    """The log ends a moment before the status is final: wait for the status."""
    while True:
        wait_s = _wait_s(reference, deadline)
        asked_at = time.monotonic()
        execution = client.execution(reference, wait_s=wait_s, patience_s=PATIENCE_S)
        if is_final(execution) or awaits_a_person(execution):
            return execution
        if time.monotonic() - asked_at < 0.5:
            time.sleep(0.5)


def _wait_s(reference: str, deadline: float | None) -> int:
    """Return how long to hold the next call open. Raises CliError when the time is up."""
    if deadline is None:
        return LONG_POLL_S
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise CliError(
            f"Execution {clean_line(reference)} is still going on; --timeout passed.",
            ExitCode.TIMED_OUT,
            code="wait_timeout",
        )
    return max(1, min(LONG_POLL_S, int(left_s)))


def _add(page: Json, lines: LogLines) -> None:
    for chunk in page.get("chunks") or []:
        if isinstance(chunk, dict):
            lines.add(chunk)


def _cursor(page: Json, before: int) -> int:
    cursor = page.get("cursor")
    return cursor if isinstance(cursor, int) and cursor > before else before


def _last_version(line: str) -> str:
    """A progress bar rewrites its line after ``\\r``; only what it ended with is kept."""
    return clean(line.rstrip("\r").rpartition("\r")[2])


class ProgressLine:
    """A line at the bottom of a terminal with status and progress; nothing where there is none."""

    def __init__(self, client: Client, screen: Screen, execution: Json) -> None:
        self._client = client
        self._reference = str(execution["id"])
        self._stop = threading.Event()
        self._status: Status | None = None
        if screen.err.is_terminal:
            self._status = screen.err.status(progress_text(execution), spinner="dots")

    def __enter__(self) -> None:
        if self._status is not None:
            self._status.start()
            threading.Thread(target=self._refresh, args=(self._status,), daemon=True).start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._status is not None:
            self._status.stop()

    def _refresh(self, line: Status) -> None:
        while not self._stop.wait(PROGRESS_EVERY_S):
            try:
                execution = self._client.execution(self._reference)
            except CliError:
                continue  # only an ornament: whoever follows the log reports the trouble
            if not self._stop.is_set():
                line.update(progress_text(execution))


def progress_text(execution: Json) -> Text:
    """Return status and progress in one line: ``running  40% reading``."""
    shown = Text(clean_line(execution.get("status", "")).replace("_", " "), style="cyan")
    progress = execution.get("progress")
    if isinstance(progress, dict):
        fraction = progress.get("fraction")
        if isinstance(fraction, int | float):
            shown.append(f"  {min(max(fraction, 0), 1):.0%}", style="bold")
        shown.append(f"  {clean_line(progress.get('message') or '')}", style="default")
    return shown
