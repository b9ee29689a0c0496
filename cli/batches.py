"""How a batch is followed and shown: its counts, its rows, what to do next."""

from __future__ import annotations

import time

from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from cli import output
from cli.client import Client, Json
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.following import PATIENCE_S
from cli.output import Screen
from cli.session import Session
from cli.terminal import clean_line

FINAL = frozenset({"finished", "cancelled", "rejected", "expired"})
WAITING = frozenset({"draft", "awaiting_confirmation", "awaiting_approval", "paused"})
"""It goes on only when a person does something."""
LOOK_EVERY_S = 1

COUNTS = ("succeeded", "failed", "cancelled", "sent", "waiting", "invalid")


def follow_batch(client: Client, screen: Screen, batch: Json) -> Json:
    """Show the progress until the batch is over or needs a person; return how it stands then."""
    reference = str(batch["id"])
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Progress(
        *columns, console=screen.err, transient=True, disable=not screen.err.is_terminal
    ) as progress:
        task = progress.add_task(clean_line(batch.get("skill", "")), total=1.0, said="")
        while True:
            fraction = batch.get("fraction")
            done = fraction if isinstance(fraction, int | float) else 0.0
            progress.update(task, completed=done, said=_counted(batch))
            if batch.get("status") in FINAL | WAITING:
                return batch
            asked_at = time.monotonic()
            batch = client.batch(reference, wait_s=LOOK_EVERY_S, patience_s=PATIENCE_S)
            if time.monotonic() - asked_at < LOOK_EVERY_S / 2:  # a server that does not wait
                time.sleep(LOOK_EVERY_S / 2)


def facts(batch: Json) -> RenderableType:
    """Return what is known about a batch, one fact a line."""
    mapping = batch.get("mapping")
    columns = mapping.items() if isinstance(mapping, dict) else ()
    unused = batch.get("unused_columns")
    rows: dict[str, RenderableType] = {
        "Batch": output.text(batch.get("id"), style="bold"),
        "Skill": output.text(batch.get("skill")),
        "From": output.text(batch.get("name")),
        "Risk": output.risk(batch.get("risk")),
        "Status": output.status(batch.get("status", "")),
        "Rows": Text(_counted(batch)),
        "Columns": output.text(", ".join(f"{name} from {column}" for name, column in columns)),
        "Not used": output.text(", ".join(map(str, unused)) if isinstance(unused, list) else ""),
        "Held": output.text(batch.get("held_because")),
        "Rejected": output.text(batch.get("rejection")),
        "Page": output.text(batch.get("url")),
    }
    return output.pairs(rows)


def wrong_rows(batch: Json) -> RenderableType | None:
    """Return the first rows with errors as a table; None where there are none."""
    errors = batch.get("errors")
    if not isinstance(errors, list) or not errors:
        return None
    rows: list[list[RenderableType]] = [
        [output.text(row.get("row")), Text(_said(row.get("errors")), style="red")]
        for row in errors
        if isinstance(row, dict)
    ]
    invalid = (batch.get("counts") or {}).get("invalid", len(rows))
    more = f"… and {invalid - len(rows)} more." if invalid > len(rows) else ""
    return Group(output.table(["Row", "What is wrong"], rows), Text(more, style="dim"))


def row_table(rows: list[Json]) -> RenderableType:
    shown: list[list[RenderableType]] = [
        [
            output.text(row.get("number")),
            output.status(row.get("status", "")),
            output.text(row.get("execution")),
            output.text(_said(row.get("errors")) or row.get("error") or row.get("summary")),
        ]
        for row in rows
    ]
    return output.table(["Row", "Status", "Execution", "Outcome"], shown)


def needs_a_person(session: Session, batch: Json) -> CliError:
    """Return the error for a batch that waits, with the command that moves it on."""
    reference = clean_line(batch.get("id", ""))
    next_acts = {
        "draft": ("was not started", "start"),
        "awaiting_confirmation": ("waits for a confirmation", "confirm"),
        "awaiting_approval": ("waits until somebody else approves it", "approve"),
        "paused": ("is paused", "resume"),
    }
    why, act = next_acts.get(str(batch.get("status")), ("waits", "status"))
    return CliError(
        f"Batch {reference} {why}.",
        ExitCode.NEEDS_A_PERSON,
        code=str(batch.get("status")),
        hint=f"Next: {session.command(f'batch {act} {reference}')}",
    )


def exit_code(batch: Json) -> ExitCode:
    """Return the exit code of a batch that is over: failed when any of its rows did."""
    match batch.get("status"):
        case "finished":
            failed = (batch.get("counts") or {}).get("failed")
            return ExitCode.FAILED if failed else ExitCode.SUCCEEDED
        case "cancelled":
            return ExitCode.CANCELLED
        case _:
            return ExitCode.ENDED_WITHOUT_RESULT


def _counted(batch: Json) -> str:
    counts = batch.get("counts")
    if not isinstance(counts, dict):
        return ""
    parts = [f"{counts[name]} {name}" for name in COUNTS if counts.get(name)]
    return f"{counts.get('total', 0)}: {', '.join(parts)}" if parts else str(counts.get("total", 0))


def _said(errors: object) -> str:
    if not isinstance(errors, dict):
        return ""
    return "; ".join(clean_line(f"{name} {why}") for name, why in errors.items())
