"""run: request an execution, see it through, show what came of it."""

from __future__ import annotations

import shlex
import uuid
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli import inputs, output, schema
from cli.client import Client, Json
from cli.commands import reports
from cli.commands.skills import find_skill
from cli.downloads import FILE_EXISTS, download_all, holds_files, prepare_folder
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.following import follow, is_final
from cli.session import Session, session_of
from cli.terminal import clean_line

LINES_REMEMBERED = 2000
"""More than the error of an execution has, which the server cuts."""


@dataclass(frozen=True)
class Wishes:
    """What the options of ``run`` ask for once the execution is requested."""

    confirmed: bool
    wait: bool
    download_to: Path | None
    overwrite: bool
    timeout_s: float | None


def run(
    context: typer.Context,
    skill: Annotated[str, typer.Argument(metavar="SKILL", help="Name of the skill.")],
    words: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=VALUE", help="An input. A file: NAME=@PATH."),
    ] = None,
    inputs_file: Annotated[
        str | None,
        typer.Option("--inputs-file", metavar="PATH", help="JSON with inputs; - is stdin."),
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Version of the skill.")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Why you need it; who must approve it reads this.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm without being asked.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    download: Annotated[
        Path | None, typer.Option("--download", metavar="DIR", help="Save the result files there.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist already.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=1, help="Seconds to wait; then leave it going.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="The same key never starts a second execution."),
    ] = None,
) -> None:
    """Run SKILL: the log goes to standard error as it comes, the result to standard output."""
    session = session_of(context)
    if no_wait and download is not None:
        raise usage_error("--download needs the end of the execution: leave out --no-wait.")
    if download is not None:
        _check_folder(session, download, overwrite=overwrite)
    client = session.client()
    found = find_skill(session, client, skill, version)
    input_schema = found.get("input_schema")
    input_schema = input_schema if isinstance(input_schema, dict) else {}
    base = inputs.read_inputs_file(inputs_file) if inputs_file else {}
    values = inputs.collect_inputs(input_schema, words or [], base)
    extra: Json = {"version": version} if version is not None else {}
    extra |= {"reason": reason} if reason else {}
    execution = _start(session, client, skill, values, extra, idempotency_key)
    _say_started(session, execution, input_schema, values)
    wishes = Wishes(yes, not no_wait, download, overwrite, timeout)
    try:
        code = _see_through(session, client, execution, wishes)
    except (KeyboardInterrupt, typer.Abort):
        code = _left_behind(session, execution, "interrupted", ExitCode.INTERRUPTED)
    raise typer.Exit(code)


def _check_folder(session: Session, folder: Path, *, overwrite: bool) -> None:
    """Say before the run, not after it, what is wrong with the folder, or may be."""
    prepare_folder(folder)
    if holds_files(folder) and not overwrite:
        warning = (
            f"The folder {clean_line(folder)} is not empty. If a result has the name of a file in "
            "it, nothing is downloaded. To replace files, add --overwrite."
        )
        session.screen.note(Text(warning, style="yellow"))


def _start(
    session: Session,
    client: Client,
    skill: str,
    values: Json,
    extra: Json,
    idempotency_key: str | None,
) -> Json:
    sent = inputs.upload_files(values, client.upload)
    body: Json = {"skill": skill, "inputs": sent, **extra}
    key = idempotency_key or str(uuid.uuid4())
    try:
        return client.start(body, idempotency_key=key)
    except (KeyboardInterrupt, CliError) as error:
        if isinstance(error, KeyboardInterrupt) or error.exit_code == ExitCode.UNREACHABLE:
            session.screen.note(Text("The server may have the request all the same."))
            session.screen.hint(f"Repeat it safely with: {_same_again(key, values, sent)}")
        raise


def _same_again(key: str, values: Json, sent: Json) -> str:
    """Return the options that make a repetition the same request.

    A file that is sent again gets a new id, so the ids of the first time are named.
    """
    words = [f"--idempotency-key {shlex.quote(key)}"]
    for name, value in sent.items():
        if value != values[name]:
            ids = value if isinstance(value, list) else [value]
            words += ["--input " + shlex.quote(f"{name}={clean_line(each)}") for each in ids]
    return " ".join(words)


def _say_started(session: Session, execution: Json, input_schema: Json, values: Json) -> None:
    line = Text("Execution ").append(clean_line(execution["id"]), style="bold").append(" of ")
    session.screen.note(line.append_text(reports.skill_of(execution)))
    if execution.get("status") == "awaiting_confirmation" and values:
        properties = schema.properties_of(input_schema)
        shown = {}
        for name, value in values.items():
            secret = schema.is_secret(properties.get(name, {}))
            shown[clean_line(name)] = Text("••••" if secret else _in_words(value))
        session.screen.note(output.pairs(shown))


def _in_words(value: object) -> str:
    if isinstance(value, inputs.LocalFile):
        return clean_line(value.path)
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return output.scalar(value)


def _see_through(session: Session, client: Client, execution: Json, wishes: Wishes) -> ExitCode:
    """Take a requested execution as far as the wishes say. Returns the exit code."""
    seen: deque[str] = deque(maxlen=LINES_REMEMBERED)
    if execution.get("status") == "awaiting_confirmation":
        execution = _confirmed(session, client, execution, wishes)
    if not is_final(execution) and not wishes.wait:
        return _detached(session, execution)
    if not is_final(execution):
        try:
            execution = _followed(session, client, execution, wishes, seen)
        except CliError as error:
            if error.exit_code == ExitCode.NOT_FOUND:
                raise  # nothing to come back to
            session.screen.explain(error)
            why = error.code or error.exit_code.name.lower()
            return _left_behind(session, execution, why, error.exit_code)
    if not is_final(execution):
        session.screen.json(execution)
        return _stopped(session, reports.needs_a_person(session, execution))
    return _finish(session, client, execution, wishes, seen)


def _confirmed(session: Session, client: Client, execution: Json, wishes: Wishes) -> Json:
    """Return the execution after --yes or the person's answer; unchanged when nobody can say."""
    reference = str(execution["id"])
    if not wishes.confirmed:
        if not session.screen.asks:
            return execution
        if not typer.confirm("This skill needs a confirmation. Run it now?", err=True):
            session.screen.note(Text("Not confirmed."))
            return client.cancel(reference)
    return client.confirm(reference)


def _followed(
    session: Session, client: Client, execution: Json, wishes: Wishes, seen: deque[str]
) -> Json:
    """Follow the execution. The lines it wrote to standard error are added to seen."""

    def show(stream: str, line: str) -> None:
        session.screen.log_line(stream, line, beside=True)
        if stream == "stderr":
            seen.append(line.strip())

    return follow(client, session.screen, execution, show, timeout_s=wishes.timeout_s)


def _left_behind(session: Session, execution: Json, why: str, code: ExitCode) -> ExitCode:
    """The execution goes on at the server while this program ends: say how to come back to it."""
    reports.goes_on(session, clean_line(execution["id"]))
    session.screen.json({**execution, "left_behind": why})
    return code


def _detached(session: Session, execution: Json) -> ExitCode:
    session.screen.json(execution)
    if execution.get("status") in ("awaiting_confirmation", "awaiting_approval"):
        return _stopped(session, reports.needs_a_person(session, execution))
    session.screen.show(output.text(execution["id"]))
    reference = clean_line(execution["id"])
    session.screen.hint(f"Follow: {session.command(f'logs {reference} --follow')}")
    return ExitCode.SUCCEEDED


def _finish(
    session: Session, client: Client, execution: Json, wishes: Wishes, seen: Collection[str]
) -> ExitCode:
    """Show what came of it and save the files. seen are the lines of the log shown before."""
    reference = str(execution["id"])
    artifacts = client.artifacts(reference)
    # Where the log went elsewhere, the result must stand on its own.
    shown_before = seen if session.screen.is_one_stream else ()
    session.screen.show(reports.outcome(execution, seen=shown_before))
    paths: list[Path] = []
    failure: CliError | None = None
    if wishes.download_to is not None and artifacts:
        try:
            paths = download_all(
                client, session.screen, artifacts, wishes.download_to, overwrite=wishes.overwrite
            )
        except CliError as error:
            failure = _with_a_way_on(session, error, reference, wishes.download_to)
    if artifacts:
        session.screen.show(reports.artifact_table(artifacts, paths))
        if not paths and failure is None:
            session.screen.hint(f"Download: {session.command(f'download {clean_line(reference)}')}")
    downloaded = [str(path) for path in paths]
    session.screen.json({**execution, "artifacts": artifacts, "downloaded": downloaded})
    if failure is not None:
        return _stopped(session, failure)
    return reports.exit_code(execution)


def _with_a_way_on(session: Session, error: CliError, reference: str, folder: Path) -> CliError:
    """Return the error of a download with commands that fetch the files without a second run."""
    words = f"download {clean_line(reference)} --to"
    elsewhere = session.command(f"{words} FOLDER")
    if error.code == FILE_EXISTS:
        again = session.command(f"{words} {shlex.quote(str(folder))} --overwrite")
        error.hint = f"Replace them:   {again}\nSave elsewhere: {elsewhere}"
    else:
        error.hint = f"{error.hint}\nDownload them: {elsewhere}".strip()
    return error


def _stopped(session: Session, error: CliError) -> ExitCode:
    """Say why it ends here, without a second JSON document."""
    session.screen.explain(error)
    return error.exit_code
