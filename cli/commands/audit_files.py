"""evidence, ``audit export``, ``audit seals``: files of the audit trail, saved from the server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli import downloads
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.session import Session, session_of
from cli.terminal import clean_line

FORMS = ("bundle", "jsonl", "csv")
Target = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def evidence(
    context: typer.Context,
    execution_id: Annotated[str, typer.Argument(metavar="ID", help="Id of an execution.")],
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; by default evidence-<id>.json."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Save the evidence pack of an execution: who asked, what was allowed, what came of it.

    For those who may read the audit trail. `audit verify` checks it.
    """
    session = session_of(context)
    opened = session.client().evidence(execution_id)
    file = target or Path(f"evidence-{downloads.safe_name(execution_id)}.json")
    _save(session, opened, file, overwrite=overwrite, verifiable=True)


def export(
    context: typer.Context,
    target: Target,
    form: Annotated[
        str, typer.Option("--form", help="bundle (with proofs), jsonl or csv.")
    ] = "bundle",
    actor: Annotated[str, typer.Option("--actor", help="In the name of who did it.")] = "",
    code: Annotated[str, typer.Option("--act", help="Code of the act.")] = "",
    outcome: Annotated[str, typer.Option("--outcome", help="done, refused or failed.")] = "",
    since: Annotated[str, typer.Option("--since", help="First day, as 2026-11-26.")] = "",
    until: Annotated[str, typer.Option("--until", help="Last day.")] = "",
    request_id: Annotated[str, typer.Option("--request-id", help="Id of a request.")] = "",
    log: Annotated[str, typer.Option("--log", help="Only logins, or only operations.")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Save the audit trail of this host, or what filters leave of it.

    Leaves an event in the trail, and needs a login of the last minutes.
    """
    if form not in FORMS:
        raise usage_error(f"{form} is no form of an export: {', '.join(FORMS)}.")
    wanted = {
        "form": form, "actor": actor, "code": code, "outcome": outcome, "since": since,
        "until": until, "request_id": request_id, "log": log,
    }  # fmt: skip
    session = session_of(context)
    opened = session.client().export_trail({name: text for name, text in wanted.items() if text})
    _save(session, opened, target, overwrite=overwrite, verifiable=form == "bundle")


def seals(context: typer.Context, target: Target, overwrite: Overwrite = False) -> None:
    """Save the seals of the audit trail, to keep elsewhere and verify with (--seals)."""
    session = session_of(context)
    _save(session, session.client().seals(), target, overwrite=overwrite, verifiable=False)


def _save(
    session: Session,
    opened: AbstractContextManager[Iterator[bytes]],
    target: Path,
    *,
    overwrite: bool,
    verifiable: bool,
) -> None:
    if os.path.lexists(target) and not overwrite:
        raise CliError(
            f"{target} exists already. Nothing was downloaded.",
            ExitCode.USAGE,
            code=downloads.FILE_EXISTS,
            hint="Choose another file, or add --overwrite.",
        )
    downloads.prepare_folder(target.parent)
    downloads.save_stream(session.screen, opened, target, overwrite=overwrite)
    session.screen.show(Text(f"Saved {clean_line(str(target))}."))
    if verifiable:
        session.screen.hint(f"Verify: execfabric-cli audit verify {clean_line(str(target))}")
    session.screen.json({"file": str(target)})
