"""batch: run a skill over the rows of a file or over many files, and see it through."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli import inputs, output
from cli.batches import (
    FINAL,
    WAITING,
    exit_code,
    facts,
    follow_batch,
    needs_a_person,
    row_table,
    wrong_rows,
)
from cli.client import Client, Json
from cli.commands.skills import find_skill
from cli.downloads import FILE_EXISTS, prepare_folder, safe_name, save_stream
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.session import Session, session_of
from cli.terminal import clean_line

app = typer.Typer(
    help="Run a skill over the rows of a file, or over many files.", no_args_is_help=True
)

ROWS_ENDINGS = (".csv", ".tsv", ".xlsx", ".jsonl", ".ndjson")

BatchId = Annotated[str, typer.Argument(metavar="ID", help="Id of the batch.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Confirm without being asked.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Leave out rows with errors.")]
To = Annotated[
    Path | None, typer.Option("--download", metavar="DIR", help="Save the results there.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist already.")]
Format = Annotated[str, typer.Option("--format", help="csv or xlsx.")]


@app.command("submit")
def submit(
    context: typer.Context,
    skill: Annotated[str, typer.Argument(metavar="SKILL", help="Name of the skill.")],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="One file of rows, or files for one run each."),
    ],
    each_file: Annotated[
        bool, typer.Option("--each-file", help="One run for each file, also for a table.")
    ] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="INPUT=COLUMN", help="Column of an input. Repeatable."),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=VALUE", help="An input of all rows."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the rows.")] = False,
    skip_invalid: SkipInvalid = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    download_to: To = None,
    table_format: Format = "csv",
    overwrite: Overwrite = False,
) -> None:
    """Check the rows of FILE, run SKILL once for each, and wait for the end."""
    session = session_of(context)
    _check_format(table_format)
    if download_to is not None:
        prepare_folder(download_to)
    client = session.client()
    batch = _made(session, client, skill, files, each_file, columns or [], words or [])
    session.screen.note(facts(batch))
    if wrong := wrong_rows(batch):
        session.screen.note(wrong)
    reference = clean_line(batch["id"])
    if check:
        session.screen.json(batch)
        session.screen.hint(f"Start: {session.command(f'batch start {reference}')}")
        raise typer.Exit(ExitCode.INVALID_INPUTS if wrong else ExitCode.SUCCEEDED)
    if wrong and not skip_invalid:
        session.screen.json(batch)
        session.screen.explain(_has_errors(session, batch))
        raise typer.Exit(ExitCode.INVALID_INPUTS)
    batch = client.act_on_batch(reference, "start", {"skip_invalid": skip_invalid})
    _go_on(session, client, batch, yes, no_wait, download_to, table_format, overwrite)


@app.command("start")
def start(
    context: typer.Context,
    batch_id: BatchId,
    skip_invalid: SkipInvalid = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    download_to: To = None,
    table_format: Format = "csv",
    overwrite: Overwrite = False,
) -> None:
    """Start a batch that was only checked, and wait for the end."""
    session = session_of(context)
    _check_format(table_format)
    client = session.client()
    batch = client.act_on_batch(batch_id, "start", {"skip_invalid": skip_invalid})
    _go_on(session, client, batch, yes, no_wait, download_to, table_format, overwrite)


@app.command("list")
def list_batches(
    context: typer.Context,
    status: Annotated[str, typer.Option("--status", help="Only with this status.")] = "",
    skill: Annotated[str, typer.Option("--skill", help="Only of this skill.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Batches to show at most.")] = 20,
) -> None:
    """List batches, newest first."""
    session = session_of(context)
    found = session.client().batches(status=status, skill=skill, limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    if shown:
        rows = [
            [
                output.text(row.get("id")),
                output.text(row.get("skill")),
                output.text(row.get("name")),
                output.status(row.get("status", "")),
                output.text(f"{row.get('fraction', 0):.0%}"),
                output.moment(row.get("created_at")),
            ]
            for row in shown
        ]
        columns = ["Batch", "Skill", "From", "Status", "Over", "Created"]
        session.screen.show(output.table(columns, rows))
    else:
        session.screen.note(Text("No batch found."))
    if more:
        session.screen.hint("There are older ones. Raise --limit to see them.")
    session.screen.json({"results": shown, "more": more})


@app.command("status")
def show_status(context: typer.Context, batch_id: BatchId) -> None:
    """Show how a batch stands."""
    session = session_of(context)
    batch = session.client().batch(batch_id)
    session.screen.show(facts(batch))
    if wrong := wrong_rows(batch):
        session.screen.show(wrong)
    session.screen.json(batch)


@app.command("rows")
def list_rows(
    context: typer.Context,
    batch_id: BatchId,
    status: Annotated[
        str, typer.Option("--status", help="Only with this status, such as failed or invalid.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to show at most.")] = 50,
) -> None:
    """List the rows of a batch with what came of them."""
    session = session_of(context)
    found = session.client().batch_rows(batch_id, status=status, limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    session.screen.show(row_table(shown) if shown else Text("No row found."))
    if more:
        session.screen.hint("There are more. Raise --limit, or download the results.")
    session.screen.json({"results": shown, "more": more})


@app.command("follow")
def follow(context: typer.Context, batch_id: BatchId) -> None:
    """Wait until a batch is over; exit with its outcome."""
    session = session_of(context)
    client = session.client()
    _go_on(session, client, client.batch(batch_id), False, False, None, "csv", False)


@app.command("confirm")
def confirm(context: typer.Context, batch_id: BatchId) -> None:
    """Confirm a whole batch that waits for it."""
    _act(context, batch_id, "confirm")


@app.command("approve")
def approve(context: typer.Context, batch_id: BatchId) -> None:
    """Approve somebody else's whole batch that waits for it."""
    _act(context, batch_id, "approve")


@app.command("reject")
def reject(
    context: typer.Context,
    batch_id: BatchId,
    reason: Annotated[str, typer.Option("--reason", help="Why; who asked for it reads this.")],
) -> None:
    """Reject a batch that waits, so that it never runs."""
    _act(context, batch_id, "reject", {"reason": reason})


@app.command("pause")
def pause(context: typer.Context, batch_id: BatchId) -> None:
    """Hand over no further rows for now."""
    _act(context, batch_id, "pause")


@app.command("resume")
def resume(context: typer.Context, batch_id: BatchId) -> None:
    """Let a paused batch go on."""
    _act(context, batch_id, "resume")


@app.command("cancel")
def cancel(context: typer.Context, batch_id: BatchId) -> None:
    """Cancel a batch with its queued and running rows."""
    _act(context, batch_id, "cancel")


@app.command("retry")
def retry(
    context: typer.Context,
    batch_id: BatchId,
    yes: Yes = False,
    no_wait: NoWait = False,
    download_to: To = None,
    table_format: Format = "csv",
    overwrite: Overwrite = False,
) -> None:
    """Run the failed rows of a finished batch once more, and wait for the end."""
    session = session_of(context)
    _check_format(table_format)
    client = session.client()
    batch = client.act_on_batch(batch_id, "retry")
    _go_on(session, client, batch, yes, no_wait, download_to, table_format, overwrite)


@app.command("download")
def download(
    context: typer.Context,
    batch_id: BatchId,
    to: Annotated[Path, typer.Option("--to", help="Folder to save to.")] = Path(),
    table_format: Format = "csv",
    files: Annotated[bool, typer.Option("--files", help="The files of all rows, too.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Download the table of results, and with --files all files the rows left."""
    session = session_of(context)
    _check_format(table_format)
    client = session.client()
    names = [f"result.{table_format}", *(["artifacts.zip"] if files else [])]
    paths = _saved(session, client, client.batch(batch_id), to, names, overwrite)
    session.screen.json({"downloaded": [str(path) for path in paths]})


def _made(
    session: Session,
    client: Client,
    skill: str,
    files: list[Path],
    each_file: bool,
    columns: list[str],
    words: list[str],
) -> Json:
    """Upload the files and return the draft made of them."""
    found = find_skill(session, client, skill, None)
    schema = found.get("input_schema")
    # What a row does not say may be said by another row: only the server knows what is missing.
    schema = {**schema, "required": []} if isinstance(schema, dict) else {}
    values = inputs.collect_inputs(schema, words, {})
    body: Json = {"skill": skill, "inputs": inputs.upload_files(values, client.upload)}
    mapping = dict(_pair(word) for word in columns)
    is_rows = len(files) == 1 and files[0].suffix.lower() in ROWS_ENDINGS and not each_file
    if is_rows:
        body |= {"file": client.upload(files[0]), "mapping": mapping}
    elif mapping:
        raise usage_error("--map needs one file of rows.")
    else:
        body["files"] = [client.upload(path) for path in files]
    return client.make_batch(body, idempotency_key=str(uuid.uuid4()))


def _pair(word: str) -> tuple[str, str]:
    name, equals, column = word.partition("=")
    if not equals or not name.strip():
        raise usage_error(f"{word!r} names no column.", hint='Write --map "input=Column".')
    return name.strip(), column


def _go_on(
    session: Session,
    client: Client,
    batch: Json,
    yes: bool,
    no_wait: bool,
    download_to: Path | None,
    table_format: str,
    overwrite: bool,
) -> None:
    """Take a batch that was asked for as far as the options say, and exit."""
    reference = str(batch["id"])
    if batch.get("status") == "awaiting_confirmation":
        batch = _confirmed(session, client, batch, yes)
    if batch.get("status") not in FINAL and not no_wait:
        try:
            batch = follow_batch(client, session.screen, batch)
        except KeyboardInterrupt:
            session.screen.note(Text(f"Batch {clean_line(reference)} goes on without us."))
            session.screen.hint(f"Follow: {session.command(f'batch follow {reference}')}")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    if batch.get("status") in WAITING:
        session.screen.json(batch)
        session.screen.explain(needs_a_person(session, batch))
        raise typer.Exit(ExitCode.NEEDS_A_PERSON)
    if batch.get("status") not in FINAL:
        session.screen.json(batch)
        session.screen.show(output.text(reference))
        session.screen.hint(f"Follow: {session.command(f'batch follow {reference}')}")
        raise typer.Exit(ExitCode.SUCCEEDED)
    session.screen.show(facts(batch))
    downloaded: list[Path] = []
    if download_to is not None:
        names = [f"result.{table_format}", "artifacts.zip"]
        downloaded = _saved(session, client, batch, download_to, names, overwrite)
    else:
        session.screen.hint(f"Results: {session.command(f'batch download {reference}')}")
    session.screen.json({**batch, "downloaded": [str(path) for path in downloaded]})
    raise typer.Exit(exit_code(batch))


def _confirmed(session: Session, client: Client, batch: Json, yes: bool) -> Json:
    """Return the batch after --yes or the person's answer; unchanged when nobody can say."""
    reference = str(batch["id"])
    if not yes:
        if not session.screen.asks:
            return batch
        rows = batch.get("counts", {}).get("waiting")
        question = f"{clean_line(batch.get('risk', ''))} risk, {rows} rows. Run them all now?"
        if not typer.confirm(question.capitalize(), err=True):
            session.screen.note(Text("Not confirmed."))
            return client.act_on_batch(reference, "cancel")
    return client.act_on_batch(reference, "confirm")


def _act(context: typer.Context, batch_id: str, act: str, body: Json | None = None) -> None:
    session = session_of(context)
    batch = session.client().act_on_batch(batch_id, act, body)
    line = Text(f"Batch {clean_line(batch_id)} is ")
    session.screen.show(line.append_text(output.status(batch.get("status", ""))).append("."))
    session.screen.json(batch)


def _saved(
    session: Session, client: Client, batch: Json, folder: Path, names: list[str], overwrite: bool
) -> list[Path]:
    """Save files of a batch to folder and return their paths. Raises CliError."""
    prepare_folder(folder)
    reference = str(batch["id"])
    stem = safe_name(f"{batch.get('skill', 'batch')}-{reference}")
    targets = {name: folder / f"{stem}.{name.rpartition('.')[2]}" for name in names}
    for target in targets.values():
        if target.exists() and not overwrite:
            raise CliError(
                f"{target} exists already. Nothing was downloaded.",
                ExitCode.USAGE,
                code=FILE_EXISTS,
                hint="Choose another folder, or add --overwrite.",
            )
    for name, target in targets.items():
        opened = client.batch_file(reference, name)
        save_stream(session.screen, opened, target, overwrite=overwrite)
        session.screen.show(output.text(str(target)))
    return list(targets.values())


def _has_errors(session: Session, batch: Json) -> CliError:
    reference = clean_line(batch["id"])
    counts: Any = batch.get("counts") or {}
    again = session.command(f"batch start {reference} --skip-invalid")
    return CliError(
        f"{counts.get('invalid')} of {counts.get('total')} rows have errors. Nothing has run.",
        ExitCode.INVALID_INPUTS,
        code="invalid_rows",
        hint=f"Mend the file and submit it again, or run the other rows: {again}",
    )


def _check_format(name: str) -> None:
    if name not in ("csv", "xlsx"):
        raise usage_error(f"{name!r} is no format of tables.", hint="Write --format csv or xlsx.")
