"""From the columns of a file to the inputs of a skill."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from execfabric.core.errors import InvalidInput
from execfabric.web.forms import options_of, without_null
from skills.catalogue.models import SkillVersion

_WHOLE = re.compile(r"[+-]?\d{1,300}(\.0+)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "y", "1", "on"), True),
    **dict.fromkeys(("false", "no", "n", "0", "off"), False),
}
NOTHING = object()
"""A cell that says nothing: the default of the input holds, if it has one."""


def normalised(name: str) -> str:
    """Return name as it is compared: "Top Words", "top_words" and "TOP-WORDS" are one."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def match_columns(version: SkillVersion, columns: Sequence[str]) -> dict[str, str]:
    """Return which column fills which input, by the input's name, or else by its title."""
    known: dict[str, str] = {}
    for column in columns:
        known.setdefault(normalised(column), column)
    found: dict[str, str] = {}
    for words_of in (lambda name, _field: name, lambda _name, field: str(field.get("title", ""))):
        for name, field in version.input_fields.items():
            match = known.get(normalised(words_of(name, field)))
            if name not in found and match is not None and match not in found.values():
                found[name] = match
    return {name: found[name] for name in version.input_fields if name in found}


def checked_mapping(
    version: SkillVersion, columns: Sequence[str], wanted: Mapping[str, Any]
) -> dict[str, str]:
    """Return the mapping by name, changed as wanted: input -> column, "" or None for none.

    Raises InvalidInput with what is neither an input of the skill nor a column of the file.
    """
    mapping = match_columns(version, columns)
    known = {normalised(column): column for column in columns}
    fields = {}
    for name, column in wanted.items():
        if name not in version.input_fields:
            fields[name[:100]] = "is not an input of this skill"
        elif column in (None, ""):
            mapping.pop(name, None)
        elif not isinstance(column, str):
            fields[name] = "must be the name of a column"
        elif (named := column if column in columns else known.get(normalised(column))) is None:
            fields[name] = f"there is no column {column[:60]!r} in the file"
        else:
            mapping[name] = named
    if fields:
        raise InvalidInput("The columns do not fit.", fields=fields)
    return {name: mapping[name] for name in version.input_fields if name in mapping}


def inputs_of(
    version: SkillVersion,
    mapping: Mapping[str, str],
    shared: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    is_typed: bool,
) -> dict[str, Any]:
    """Return what one row says of the inputs, over what is the same for all; nothing is checked."""
    inputs = dict(shared)
    for name, column in mapping.items():
        if column not in values:
            continue
        value = values[column]
        if not is_typed:
            value = converted(value, version.input_fields[name])
        if value is not NOTHING:
            inputs[name] = value
    return inputs


def converted(cell: Any, field: Mapping[str, Any]) -> Any:
    """Return a cell as the JSON value its input wants; as it is where it cannot be that.

    What does not fit is refused by the schema afterwards, with a sentence that says what would.
    """
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return NOTHING
    plain, _nullable = without_null(field)
    for value, label in options_of(plain):
        if not isinstance(value, str) and (cell == value or _text(cell).strip() == label):
            return value
    match plain.get("type"):
        case "integer":
            return _whole(cell)
        case "number":
            return _number(cell)
        case "boolean":
            return _BOOLEANS.get(_text(cell).strip().lower(), cell)
        case "array":
            return _list(cell, plain)
        case "object":
            return _json(cell)
        case "string":
            return _formatted(cell, plain)
        case _:
            return cell if isinstance(cell, bool | int | float) else _text(cell)


def _whole(cell: Any) -> Any:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, str) and _WHOLE.fullmatch(cell.strip()):
        return int(cell.strip().partition(".")[0])
    return cell if isinstance(cell, bool | int | float) else _text(cell)


def _number(cell: Any) -> Any:
    if isinstance(cell, str):
        text = cell.strip()
        if _WHOLE.fullmatch(text) and "." not in text:
            return int(text)
        if _NUMBER.fullmatch(text):
            return float(text)
    return cell if isinstance(cell, bool | int | float) else _text(cell)


def _list(cell: Any, field: Mapping[str, Any]) -> Any:
    text = _text(cell).strip()
    if text.startswith("["):
        return _json(text)
    items = field.get("items")
    item = items if isinstance(items, Mapping) else {}
    parts = [converted(part.strip(), item) for part in re.split(r"[;\n]", text)]
    return [part for part in parts if part is not NOTHING]


def _json(cell: Any) -> Any:
    try:
        return json.loads(cell) if isinstance(cell, str) else cell
    except (ValueError, RecursionError):
        return cell


def _formatted(cell: Any, field: Mapping[str, Any]) -> str:
    """Return the text of a cell; a date or time of a workbook in the form the field wants."""
    if isinstance(cell, datetime) and field.get("format") == "date":
        return cell.date().isoformat()
    if isinstance(cell, str) and field.get("format"):
        return cell.strip()
    return _text(cell)


def _text(cell: Any) -> str:
    match cell:
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        case datetime() if not (cell.hour or cell.minute or cell.second):
            return cell.date().isoformat()
        case date() | time():
            return cell.isoformat()
        case _:
            return str(cell)


def file_input_of(version: SkillVersion) -> str | None:
    """Return the one file input of a skill that many files can be given to, each to one run."""
    names = sorted(version.file_inputs)
    return names[0] if len(names) == 1 else None


def file_value(version: SkillVersion, name: str, file_id: str) -> str | list[str]:
    """Return the value of a file input that holds one file."""
    plain, _nullable = without_null(version.input_fields[name])
    return file_id if plain.get("format") == "file" else [file_id]
