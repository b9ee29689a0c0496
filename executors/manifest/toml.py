"""Writes the part of TOML a manifest needs; the standard library only reads it."""

from __future__ import annotations

import json
import re
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
LINE_LENGTH = 100


def to_toml(tables: dict[str, Any]) -> str:
    """Return TOML for ``{"skill": {...}, "inputs": {name: {...}}, ...}``.

    Values are str, int, finite float, bool, list or dict; None is not representable and raises
    TypeError.
    """
    blocks = []
    for name, table in tables.items():
        nested = bool(table) and all(isinstance(value, dict) for value in table.values())
        if nested:
            blocks += [_table(f"{_key(name)}.{_key(key)}", table[key]) for key in table]
        elif table:
            blocks.append(_table(_key(name), table))
    return "\n".join(blocks)


def _table(heading: str, table: dict[str, Any]) -> str:
    lines = [f"{_key(key)} = {_top_value(value)}" for key, value in table.items()]
    return "\n".join([f"[{heading}]", *lines]) + "\n"


def _top_value(value: Any) -> str:
    written = _value(value)
    if isinstance(value, list) and value and len(written) > LINE_LENGTH - 20:
        return "[\n" + "".join(f"    {_value(item)},\n" for item in value) + "]"
    return written


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    raise TypeError(f"{type(value).__name__} cannot be written as TOML")


def _string(text: str) -> str:
    # JSON escapes are valid TOML escapes, except that TOML also wants DEL escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _string(key)
