"""The program ``execfabric-cli``: its commands, its global options, how it ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cli import exit_codes
from cli.commands import (
    account,
    audit,
    audit_files,
    batches,
    editing,
    executions,
    inbox,
    managing,
    own_access,
    run,
    skills,
    submissions,
)
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.output import Screen
from cli.session import Session
from cli.version import version as program_version

_FLAGS = ("--json", "--no-color")
_VALUED = ("--url", "--host")

app = typer.Typer(
    name="execfabric-cli",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=exit_codes.help_text(),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"execfabric-cli {program_version()}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option("--url", "--host", help="Server to talk to.", show_envvar=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on standard output, other text on standard error.")
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Run governed Skills of an ExecFabric server.

    --url, --json and --no-color may also stand after the command.

    Environment: EXECFABRIC_URL, EXECFABRIC_TOKEN (used instead of a kept login),
    EXECFABRIC_CONFIG (the file that keeps logins), NO_COLOR.
    """
    context.obj = Session(Screen(as_json=as_json, no_color=no_color), url)
    context.call_on_close(context.obj.close)


app.command("login")(account.login)
app.command("logout")(account.logout)
app.command("whoami")(account.whoami)
app.command("sessions")(own_access.sessions)
app.command("tokens")(own_access.tokens)
app.command("list")(skills.list_skills)
app.command("show")(skills.show_skill)
app.command("run")(run.run)
app.command("executions")(executions.list_executions)
app.command("inbox")(inbox.inbox)
app.command("status")(executions.show_status)
app.command("logs")(executions.logs)
app.command("download")(executions.download)
app.command("confirm")(executions.confirm)
app.command("approve")(executions.approve)
app.command("reject")(executions.reject)
app.command("cancel")(executions.cancel)
app.command("versions")(managing.versions)
app.command("changes")(managing.changes)
app.command("use")(managing.use)
app.command("rollback")(managing.rollback)
app.command("edit")(editing.edit)
app.command("enable")(managing.enable)
app.command("disable")(managing.disable)
app.command("grants")(managing.list_grants)
app.command("grant")(managing.grant)
app.command("revoke")(managing.revoke)
app.command("submit")(submissions.submit)
app.command("submissions")(submissions.list_submissions)
app.command("submission")(submissions.show_submission)
app.add_typer(batches.app, name="batch")
app.command("evidence")(audit_files.evidence)
app.add_typer(audit.app, name="audit")
audit.app.command("export")(audit_files.export)
audit.app.command("seals")(audit_files.seals)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program on the given words (default: the process's) and exit."""
    words = hoist_global_options(list(sys.argv[1:] if arguments is None else arguments))
    if "--no-color" in words:
        os.environ["NO_COLOR"] = "1"  # help pages are printed by Typer, which knows only this
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(words, prog_name="execfabric-cli")
    except CliError as error:
        Screen(as_json="--json" in words, no_color="--no-color" in words).error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def hoist_global_options(words: list[str]) -> list[str]:
    """Move global options that stand after the command to the front, where Typer expects them.

    Words after ``--`` are left alone.
    """
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            rest += [word, *remaining]
        elif word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _VALUED)):
            front.append(word)
        elif word in _VALUED:
            front += [word, *itertools.islice(remaining, 1)]
        else:
            rest.append(word)
    return front + rest


if __name__ == "__main__":
    main()
