"""What a person sees: text to standard output or error, tables, results; and JSON for programs.

With ``--json`` standard output carries JSON and nothing else. Text of a server is cleaned by
``terminal`` first.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.terminal import clean, clean_line, escape_in_json

PIPE_WIDTH = 160
"""Columns where the output is no terminal: tables stay one line per row."""
ROWS_SHOWN = 200

STATUS_STYLES = {
    "succeeded": "bold green",
    "failed": "bold red",
    "timed_out": "bold red",
    "lost": "bold red",
    "rejected": "bold red",
    "expired": "yellow",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "finished": "bold green",
    "invalid": "bold red",
    "paused": "bold yellow",
    "awaiting_confirmation": "bold yellow",
    "awaiting_approval": "bold yellow",
    "running": "bold cyan",
    "queued": "cyan",
    "checking": "cyan",
    "blocked": "bold yellow",
    "in_review": "cyan",
    "live": "bold green",
    "stuck": "bold red",
}
RISK_STYLES = {"low": "green", "medium": "yellow", "high": "bold red"}


class Screen:
    """Where a command writes. as_json sends every human text to standard error."""

    def __init__(self, *, as_json: bool = False, no_color: bool = False) -> None:
        self.as_json = as_json
        self.err = _console(stderr=True, no_color=no_color)
        self._out = self.err if as_json else _console(stderr=False, no_color=no_color)

    @property
    def asks(self) -> bool:
        """Whether a person is there to answer a question."""
        return sys.stdin is not None and sys.stdin.isatty() and self.err.is_terminal

    @property
    def is_one_stream(self) -> bool:
        """Whether what goes to standard output and to standard error is read in one place."""
        if self.as_json:
            return True
        try:
            return os.path.sameopenfile(self._out.file.fileno(), self.err.file.fileno())
        except (OSError, ValueError, AttributeError):
            return False  # closed, or not a real file

    def show(self, renderable: RenderableType) -> None:
        self._out.print(renderable, markup=False, highlight=False, emoji=False)

    def note(self, renderable: RenderableType) -> None:
        """Say something beside the result, on standard error."""
        self.err.print(renderable, markup=False, highlight=False, emoji=False)

    def hint(self, text: str) -> None:
        """Say what could come next. Commands in it stay in one line, ready to copy."""
        self.err.print(Text(text, style="dim"), soft_wrap=True, highlight=False)

    def json(self, value: Any) -> None:
        """Write one JSON document and a newline, when ``--json`` asks for it."""
        if self.as_json:
            utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
            document = json.dumps(value, ensure_ascii=not utf8, indent=2)
            print_document(document)

    def log_line(self, stream: str, line: str, *, beside: bool = False) -> None:
        """Show one line of an execution's log; beside the result, on standard error, if asked."""
        console = self.err if beside else self._out
        style = "yellow" if stream == "stderr" else ""
        console.print(Text(line, style=style), soft_wrap=True, highlight=False)

    def error(self, error: CliError) -> None:
        """Say what went wrong, to the person and, with ``--json``, to the program."""
        self.explain(error)
        failure = {
            "code": error.code or error.exit_code.name.lower(),
            "message": error.message,
            "fields": error.fields,
            "request_id": error.request_id,
            "exit_code": int(error.exit_code),
        }
        self.json({"error": failure})

    def explain(self, error: CliError) -> None:
        """Say what went wrong, and what to do, on standard error."""
        line = Text("Error: ", style="bold red").append(clean(error.message), style="default")
        self.err.print(line, highlight=False, soft_wrap=True)
        for name, said in error.fields.items():
            field = Text("  ").append(clean_line(name), style="bold").append(f" {clean_line(said)}")
            self.err.print(field, highlight=False, soft_wrap=True)
        if error.request_id and error.exit_code == ExitCode.UNREACHABLE:
            self.hint(f"Request id: {error.request_id}")
        if error.hint:
            self.hint(error.hint)


def print_document(document: str) -> None:
    """Print JSON on standard output at once. A reader that has gone away is no failure."""
    try:
        sys.stdout.write(f"{escape_in_json(document)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)


def table(columns: Sequence[str], rows: Sequence[Sequence[RenderableType]]) -> Table:
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def pairs(rows: Mapping[str, RenderableType]) -> Table:
    """Return names and values in two columns. Empty values are left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows.items():
        if value is not None and str(value):
            made.add_row(name, value)
    return made


def text(value: object, style: str = "") -> Text:
    """Return server text on one line, safe to print."""
    return Text("" if value is None else clean_line(value), style=style)


def paragraph(value: object) -> Text:
    return Text("" if value is None else clean(value).strip())


def status(name: object) -> Text:
    word = clean_line(name)
    return Text(word.replace("_", " "), style=STATUS_STYLES.get(word, ""))


def risk(name: object) -> Text:
    word = clean_line(name or "")
    return Text(word, style=RISK_STYLES.get(word, ""))


def moment(value: object) -> Text:
    """Return an ISO 8601 moment in this machine's time zone, to the second."""
    try:
        at = datetime.fromisoformat(str(value)).astimezone()
    except (ValueError, OverflowError):
        return text(value)
    return Text(at.strftime("%Y-%m-%d %H:%M:%S"))


def size(size_bytes: object) -> Text:
    """Return a size as the pages show it: ``532 B``, ``1.4 KiB``, ``20 MiB``."""
    if not isinstance(size_bytes, int | float):
        return Text("")
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1023.95 or unit == "TiB":
            break
        amount /= 1024
    decimals = 1 if unit != "B" and amount < 9.95 else 0
    return Text(f"{amount:.{decimals}f} {unit}")


def result(value: Any) -> RenderableType:
    """Return an execution's output as a table, a list of names and values, or text."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return _rows(value)
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        shown = [Text(f"- {scalar(item)}") for item in value[:ROWS_SHOWN]]
        return Group(*shown, *_rest(len(value)))
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, str):
        return paragraph(value)
    return Text(scalar(value))


def scalar(value: Any) -> str:
    """Return a JSON value as words: yes and no, text as it is, anything nested as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return clean_line(json.dumps(value, ensure_ascii=False))
    return clean_line(value)


def _object(value: dict[str, Any]) -> RenderableType:
    """Simple values come first as pairs; each list of objects gets a table of its own."""
    nested = {
        name: item
        for name, item in value.items()
        if isinstance(item, list) and item and all(isinstance(row, dict) for row in item)
    }
    simple = {clean_line(n): Text(scalar(v)) for n, v in value.items() if n not in nested}
    parts: list[RenderableType] = [pairs(simple)] if simple else []
    for name, rows in nested.items():
        parts += [Text(f"\n{clean_line(name)}", style="bold"), _rows(rows)]
    return Group(*parts)


def _rows(rows: list[dict[str, Any]]) -> RenderableType:
    shown = rows[:ROWS_SHOWN]
    columns = list(dict.fromkeys(name for row in shown for name in row))
    made = table([], [])
    for name in columns:
        numeric = all(isinstance(row.get(name), int | float | None) for row in shown)
        justify = "right" if numeric else "left"
        made.add_column(text(name), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in shown:
        made.add_row(*(Text(scalar(row.get(name))) for name in columns))
    return Group(made, *_rest(len(rows)))


def _rest(count: int) -> list[Text]:
    if count <= ROWS_SHOWN:
        return []
    return [Text(f"… and {count - ROWS_SHOWN} more. See all with --json.", style="dim")]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader, such as ``head``, has enough: go on, so that the exit code stays true."""
        self.quiet = True
        _discard(self.file)


def _discard(stream: IO[str]) -> None:
    """Send what is still written to stream nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _console(*, stderr: bool, no_color: bool) -> Console:
    console = _Console(stderr=stderr, no_color=no_color or None, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
