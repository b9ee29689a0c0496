"""The values executors give back: whether they can be stored, and what they are in short."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from pydantic import JsonValue

from executors.inputs import INPUT_DEPTH
from executors.text import clean

SUMMARY_CHARS = 200
RESULT_DEPTH = 5 * INPUT_DEPTH


def parse_json(data: bytes | str) -> JsonValue:
    """Return parsed JSON; no NaN, no infinity. Raises ValueError, RecursionError."""
    return cast("JsonValue", json.loads(data, parse_constant=_refuse_constant))


def summarise(value: JsonValue, files: int) -> str:
    """Return one line about a successful run: its own summary, or what it gave."""
    if isinstance(value, dict) and isinstance(value.get("summary"), str):
        return first_line(clean(cast("str", value["summary"]))) or "Finished."
    parts = []
    if isinstance(value, dict):
        shown = [f"{key}: {_short(item)}" for key, item in value.items() if _is_scalar(item)]
        parts.append(", ".join(shown[:4]) or _counted(len(value), "value"))
    elif isinstance(value, list):
        parts.append(_counted(len(value), "item"))
    elif value is not None:
        parts.append(_short(value))
    if files:
        parts.append(_counted(files, "file"))
    if not parts:
        return "Finished without a result."
    return first_line(clean("; ".join(parts)))[:SUMMARY_CHARS]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unstorable(value: Any) -> str:
    """Return why a parsed result cannot be stored; empty when it can."""
    todo: list[tuple[Any, int]] = [(value, 1)]
    while todo:
        item, depth = todo.pop()
        if depth > RESULT_DEPTH:
            return f"The result is nested deeper than {RESULT_DEPTH} levels."
        if isinstance(item, str) and ("\0" in item or not _is_text(item)):
            return "The result contains a NUL character or half characters."
        if isinstance(item, float) and not math.isfinite(item):
            return "The result contains a number that is too large."
        if isinstance(item, dict):
            todo += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            todo += [(part, depth + 1) for part in item]
    return ""


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not a JSON number")


def _is_scalar(value: JsonValue) -> bool:
    return isinstance(value, str | bool | int | float)


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"
