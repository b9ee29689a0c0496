"""list, show: what the user may run."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli import output, schema
from cli.client import Client, Json
from cli.errors import CliError
from cli.session import Session, session_of
from cli.terminal import clean_line


def list_skills(
    context: typer.Context,
    query: Annotated[str, typer.Option("--query", "-q", help="Words to search for.")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Only skills with this tag.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Skills to show at most.")] = 200,
) -> None:
    """List the skills you may run."""
    session = session_of(context)
    skills = session.client().skills(query=query, tag=tag, limit=limit + 1)
    shown, more = skills[:limit], len(skills) > limit
    if shown:
        rows = [_row(skill) for skill in shown]
        session.screen.show(output.table(["Skill", "Title", "Risk", "Tags"], rows))
    else:
        session.screen.note(Text("No skill fits." if query or tag else "You may run no skill yet."))
    if more:
        session.screen.hint("There are more. Narrow the search, or raise --limit.")
    session.screen.json({"results": shown, "more": more})


def show_skill(
    context: typer.Context,
    skill: Annotated[str, typer.Argument(metavar="SKILL", help="Name of the skill.")],
    version: Annotated[int | None, typer.Option("--version", min=1, help="Its version.")] = None,
) -> None:
    """Show what a skill does and which inputs it takes."""
    session = session_of(context)
    found = find_skill(session, session.client(), skill, version)
    session.screen.show(_page(found))
    session.screen.hint(session.command(_example(found)))
    session.screen.json(found)


def find_skill(session: Session, client: Client, name: str, version: int | None) -> Json:
    """Return a skill with the input schema of a version; None is the one in use."""
    try:
        return client.skill(name, version=version)
    except CliError as error:
        if error.code == "not_found":
            error.hint = f"See: {session.command('list')}"
        raise


def _row(skill: Json) -> list[RenderableType]:
    title = output.text(skill.get("title"))
    if skill.get("requires_confirmation"):
        title.append("  asks to confirm", style="yellow")
    if needs_approval(skill):
        title.append("  needs an approval", style="yellow")
    tags = skill.get("tags")
    return [
        output.text(skill.get("name"), style="bold"),
        title,
        output.risk(skill.get("risk")),
        output.text(", ".join(map(str, tags)) if isinstance(tags, list) else "", style="dim"),
    ]


def needs_approval(skill: Json) -> bool:
    """Return whether somebody else must approve a run. A rule we do not know counts as one."""
    return skill.get("approval") not in (None, "", "none")


def _page(skill: Json) -> RenderableType:
    tags, examples = skill.get("tags"), skill.get("examples")
    timeout_s = skill.get("timeout_s")
    parts: list[RenderableType] = [output.text(skill.get("title"), style="bold")]
    if description := skill.get("description"):
        parts.append(output.paragraph(description))
    facts: dict[str, RenderableType] = {
        "Name": output.text(skill.get("name")),
        "Version": output.text(skill.get("version")),
        "Risk": output.risk(skill.get("risk")),
        "Confirm": Text("asks before it runs") if skill.get("requires_confirmation") else Text(""),
        "Approval": Text("somebody else must approve each run" if needs_approval(skill) else ""),
        "Time limit": Text(f"{timeout_s} s" if timeout_s else ""),
        "Tags": output.text(", ".join(map(str, tags)) if isinstance(tags, list) else ""),
    }
    parts += [Text(""), output.pairs(facts)]
    parts += _fields("Inputs", skill.get("input_schema"))
    parts += _fields("Results", skill.get("output_schema"))
    parts += _samples(skill.get("samples"))
    if isinstance(examples, list) and examples:
        parts.append(Text("\nYou might say", style="bold"))
        parts += [Text(f"- {clean_line(example)}") for example in examples]
    return Group(*parts)


def _samples(found: Any) -> list[RenderableType]:
    """Return a heading and the samples of a skill, as values of a file input."""
    samples = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not samples:
        return []
    lines = [Text(f"- sample:{clean_line(sample.get('path', ''))}") for sample in samples]
    return [Text("\nSample files, as values of a file input", style="bold"), *lines]


def _fields(title: str, found: Any) -> list[RenderableType]:
    """Return a heading and a table of the fields of a schema; nothing when it has none."""
    whole = found if isinstance(found, dict) else {}
    properties = schema.properties_of(whole)
    if not properties:
        return [Text("\nIt takes no inputs.")] if title == "Inputs" else []
    required = whole.get("required") or []
    asked = title == "Inputs"
    rows: list[list[RenderableType]] = []
    for name, prop in properties.items():
        shown = output.text(name, style="bold")
        if asked and name in required and "default" not in prop:
            shown.append(" *", style="bold red")
        row: list[RenderableType] = [shown, output.text(schema.type_label(prop, whole))]
        if asked:
            row.append(_default(prop))
        rows.append([*row, _help(prop)])
    columns = ["Name", "Type", "Default", "What it is"] if asked else ["Name", "Type", "What it is"]
    starred = asked and any(name in required for name in properties)
    note = [Text("* required", style="dim")] if starred else []
    return [Text(f"\n{title}", style="bold"), output.table(columns, rows), *note]


def _default(prop: Json) -> Text:
    if "default" not in prop or prop["default"] is None:
        return Text("")
    return Text("••••" if schema.is_secret(prop) else output.scalar(prop["default"]))


def _help(prop: Json) -> Text:
    said = [clean_line(prop[key]) for key in ("title", "description") if prop.get(key)]
    bounds = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
        "pattern": "matches {}",
    }
    limits = [words.format(clean_line(prop[key])) for key, words in bounds.items() if key in prop]
    shown = Text(": ".join(said))
    if limits:
        shown.append(f"{' ' if said else ''}({', '.join(limits)})", style="dim")
    return shown


def _example(skill: Json) -> str:
    """Return a command with every required input filled in by a placeholder or first choice."""
    whole = skill.get("input_schema")
    whole = whole if isinstance(whole, dict) else {}
    words = [f"run {clean_line(skill.get('name', ''))}"]
    for name, prop in schema.properties_of(whole).items():
        if name not in (whole.get("required") or []) or "default" in prop:
            continue
        choices = schema.choices_of(prop)
        items = schema.resolved(prop.get("items"), whole)
        value = "@path" if schema.is_file(prop) or schema.is_file(items) else "VALUE"
        if choices:
            value = choices[0] if isinstance(choices[0], str) else json.dumps(choices[0])
        words.append("--input " + shlex.quote(f"{clean_line(name)}={clean_line(value)}"))
    return " ".join(words)
