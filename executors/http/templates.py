"""Templates of a request: ``{name}`` stands for an input, ``{{`` and ``}}`` for braces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue

PART = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})\}|[{}]")
LEFT_OUT = object()
"""Stands for a part of which an input was not given."""


class BadTemplate(ValueError):
    """A brace too many, or one too few."""


def names_in(template: str) -> set[str]:
    """Return the names of the inputs in a template. Raises BadTemplate."""
    names = set()
    for match in PART.finditer(template):
        if match[0] in "{}":
            raise BadTemplate(
                f"{template[:80]!r}: write {{name}} for an input, and {{{{ or }}}} for a brace"
            )
        if match["name"]:
            names.add(match["name"])
    return names


def names_in_json(value: JsonValue) -> set[str]:
    """Return the names of the inputs in all texts of a value. Raises BadTemplate."""
    if isinstance(value, str):
        return names_in(value)
    if isinstance(value, list):
        return set[str]().union(*map(names_in_json, value))
    if isinstance(value, dict):
        return set[str]().union(*map(names_in_json, value.values()))
    return set()


def is_single(template: str) -> bool:
    """Return whether a template is one input and nothing else."""
    match = PART.fullmatch(template)
    return match is not None and match["name"] is not None


def fill(template: str, inputs: Mapping[str, Any], escape: Callable[[str], str] = str) -> Any:
    """Return the text with the inputs in it, or LEFT_OUT where one of them was not given."""
    if any(inputs.get(name) is None for name in names_in(template)):
        return LEFT_OUT

    def put(match: re.Match[str]) -> str:
        return escape(as_text(inputs[match["name"]])) if match["name"] else match[0][0]

    return PART.sub(put, template)


def fill_json(value: JsonValue, inputs: Mapping[str, Any]) -> Any:
    """Return value with its texts filled in; one that is a single input takes it as it is.

    Names and items whose input was not given are left out.
    """
    if isinstance(value, str):
        match = PART.fullmatch(value)
        if match and match["name"]:
            return inputs.get(match["name"], LEFT_OUT)
        return fill(value, inputs)
    if isinstance(value, list):
        items = [fill_json(each, inputs) for each in value]
        return [each for each in items if each is not LEFT_OUT]
    if isinstance(value, dict):
        filled = {name: fill_json(each, inputs) for name, each in value.items()}
        return {name: each for name, each in filled.items() if each is not LEFT_OUT}
    return value


def as_text(value: Any) -> str:
    """Return an input as it stands in a URL or header."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
