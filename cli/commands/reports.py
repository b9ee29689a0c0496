"""How an execution is shown: its facts, its result, its artifacts, what to do next."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cli import output
from cli.client import Json
from cli.errors import CliError
from cli.exit_codes import OUTCOMES, ExitCode
from cli.session import Session
from cli.terminal import clean, clean_line

_NEXT = {
    "confirm": ("Confirm", "confirm {}"),
    "approve": ("Somebody else approves", "approve {}"),
    "status": ("Look again", "status {}"),
    "follow": ("Follow", "logs {} --follow"),
    "cancel": ("Cancel", "cancel {}"),
}
"""What may come next -> its label and the words of its command."""


def facts(execution: Json) -> RenderableType:
    """Return what is known about an execution, one fact a line."""
    progress = execution.get("progress")
    rows: dict[str, RenderableType] = {
        "Execution": output.text(execution.get("id"), style="bold"),
        "Skill": skill_of(execution),
        "Status": output.status(execution.get("status", "")),
        "Started again as": output.text(execution.get("retried_as")),
        "Progress": progress_of(progress) if isinstance(progress, dict) else Text(""),
        "Created": _moment(execution, "created_at"),
        "Started": _moment(execution, "started_at"),
        "Finished": _moment(execution, "finished_at"),
        "Took": Text(_took(execution)),
        "Page": output.text(execution.get("url")),
    }
    return output.pairs(rows)


def outcome(execution: Json, *, seen: Container[str] = ()) -> RenderableType:
    """Return summary, result or error of an execution that ended, and its final line.

    Lines of the error that are in seen are left out: the reader had them with the log.
    """
    parts: list[RenderableType] = []
    if execution.get("output") not in (None, {}, []):
        parts += [output.result(execution["output"]), Text("")]
    said = clean(error_of(execution)).strip().splitlines()
    if unseen := [line for line in said if line.strip() not in seen]:
        parts += [Text("\n".join(unseen), style="red"), Text("")]
    parts += [Text(note, style="yellow") for note in _losses(execution)]
    status = clean_line(execution.get("status", ""))
    line = output.status(status)
    took = _took(execution)
    if took:
        line.append(f" in {took}", style="default")
    if status == "failed" and execution.get("exit_code") not in (None, 0):
        line.append(f", exit code {clean_line(execution['exit_code'])}", style="default")
    if execution.get("summary"):
        line.append(f": {clean_line(execution['summary'])}", style="default")
    return Group(*parts, line)


def artifact_table(artifacts: list[Json], paths: list[Path] | None = None) -> RenderableType:
    """Return the artifacts as a table; with paths, where each one was saved."""
    rows: list[list[RenderableType]] = []
    for index, artifact in enumerate(artifacts):
        where = Text(clean_line(paths[index])) if paths else output.text(artifact.get("media_type"))
        name = output.text(artifact.get("name"))
        rows.append([name, output.size(artifact.get("size_bytes")), where])
    return output.table(["File", "Size", "Saved as" if paths else "Type"], rows)


def needs_a_person(session: Session, execution: Json) -> CliError:
    """Return the error for an execution that waits, with the command that moves it on."""
    reference = clean_line(execution.get("id", ""))
    if execution.get("status") == "awaiting_confirmation":
        return CliError(
            f"Execution {reference} waits for a confirmation. Nothing has run yet.",
            ExitCode.NEEDS_A_PERSON,
            code="awaiting_confirmation",
            hint=next_commands(session, reference, "confirm", "cancel"),
        )
    return CliError(
        f"Execution {reference} waits until somebody else approves it. Nothing has run yet.",
        ExitCode.NEEDS_A_PERSON,
        code="awaiting_approval",
        hint=next_commands(session, reference, "approve", "status", "cancel"),
    )


def next_commands(session: Session, reference: str, *names: str) -> str:
    """Return the commands that could come next for an execution, one a line, ready to copy."""
    width = max(len(_NEXT[name][0]) for name in names) + 1
    lines = []
    for name in names:
        label, words = _NEXT[name]
        lines.append(f"{label + ':':{width}} {session.command(words.format(reference))}")
    return "\n".join(lines)


def goes_on(session: Session, reference: str) -> None:
    """Say that the execution was left running, and how to come back to it."""
    session.screen.note(Text(f"Execution {reference} goes on without us."))
    session.screen.hint(next_commands(session, reference, "follow", "cancel"))


def exit_code(execution: Json) -> ExitCode:
    """Return the exit code of a final execution; a status we do not know counts as failed."""
    return OUTCOMES.get(str(execution.get("status")), ExitCode.FAILED)


def error_of(execution: Json) -> str:
    error: Any = execution.get("error") or execution.get("rejection")
    if isinstance(error, dict):
        error = error.get("message") or error.get("code")
    return str(error or "")


def skill_of(execution: Json) -> Text:
    skill: Any = execution.get("skill")
    if isinstance(skill, dict):
        skill = skill.get("name")
    shown = output.text(skill)
    if execution.get("version"):
        shown.append(f"  version {clean_line(execution['version'])}", style="dim")
    return shown


def progress_of(progress: Json) -> Text:
    fraction = progress.get("fraction")
    share = f"{fraction:.0%} " if isinstance(fraction, int | float) else ""
    return Text(f"{share}{clean_line(progress.get('message') or '')}")


def _losses(execution: Json) -> list[str]:
    """Return what the platform's limits cut off, one sentence each."""
    skipped = execution.get("skipped_artifacts")
    notes = [clean_line(why) for why in skipped] if isinstance(skipped, list) else []
    if dropped := execution.get("log_bytes_dropped"):
        notes.append(f"The log was too long: {output.size(dropped)} of it are not kept.")
    return notes


def _moment(execution: Json, name: str) -> Text:
    return output.moment(execution[name]) if execution.get(name) else Text("")


def _took(execution: Json) -> str:
    """Return the run time in words, "" while it is not known."""
    try:
        started = datetime.fromisoformat(str(execution.get("started_at")))
        seconds = (
            datetime.fromisoformat(str(execution.get("finished_at"))) - started
        ).total_seconds()
    except (ValueError, TypeError):
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
