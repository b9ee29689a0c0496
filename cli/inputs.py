"""Turns ``name=value`` words into the inputs a skill's schema asks for.

Checks what can be known here: names, types, choices, missing inputs, files; and the rest of the
schema where something is wrong anyway, or a file would be uploaded in vain. The server checks all.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.schema import Schema, choices_of, is_file, resolved, types_of
from cli.schema_check import violations

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True,
             "false": False, "no": False, "off": False, "0": False}  # fmt: skip

_NOT_UPLOADED = "00000000-0000-0000-0000-000000000000"
"""Stands for the id of a file that is yet to be uploaded."""


@dataclass(frozen=True)
class LocalFile:
    """Stands for a file input until the file is uploaded."""

    path: Path


class _UnfitError(ValueError):
    """A word is not a value of the wanted type; the text says what would be."""


def collect_inputs(schema: Schema, words: Sequence[str], base: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs for a schema: base (from a file), overridden by ``name=value`` words.

    File inputs come back as LocalFile (or a list of them). Defaults are left to the server.
    Raises CliError: usage for a word without ``=``, invalid inputs with one message per field.
    """
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    problems: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, texts in _grouped(words).items():
        _convert(name, texts, properties, schema, into=values, problems=problems)
    for name, value in base.items():
        if name not in values and name not in problems:
            _take(name, value, properties, schema, into=values, problems=problems)
    for name in schema.get("required", []):
        optional = "default" in resolved(properties.get(name, {}), schema)
        if not optional and name not in values and name not in problems:
            problems[name] = f"is required. Give it with {_example(name, properties, schema)}"
    sent = upload_files(values, lambda path: _NOT_UPLOADED)
    if problems or sent != values:
        problems = {**violations(schema, sent), **problems}
    if problems:
        raise CliError(
            "These inputs are not right.", ExitCode.INVALID_INPUTS, code="invalid_inputs",
            fields=problems,
        )  # fmt: skip
    return values


def read_inputs_file(path: str) -> dict[str, Any]:
    """Read the JSON object in a file; ``-`` is standard input. Raises CliError (usage)."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except OSError as error:
        raise usage_error(f"The inputs file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise usage_error(f"The inputs file {path} is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise usage_error(f"The inputs file {path} must hold a JSON object: {{...}}.")
    return document


def upload_files(values: dict[str, Any], upload: Callable[[Path], str]) -> dict[str, Any]:
    """Return values with each LocalFile replaced by the id that upload returns for its path.

    A path that is named twice is uploaded once.
    """
    ids: dict[Path, str] = {}

    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(item) for item in value]
        if not isinstance(value, LocalFile):
            return value
        if value.path not in ids:
            ids[value.path] = upload(value.path)
        return ids[value.path]

    return {name: replaced(value) for name, value in values.items()}


def _grouped(words: Sequence[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise usage_error(f"{word!r} is not an input.", hint="Write --input name=value.")
        grouped.setdefault(name.strip(), []).append(text)
    return grouped


def _convert(
    name: str, texts: list[str], properties: Schema, schema: Schema,
    *, into: dict[str, Any], problems: dict[str, str],
) -> None:  # fmt: skip
    """Put the value of one input into ``into``, or what is wrong with it into ``problems``."""
    if name not in properties and not schema.get("additionalProperties"):
        problems[name] = _unknown(name, properties)
        return
    prop = resolved(properties.get(name, {}), schema)
    try:
        if "array" in types_of(prop, schema) and not is_file(prop):
            into[name] = _list_from(texts, prop, schema)
        elif len(texts) > 1:
            raise _UnfitError("is given more than once")
        else:
            into[name] = _value_from(texts[0], prop, schema)
    except _UnfitError as error:
        problems[name] = str(error)


def _take(
    name: str, value: Any, properties: Schema, schema: Schema,
    *, into: dict[str, Any], problems: dict[str, str],
) -> None:  # fmt: skip
    """Like ``_convert`` for a value that already is JSON; only ``@path`` of a file changes."""
    prop = resolved(properties.get(name, {}), schema)
    items = resolved(prop.get("items", {}), schema)
    try:
        if is_file(prop) and isinstance(value, str):
            into[name] = _file_from(value)
        elif is_file(items) and isinstance(value, list):
            into[name] = [_file_from(v) if isinstance(v, str) else v for v in value]
        else:
            into[name] = value
    except _UnfitError as error:
        problems[name] = str(error)


def _list_from(texts: list[str], prop: Schema, schema: Schema) -> Any:
    """One word may be the whole list as JSON; otherwise each word is one item."""
    only = texts[0].strip() if len(texts) == 1 else ""
    if only.startswith("["):
        return _json_from(only, list, "a JSON list")
    items = resolved(prop.get("items", {}), schema)
    if only.startswith("@") and not is_file(items):
        return _json_from(_text_of_file(only), list, "a file with a JSON list")
    if only == "null" and "null" in types_of(prop, schema):
        return None
    return [_value_from(text, items, schema) for text in texts]


def _value_from(text: str, prop: Schema, schema: Schema) -> Any:
    """Raises _UnfitError when no allowed type fits."""
    if is_file(prop):
        return _file_from(text)
    if choices := choices_of(prop):
        if text in ("", "null") and "null" in types_of(prop, schema):
            return None
        for choice in choices:
            if text == choice or (not isinstance(choice, str) and text == json.dumps(choice)):
                return choice
        raise _UnfitError("must be one of: " + ", ".join(map(str, choices)))
    reasons = []
    for kind in types_of(prop, schema) or ["string"]:
        try:
            return _READERS[kind](text)
        except _UnfitError as error:
            reasons.append(str(error))
    raise _UnfitError(reasons[-1])


def _file_from(text: str) -> str | LocalFile:
    """``@path`` is a file to upload; else it is the id of one uploaded before, or
    ``sample:<path>`` for a sample of the skill."""
    if not text.startswith("@"):
        if not text or Path(text).is_file():
            raise _UnfitError(f"needs an @ before the path of a file: @{text or 'path'}")
        return text
    path = Path(text[1:]).expanduser() if text[1:2] == "~" else Path(text[1:])
    if not path.exists():
        raise _UnfitError(f"names a file that is not there: {path}")
    if not path.is_file():
        raise _UnfitError(f"must name a file, and {path} is not one")
    return LocalFile(path)


def _text_of_file(word: str) -> str:
    try:
        return Path(word[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise _UnfitError(f"names a file that cannot be read: {word[1:]}") from error
    except UnicodeDecodeError as error:
        raise _UnfitError(f"names a file that is not UTF-8 text: {word[1:]}") from error


def _json_from(text: str, kind: type, wanted: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _UnfitError(f"must be {wanted}") from error
    if not isinstance(value, kind):
        raise _UnfitError(f"must be {wanted}")
    return value


def _integer_from(text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise _UnfitError("must be a whole number")
    return int(text)


def _number_from(text: str) -> int | float:
    word = text.strip()
    if _INTEGER.fullmatch(word):
        return int(word)
    if not _NUMBER.fullmatch(word) or not math.isfinite(float(word)):
        raise _UnfitError("must be a number")
    return float(word)


def _boolean_from(text: str) -> bool:
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise _UnfitError("must be yes or no") from None


def _object_from(text: str) -> Any:
    document = _text_of_file(text) if text.startswith("@") else text
    return _json_from(document, dict, "a JSON object: {...}, or @file with one")


def _array_from(text: str) -> Any:
    return _json_from(text, list, "a JSON list: [...]")


def _null_from(text: str) -> None:
    if text not in ("", "null"):
        raise _UnfitError("must be empty")


_READERS: dict[str, Callable[[str], Any]] = {
    "null": _null_from,
    "boolean": _boolean_from,
    "integer": _integer_from,
    "number": _number_from,
    "array": _array_from,
    "object": _object_from,
    "string": str,
}


def _unknown(name: str, properties: Schema) -> str:
    near = difflib.get_close_matches(name, properties, n=1)
    if near:
        return f"is not an input of this skill. Did you mean {near[0]}?"
    if not properties:
        return "is not an input of this skill; it takes none"
    return "is not an input of this skill. It takes: " + ", ".join(properties)


def _example(name: str, properties: Schema, schema: Schema) -> str:
    at = "@path" if is_file(resolved(properties.get(name, {}), schema)) else "value"
    return f"--input {name}={at}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
