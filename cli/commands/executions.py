"""What was or is being run: executions, status, logs, download, and what decides about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli import output
from cli.client import Client, Json
from cli.commands import reports
from cli.downloads import download_all, download_archive
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.following import LogLines, ShowLine, follow, is_final, read_log
from cli.session import Session, session_of
from cli.terminal import clean, clean_line

ExecutionId = Annotated[str, typer.Argument(metavar="ID", help="Id of the execution.")]


def list_executions(
    context: typer.Context,
    status: Annotated[str, typer.Option("--status", help="Only with this status.")] = "",
    skill: Annotated[str, typer.Option("--skill", help="Only of this skill.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to show at most.")] = 20,
) -> None:
    """List executions, newest first."""
    session = session_of(context)
    found = session.client().executions(status=status, skill=skill, limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    if shown:
        columns = ["Execution", "Skill", "Status", "Created", "Summary"]
        rows = [
            [
                output.text(row.get("id")),
                reports.skill_of(row),
                output.status(row.get("status", "")),
                output.moment(row.get("created_at")),
                output.text(row.get("summary")),
            ]
            for row in shown
        ]
        session.screen.show(output.table(columns, rows))
    else:
        session.screen.note(Text("No execution found."))
    if more:
        session.screen.hint("There are older ones. Raise --limit to see them.")
    session.screen.json({"results": shown, "more": more})


def show_status(context: typer.Context, execution_id: ExecutionId) -> None:
    """Show how an execution stands, and its result once it has one."""
    session = session_of(context)
    client = session.client()
    execution = client.execution(execution_id)
    session.screen.show(reports.facts(execution))
    if is_final(execution):
        session.screen.show(Text(""))
        session.screen.show(reports.outcome(execution))
        if artifacts := client.artifacts(execution_id):
            session.screen.show(reports.artifact_table(artifacts))
            session.screen.hint(f"Download: {session.command(f'download {execution_id}')}")
    session.screen.json(execution)


def logs(
    context: typer.Context,
    execution_id: ExecutionId,
    follow_it: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until it ends; exit with its outcome.")
    ] = False,
) -> None:
    """Show the log. With --json: one JSON object for each line, as it comes."""
    session = session_of(context)
    client = session.client()
    if not follow_it:
        lines = LogLines(_shower(session))
        read_log(client, execution_id, lines)
        lines.flush()
        return
    execution = client.execution(execution_id)
    try:
        execution = follow(client, session.screen, execution, _shower(session), timeout_s=None)
    except KeyboardInterrupt:
        reports.goes_on(session, clean_line(execution_id))
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if not is_final(execution):
        raise reports.needs_a_person(session, execution)
    session.screen.note(output.status(execution.get("status", "")))
    raise typer.Exit(reports.exit_code(execution))


def download(
    context: typer.Context,
    execution_id: ExecutionId,
    to: Annotated[Path, typer.Option("--to", help="Folder to save to.")] = Path(),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only the file of this name. Repeatable.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist already.")
    ] = False,
    as_archive: Annotated[
        bool, typer.Option("--all", help="Save all files as one ZIP file, ID.zip.")
    ] = False,
) -> None:
    """Download the files an execution made."""
    session = session_of(context)
    client = session.client()
    if as_archive:
        if only:
            raise usage_error("--all is for all files: leave out --only.")
        saved = download_archive(client, session.screen, execution_id, to, overwrite=overwrite)
        session.screen.show(output.text(str(saved)))
        session.screen.json({"downloaded": [str(saved)]})
        return
    artifacts = _picked(client, execution_id, only or [])
    if not artifacts:
        session.screen.note(Text("This execution made no files."))
    paths = download_all(client, session.screen, artifacts, to, overwrite=overwrite)
    if artifacts:
        session.screen.show(reports.artifact_table(artifacts, paths))
    session.screen.json({"downloaded": [str(path) for path in paths]})


def confirm(context: typer.Context, execution_id: ExecutionId) -> None:
    """Confirm an execution that waits for it, so that it runs."""
    session = session_of(context)
    execution = session.client().confirm(execution_id)
    reference = clean_line(execution_id)
    if execution.get("status") == "awaiting_approval":
        session.screen.show(Text(f"Confirmed. Execution {reference} now waits for an approval."))
        session.screen.hint(reports.next_commands(session, reference, "approve", "status"))
    else:
        session.screen.show(Text(f"Confirmed. Execution {reference} will run."))
        session.screen.hint(reports.next_commands(session, reference, "follow"))
    session.screen.json(execution)


def approve(context: typer.Context, execution_id: ExecutionId) -> None:
    """Approve somebody else's execution that waits for it, so that it runs."""
    session = session_of(context)
    execution = session.client().approve(execution_id)
    reference = clean_line(execution_id)
    session.screen.show(Text(f"Approved. Execution {reference} will run."))
    session.screen.hint(reports.next_commands(session, reference, "follow"))
    session.screen.json(execution)


def reject(
    context: typer.Context,
    execution_id: ExecutionId,
    reason: Annotated[str, typer.Option("--reason", help="Why; who asked for it reads this.")],
) -> None:
    """Reject an execution that waits, so that it never runs."""
    session = session_of(context)
    execution = session.client().reject(execution_id, reason)
    session.screen.show(Text(f"Execution {clean_line(execution_id)} is rejected."))
    session.screen.json(execution)


def cancel(context: typer.Context, execution_id: ExecutionId) -> None:
    """Cancel an execution that has not ended."""
    session = session_of(context)
    execution = session.client().cancel(execution_id)
    reference = clean_line(execution_id)
    if execution.get("status") == "cancelled":
        session.screen.show(Text(f"Execution {reference} is cancelled."))
    elif is_final(execution):
        word = clean_line(execution.get("status", "")).replace("_", " ")
        session.screen.json(execution)
        raise CliError(f"Execution {reference} had ended before: {word}.", ExitCode.REFUSED)
    else:
        session.screen.show(Text(f"Execution {reference} is asked to stop."))
    session.screen.json(execution)


def _shower(session: Session) -> ShowLine:
    def show(stream: str, line: str) -> None:
        if session.screen.as_json:
            entry = json.dumps({"stream": stream, "text": line}, ensure_ascii=False)
            output.print_document(entry)
        else:
            session.screen.log_line(stream, line)

    return show


def _picked(client: Client, execution_id: str, only: list[str]) -> list[Json]:
    artifacts = client.artifacts(execution_id)
    if not only:
        return artifacts
    names = [str(artifact.get("name", "")) for artifact in artifacts]
    for name in only:
        if name not in names:
            made = ", ".join(map(clean, names)) or "none"
            raise usage_error(f"There is no file {name!r}. Files: {made}.")
    return [artifact for artifact in artifacts if artifact.get("name") in only]
