"""edit: new texts for a skill, or stricter rules, without review."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from cli.client import Json
from cli.commands.managing import Expected, Reason, SkillName, act_on
from cli.errors import usage_error
from cli.session import session_of

WORDS = ("title", "description", "examples")


def edit(
    context: typer.Context,
    skill: SkillName,
    reason: Reason,
    title: Annotated[str | None, typer.Option("--title", help="Its title.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="What it does, for its users.")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", help="In place of all tags; repeat it. '' leaves none."),
    ] = None,
    examples: Annotated[
        list[str] | None,
        typer.Option("--example", help="A sentence a user might say, in place of all; repeat it."),
    ] = None,
    input_texts: Annotated[
        list[str] | None,
        typer.Option(
            "--input-text",
            metavar="INPUT.WORD=TEXT",
            help="A text of an input: title, description, or examples as a JSON list; repeat it.",
        ),
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="From now on each run is confirmed.")
    ] = False,
    four_eyes: Annotated[
        bool, typer.Option("--four-eyes", help="From now on somebody else approves each run.")
    ] = False,
    no_assistant: Annotated[
        bool, typer.Option("--no-assistant", help="The assistant does not offer it any more.")
    ] = False,
    no_manual: Annotated[
        bool, typer.Option("--no-manual", help="People do not start it by hand any more.")
    ] = False,
    expected: Expected = None,
) -> None:
    """Change texts of a skill, or make its rules stricter: a new version, in use at once.

    What is not named stays. Everything else goes to review: submit a new version of the script.
    """
    texts = {"title": title, "description": description, "tags": tags, "examples": examples}
    changes: Json = {name: value for name, value in texts.items() if value is not None}
    if input_texts:
        changes["inputs"] = _by_input(input_texts)
    stricter: list[tuple[bool, str, Any]] = [
        (confirm, "confirm", True),
        (four_eyes, "approval", "four_eyes"),
        (no_assistant, "ai_callable", False),
        (no_manual, "manual", False),
    ]
    changes.update({name: value for is_wanted, name, value in stricter if is_wanted})
    if not changes:
        raise usage_error("Say what to change, such as --title. See edit --help.")
    body: Json = {"changes": changes, "reason": reason}
    act_on(session_of(context), skill, "edit", body, expected)


def _by_input(given: list[str]) -> dict[str, dict[str, Any]]:
    """Return {input: {word: value}} from texts such as who.title=Whom to greet."""
    inputs: dict[str, dict[str, Any]] = {}
    for text in given:
        place, equals, value = text.partition("=")
        name, _dot, word = place.rpartition(".")
        if not equals or not name or word not in WORDS:
            raise usage_error(
                f"{text!r} is not INPUT.WORD=TEXT, where WORD is title, description or examples."
            )
        inputs.setdefault(name, {})[word] = _listed(text, value) if word == "examples" else value
    return inputs


def _listed(text: str, value: str) -> list[Any]:
    try:
        listed = json.loads(value)
    except ValueError:
        listed = None
    if not isinstance(listed, list):
        raise usage_error(f'{text!r}: give the examples as a JSON list, such as ["Ada"].')
    return listed
