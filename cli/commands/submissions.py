"""submit, submissions, submission: a script on its way to becoming a skill."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli import output
from cli.client import Client, Json
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.session import Session, session_of
from cli.terminal import clean, clean_line
from executors.script.bundle import BundleError, read_archive, read_bundle

LOOK_EVERY_S = 1.0
LEVELS = {"pass": ("ok", "green"), "warn": ("look", "yellow"), "block": ("MEND", "bold red")}


def submit(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Script folder, or a zip or tar.gz of it.")
    ],
    scenario: Annotated[
        str, typer.Option("--scenario", help="What problem it solves, and who will use it.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Name of the skill.")] = "",
    ai_callable: Annotated[
        bool | None,
        typer.Option("--ai/--no-ai", help="Whether the assistant may propose it."),
    ] = None,
    manual: Annotated[
        bool | None, typer.Option("--manual/--no-manual", help="Whether people may run it by hand.")
    ] = None,
    confirm: Annotated[
        bool | None,
        typer.Option("--confirm/--no-confirm", help="Whether each run must be confirmed."),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Note to the reviewer.")] = "",
    revise: Annotated[
        str,
        typer.Option("--revise", metavar="ID", help="New revision of this submission."),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the report of the checks.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds to wait with --wait.")
    ] = 1200,
) -> None:
    """Submit a script folder for review.

    With --wait: exit 0 when it went on to the reviewers, 1 when a check holds it back.
    """
    session = session_of(context)
    packed = _packed(folder)
    if not scenario.strip() and session.screen.asks:
        scenario = typer.prompt("What problem does it solve, and who will use it?", err=True)
    if not scenario.strip():
        raise usage_error("The reviewer needs to know what it is for.", hint='Add --scenario "…".')
    answers = {"scenario": scenario, "note": note}
    flags = {"ai_callable": ai_callable, "manual": manual, "confirm": confirm}
    answers |= {key: str(value).lower() for key, value in flags.items() if value is not None}
    if name and not revise:
        answers["name"] = name
    client = session.client()
    submission = _sent(session, client, packed, answers, revise)
    reference = clean_line(submission["id"])
    session.screen.note(Text("Submission ").append(reference, style="bold").append(" is sent."))
    if wait:
        submission = _checked(client, submission, timeout)
    session.screen.show(_page(submission))
    if submission.get("status") == "blocked":
        again = session.command(f"submit FOLDER --revise {reference}")
        session.screen.hint(f"Mend it and send it again: {again}")
    else:
        session.screen.hint(f"Look again: {session.command(f'submission {reference}')}")
    session.screen.json(submission)
    if wait and submission.get("status") == "checking":
        raise typer.Exit(ExitCode.TIMED_OUT)
    if wait and submission.get("status") == "blocked":
        raise typer.Exit(ExitCode.FAILED)


def list_submissions(
    context: typer.Context,
    status: Annotated[str, typer.Option("--status", help="Only with this status.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to show at most.")] = 20,
) -> None:
    """List the submissions of your tenant, newest first."""
    session = session_of(context)
    found = session.client().submissions(status=status, limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    if shown:
        rows: list[list[RenderableType]] = [
            [
                output.text(row.get("id")),
                output.text(row.get("skill"), style="bold"),
                output.status(row.get("status", "")),
                output.text(row.get("submitted_by")),
                output.moment(row.get("created_at")),
            ]
            for row in shown
        ]
        columns = ["Submission", "Skill", "Status", "Who", "Submitted"]
        session.screen.show(output.table(columns, rows))
    else:
        session.screen.note(Text("No submission found."))
    if more:
        session.screen.hint("There are older ones. Raise --limit to see them.")
    session.screen.json({"results": shown, "more": more})


def show_submission(
    context: typer.Context,
    submission_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the submission.")],
) -> None:
    """Show how a submission stands: checks, trial run, remarks and verdicts."""
    session = session_of(context)
    submission = session.client().submission(submission_id)
    session.screen.show(_page(submission))
    session.screen.json(submission)


def _packed(folder: Path) -> bytes:
    """Return the folder as the server wants it. Raises CliError with what to mend."""
    if not folder.exists():
        raise usage_error(f"{clean_line(folder)} does not exist.")
    try:
        bundle = read_bundle(folder) if folder.is_dir() else read_archive(folder)
    except BundleError as error:
        raise usage_error(str(error)) from None
    return bundle.pack()


def _sent(
    session: Session, client: Client, packed: bytes, answers: dict[str, str], revise: str
) -> Json:
    try:
        return client.submit(packed, answers, revise=revise)
    except CliError as error:
        if error.code == "already_submitted" and (first := error.fields.get("submission")):
            again = session.command(f"submit FOLDER --revise {clean_line(first)}")
            error.hint = f"Send it as a new revision of that one: {again}"
        raise


def _checked(client: Client, submission: Json, timeout_s: float) -> Json:
    """Return the submission once its checks are made, or as it is when the time is over."""
    give_up_at = time.monotonic() + timeout_s
    while submission.get("status") == "checking" and time.monotonic() < give_up_at:
        time.sleep(LOOK_EVERY_S)
        submission = client.submission(str(submission["id"]))
    return submission


def _page(submission: Json) -> RenderableType:
    revisions = _dicts(submission.get("revisions"))
    latest = revisions[0] if revisions else {}
    facts: dict[str, RenderableType] = {
        "Submission": output.text(submission.get("id"), style="bold"),
        "Skill": output.text(submission.get("skill")),
        "Status": output.status(submission.get("status", "")),
        "Revision": output.text(latest.get("number")),
        "Digest": output.text(latest.get("digest")),
        "Page": output.text(submission.get("url")),
    }
    parts: list[RenderableType] = [output.pairs(facts)]
    for entry in _dicts(latest.get("checks")):
        word, style = LEVELS.get(str(entry.get("level")), ("?", ""))
        parts.append(Text(f"\n{word:<5}", style=style).append(clean_line(entry.get("title", ""))))
        details = clean(entry.get("details", "")).strip()
        if details and entry.get("level") != "pass":
            parts.append(Text("\n".join(f"     {line}" for line in details.splitlines())))
    for said in _dicts(submission.get("remarks")):
        parts += _said(said, said.get("author"), said.get("text"))
    for said in _dicts(submission.get("verdicts")):
        verdict = clean_line(said.get("verdict", ""))
        parts += _said(said, f"{said.get('reviewer')} ({verdict})", said.get("reason"))
    return Group(*parts)


def _said(entry: Json, who: Any, text: Any) -> list[RenderableType]:
    line = Text(f"\n{clean_line(who)}", style="bold")
    line.append(f" on revision {clean_line(entry.get('revision', ''))}", style="dim")
    return [line, Text(clean(str(text or "")))]


def _dicts(found: Any) -> list[Json]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
