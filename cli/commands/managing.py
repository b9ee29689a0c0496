"""versions, changes, use, rollback, enable, disable, grants, grant, revoke: for administrators."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli import output
from cli.client import Json
from cli.errors import usage_error
from cli.session import Session, session_of
from cli.terminal import clean, clean_line

SkillName = Annotated[str, typer.Argument(metavar="SKILL", help="Name of the skill.")]
Reason = Annotated[
    str, typer.Option("--reason", help="Why; the audit trail keeps it.", show_default=False)
]
Expected = Annotated[
    int | None,
    typer.Option("--expected", min=1, help="Only if this version is in use now."),
]
Rights = Annotated[
    list[str], typer.Argument(metavar="RIGHT...", help="see, run, approve.", show_default=False)
]
Role = Annotated[str, typer.Option("--role", help="A role, such as operator.")]
GroupName = Annotated[str, typer.Option("--group", help="A group, by its name.")]
User = Annotated[str, typer.Option("--user", help="An account, by its username.")]


def versions(
    context: typer.Context,
    skill: SkillName,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Rows at most.")] = 20,
) -> None:
    """List the versions of a skill: when, by whom, what changed."""
    session = session_of(context)
    found = session.client().versions(skill, limit=limit)
    rows = [_version_row(row) for row in found.get("results") or []]
    columns = ["Version", "Made", "By", "What changed", "Note"]
    session.screen.show(output.table(columns, rows))
    if found.get("next_before"):
        session.screen.hint("There are older ones. Raise --limit to see them.")
    session.screen.json(found)


def changes(
    context: typer.Context,
    skill: SkillName,
    old: Annotated[int, typer.Argument(metavar="OLD", min=1, help="A version.")],
    new: Annotated[
        int | None, typer.Argument(metavar="NEW", min=1, help="Default: the version in use.")
    ] = None,
) -> None:
    """Show what differs between two versions."""
    session = session_of(context)
    found = session.client().changes(skill, old, new)
    session.screen.show(_difference(found))
    session.screen.json(found)


def use(
    context: typer.Context,
    skill: SkillName,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="Its number.")],
    reason: Reason,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it when a newer one is published.")
    ] = False,
    expected: Expected = None,
) -> None:
    """Put a version of a skill in use."""
    body = {"version": version, "pin": keep, "reason": reason}
    act_on(session_of(context), skill, "bind", body, expected)


def rollback(
    context: typer.Context, skill: SkillName, reason: Reason, expected: Expected = None
) -> None:
    """Put the version that was in use before in use again."""
    act_on(session_of(context), skill, "rollback", {"reason": reason}, expected)


def enable(context: typer.Context, skill: SkillName, reason: Reason) -> None:
    """Give a disabled skill back to those it is granted to."""
    act_on(session_of(context), skill, "enable", {"reason": reason})


def disable(context: typer.Context, skill: SkillName, reason: Reason) -> None:
    """Take a skill away from everybody. What is queued does not start."""
    act_on(session_of(context), skill, "disable", {"reason": reason})


def list_grants(context: typer.Context, skill: SkillName) -> None:
    """List who may see, run and approve a skill."""
    session = session_of(context)
    _show_grants(session, session.client().grants(skill))


def grant(
    context: typer.Context,
    skill: SkillName,
    rights: Rights,
    reason: Reason,
    role: Role = "",
    group: GroupName = "",
    user: User = "",
) -> None:
    """Let a role, a group or an account see, run or approve a skill."""
    _change(session_of(context), skill, "give", _entitlements(rights, role, group, user), reason)


def revoke(
    context: typer.Context,
    skill: SkillName,
    rights: Rights,
    reason: Reason,
    role: Role = "",
    group: GroupName = "",
    user: User = "",
) -> None:
    """Take rights on a skill from a role, a group or an account."""
    _change(session_of(context), skill, "take", _entitlements(rights, role, group, user), reason)


def act_on(session: Session, skill: str, act: str, body: Json, expected: int | None = None) -> None:
    """Do an act on a skill and say how it stands; expected: the version that must be in use."""
    given = body if expected is None else {**body, "expected": expected}
    found = session.client().manage(skill, act, given)
    state = "enabled" if found.get("enabled") else "disabled"
    kept = ", kept" if found.get("pinned") else ""
    line = f"{clean_line(skill)}: version {clean_line(found.get('version'))}{kept}, {state}."
    session.screen.show(Text(line))
    session.screen.json(found)


def _change(session: Session, skill: str, act: str, rows: list[Json], reason: str) -> None:
    found = session.client().manage(skill, "grants", {act: rows, "reason": reason})
    _show_grants(session, found)


def _entitlements(rights: list[str], role: str, group: str, user: str) -> list[Json]:
    named = [("role", role), ("group", group), ("account", user)]
    chosen = [(kind, who) for kind, who in named if who]
    if len(chosen) != 1:
        raise usage_error("Name one of --role, --group and --user.")
    kind, who = chosen[0]
    return [{"kind": kind, "who": who, "right": right} for right in rights]


def _show_grants(session: Session, found: Json) -> None:
    rows = [
        [output.text(row.get("kind")), output.text(row.get("who")), output.text(row.get("right"))]
        for row in found.get("results") or []
    ]
    if rows:
        session.screen.show(output.table(["Kind", "Who", "May"], rows))
    else:
        session.screen.note(Text("It is granted to nobody."))
    session.screen.json(found)


def _version_row(row: Json) -> list[RenderableType]:
    number = output.text(row.get("number"), style="bold")
    if row.get("in_use"):
        number.append("  in use", style="green")
    if row.get("withdrawn"):
        number.append("  withdrawn", style="red")
    elif row.get("published") is False and not row.get("in_use"):
        number.append("  only registered", style="yellow")
    changed = row.get("changed")
    return [
        number,
        output.moment(row.get("created_at")),
        output.text(row.get("author")),
        output.text(", ".join(map(str, changed)) if isinstance(changed, list) else ""),
        output.text(row.get("note"), style="dim"),
    ]


def _difference(found: Json) -> RenderableType:
    parts: list[RenderableType] = [
        _change_line(str(field.get("name")), field) for field in found.get("description") or []
    ]
    for what in ("inputs", "outputs"):
        for one in found.get(what) or []:
            name = f"{what[:-1]} {one.get('name')}"
            words = one.get("fields") or []
            if not words:
                parts.append(Text(f"{clean_line(name)}: {clean_line(one.get('what'))}"))
            parts += [_change_line(f"{name}, {word.get('name')}", word) for word in words]
    parts += [
        _change_line(f"package {package.get('name')}", package)
        for package in found.get("packages") or []
    ]
    for file in found.get("files") or []:
        if not file.get("diff"):
            note = f"{file.get('path')}: {file.get('what')}. {file.get('note') or ''}"
            parts.append(Text(clean_line(note)))
        parts += [_diff_line(line) for line in str(file.get("diff") or "").splitlines()]
    if found.get("code_differs") and found.get("files") is None:
        parts.append(Text("The code is another one; you may not see it."))
    return Group(*parts) if parts else Text("No difference.")


def _change_line(name: str, change: Json) -> Text:
    line = Text(f"{clean_line(name)}: ", style="bold")
    line.append(f"{clean_line(_said(change.get('old')))} -> ", style="dim")
    return line.append(clean_line(_said(change.get("new"))), style="default")


def _said(value: object) -> str:
    return "none" if value is None or value in ("", []) else str(value)


def _diff_line(line: str) -> Text:
    style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    return Text(clean(line), style=style)
