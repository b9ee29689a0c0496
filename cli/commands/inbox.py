"""What waits for the person who is logged in."""

from __future__ import annotations

import typer
from rich.text import Text

from cli import output
from cli.client import Json
from cli.session import session_of
from cli.terminal import clean_line


def inbox(context: typer.Context) -> None:
    """List what waits for you to confirm or approve, the oldest first."""
    session = session_of(context)
    found = session.client().inbox()
    waiting = found["results"]
    if waiting:
        columns = ["Id", "Skill", "Risk", "Asked by", "Since", "You can"]
        rows = [
            [
                output.text(row.get("id")),
                output.text(row.get("title")),
                output.text(row.get("risk")),
                output.text(row.get("asked_by")),
                output.moment(row.get("since")),
                Text(_command(row, row.get("act")), style="red" if row.get("is_overdue") else ""),
            ]
            for row in waiting
        ]
        session.screen.show(output.table(columns, rows))
        look = f"{_command(waiting[0], 'status')} {clean_line(waiting[0].get('id', ''))}"
        session.screen.hint(f"Look: {session.command(look)}")
    else:
        session.screen.note(Text("Nothing waits for you."))
    session.screen.json(found)


def _command(row: Json, act: object) -> str:
    """Return the words of the command that does act to what waits; a batch has commands apart."""
    words = clean_line(act or "")
    return f"batch {words}" if row.get("kind") == "batch" else words
