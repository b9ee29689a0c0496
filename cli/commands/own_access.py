"""sessions, tokens: where one is logged in, and ending that."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from cli import output
from cli.client import Json
from cli.session import Session, session_of
from cli.terminal import clean_line

End = Annotated[str, typer.Option("--end", metavar="HANDLE", help="End the one of this handle.")]


def sessions(context: typer.Context, end: End = "") -> None:
    """List your own logins by page, or end one."""
    session = session_of(context)
    if end:
        session.client().end_session(end)
        _ended(session, end)
        return
    _show(session, session.client().sessions(), since="started_at", seen="last_seen_at")


def tokens(context: typer.Context, end: End = "") -> None:
    """List your own API tokens, or make one void."""
    session = session_of(context)
    if end:
        session.client().end_token(end)
        _ended(session, end)
        return
    _show(session, session.client().tokens(), since="created_at", seen="last_used_at")


def _show(session: Session, rows: list[Json], *, since: str, seen: str) -> None:
    columns = ["Handle", "Since", "Last seen", "Address", "Agent", ""]
    shown = [
        [
            output.text(row.get("handle")),
            output.moment(row.get(since)),
            output.moment(row.get(seen)),
            output.text(row.get("address")),
            output.text(row.get("agent")),
            Text("this one" if row.get("is_this_one") else ""),
        ]
        for row in rows
    ]
    session.screen.show(output.table(columns, shown) if shown else Text("There are none."))
    session.screen.json({"results": rows})


def _ended(session: Session, handle: str) -> None:
    session.screen.show(Text(f"{clean_line(handle)} is over."))
    session.screen.json({"ended": handle})
