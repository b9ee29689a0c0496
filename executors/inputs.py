"""Checks what a person, a program or the brain fills in against a skill's input schema."""

from __future__ import annotations

import copy
import functools
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import date, datetime
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

import pydantic
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic import JsonValue, StringConstraints, TypeAdapter
from pydantic_core import SchemaError

from executors.contract import MEBIBYTE, ExecutorError

INPUT_BYTES = MEBIBYTE
INPUT_DEPTH = 20
PATTERNED_LENGTH = 2000
"""Characters of a text that has to match a pattern, at most."""
PATTERN_BUDGET_S = 2.0
"""How long the patterns of one check may take together."""

TYPE_SENTENCES = {
    "integer": "must be a whole number",
    "number": "must be a number",
    "string": "must be text",
    "boolean": "must be true or false",
    "array": "must be a list",
    "object": "must be a set of named values",
    "null": "must be empty",
}
FORMAT_SENTENCES = {
    "date": "must be a date such as 2026-01-31",
    "date-time": "must be a date and time such as 2026-01-31T14:30:00",
    "time": "must be a time such as 14:30",
    "email": "must be an e-mail address such as ana@example.com",
    "uri": "must be a web address such as https://example.com/page",
    "uuid": "must be an id such as 123e4567-e89b-12d3-a456-426614174000",
}
FORMATS = FormatChecker(formats=())

_patterns_until: ContextVar[float] = ContextVar("patterns_until", default=math.inf)
"""The monotonic moment at which the patterns of the check at hand have taken too long."""


class InvalidInputs(ExecutorError):
    """The inputs do not fit the skill. ``fields`` maps an input's name to one plain sentence."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields
        super().__init__("; ".join(f"{name} {why}" for name, why in fields.items()))


class PatternNotUsable(ExecutorError):
    """The pattern is none, or needs what cannot be checked in linear time."""


@functools.lru_cache(maxsize=1000)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a text has a match of pattern anywhere. Raises PatternNotUsable.

    pydantic's own engine never backtracks, so no text makes it hang. In exchange it knows no
    look-around and no back references.
    """
    try:
        adapter = TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError as error:
        why = str(error).strip().rpartition("error: ")[2] or "it is too long"
        raise PatternNotUsable(f"pattern {pattern!r} cannot be used: {why}") from None

    def matches(text: str) -> bool:
        try:
            adapter.validate_python(text)
        except pydantic.ValidationError:
            return False
        return True

    return matches


def _check_pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    if len(instance) > PATTERNED_LENGTH:
        yield ValidationError(f"must have at most {PATTERNED_LENGTH} characters")
    elif time.monotonic() > _patterns_until.get():
        yield ValidationError("has too much text to be checked by its pattern")
    elif not compile_pattern(pattern)(instance):
        yield ValidationError(f"must match the pattern {pattern}")


InputValidator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _check_pattern}
)
"""Checks JSON Schema as skills use it: patterns in bounded time."""


def check_inputs(schema: dict[str, Any], inputs: object) -> dict[str, JsonValue]:
    """Return a copy of inputs with the defaults filled in.

    schema is a JSON Schema object as ``Manifest.input_schema`` returns it. Raises InvalidInputs
    that names every wrong input at once.
    """
    if not isinstance(inputs, dict) or not all(isinstance(name, str) for name in inputs):
        raise InvalidInputs({"inputs": "must be a set of named values"})
    refused = _unstorable(inputs)
    if refused:
        raise InvalidInputs(refused)
    filled = cast("dict[str, JsonValue]", copy.deepcopy(inputs))
    for name, rule in schema.get("properties", {}).items():
        if name not in filled and "default" in rule:
            filled[name] = copy.deepcopy(rule["default"])
    fields: dict[str, str] = {}
    validator = InputValidator(schema, format_checker=FORMATS)
    until = _patterns_until.set(time.monotonic() + PATTERN_BUDGET_S)
    try:
        errors = sorted(validator.iter_errors(filled), key=lambda e: list(map(str, e.path)))
    finally:
        _patterns_until.reset(until)
    for error in errors:
        for name, why in _explain(error):
            fields.setdefault(name, why)
    if fields:
        raise InvalidInputs(fields)
    return filled


def _unstorable(inputs: dict[str, Any]) -> dict[str, str]:
    """Name the inputs that cannot be stored or passed on at all, whatever the schema says."""
    fields = {}
    for name, value in inputs.items():
        why = _text_problem(name) or _value_problem(value)
        if why:
            fields[name.encode("utf-8", "replace").decode().replace("\0", "�")[:100]] = why
    if fields:
        return fields
    if len(json.dumps(inputs, ensure_ascii=False).encode()) > INPUT_BYTES:
        return {"inputs": f"must not be larger than {INPUT_BYTES // MEBIBYTE} MiB together"}
    return {}


def _value_problem(value: Any) -> str:
    todo: list[tuple[Any, int]] = [(value, 1)]
    while todo:
        item, depth = todo.pop()
        if depth > INPUT_DEPTH:
            return f"must not be nested deeper than {INPUT_DEPTH} levels"
        if isinstance(item, float) and not math.isfinite(item):
            return "must not be NaN or Infinity"
        if isinstance(item, int) and item.bit_length() > 1024:
            return "must be a smaller number"
        if isinstance(item, str):
            problem = _text_problem(item)
            if problem:
                return problem
        elif isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return "must have names that are text"
            todo += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            todo += [(part, depth + 1) for part in item]
        elif item is not None and not isinstance(item, bool | int | float):
            return "must be text, a number, true or false, a list or named values"
    return ""


def _text_problem(text: str) -> str:
    if "\0" in text:
        return "must not contain a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain half characters (lone surrogates)"
    return ""


def _explain(error: ValidationError) -> list[tuple[str, str]]:
    """Return (input name, sentence) of one schema error; a missing input is several of them."""
    path = list(error.absolute_path)
    rule: Any = error.validator
    instance: Any = error.instance
    schema: Any = error.schema
    if rule == "required":
        missing = [name for name in schema["required"] if name not in instance]
        if not path:
            return [(name, "is required") for name in missing]
        return [_at(path, f"must contain {', '.join(missing)}")]
    if rule == "additionalProperties":
        known = schema.get("properties", {})
        unknown = [name for name in instance if name not in known]
        if not path:
            return [(name, "is not an input of this skill") for name in unknown]
        return [_at(path, f"must not contain {', '.join(unknown)}")]
    return [_at(path, _sentence(error))]


def _at(path: list[str | int], sentence: str) -> tuple[str, str]:
    if not path:
        return "inputs", sentence
    inner = "".join(f", item {p + 1}" if isinstance(p, int) else f", {p}" for p in path[1:])
    return str(path[0]), f"{inner[2:]}: {sentence}" if inner else sentence


def _sentence(error: ValidationError) -> str:
    value: Any = error.validator_value
    match error.validator:
        case "type":
            kinds = [value] if isinstance(value, str) else [k for k in value if k != "null"]
            return " or ".join(TYPE_SENTENCES.get(kind, f"must be {kind}") for kind in kinds)
        case "enum":
            shown = [v if isinstance(v, str) else json.dumps(v) for v in value if v is not None]
            return f"must be one of: {', '.join(shown[:20])}" + (", …" if len(shown) > 20 else "")
        case "const":
            return f"must be {json.dumps(value, ensure_ascii=False)}"
        case "format":
            return FORMAT_SENTENCES.get(value, f"must have the format {value}")
        case "minimum":
            return f"must be at least {value}"
        case "maximum":
            return f"must be at most {value}"
        case "exclusiveMinimum":
            return f"must be more than {value}"
        case "exclusiveMaximum":
            return f"must be less than {value}"
        case "multipleOf":
            return f"must be a multiple of {value}"
        case "minLength":
            return "must not be empty" if value == 1 else f"must have at least {value} characters"
        case "maxLength":
            return f"must have at most {value} characters"
        case "pattern":
            return error.message
        case "minItems":
            return "must not be empty" if value == 1 else f"must have at least {value} items"
        case "maxItems":
            return f"must have at most {value} items"
        case "uniqueItems":
            return "must not contain the same item twice"
        case _:
            return f"does not fit the rule {error.validator}"


def _accepts(parse: Callable[[str], object]) -> Callable[[object], bool]:
    """Turn a parser that raises ValueError into a check; formats bind text only."""

    def check(value: object) -> bool:
        if not isinstance(value, str):
            return True
        try:
            return parse(value) is not False
        except ValueError:
            return False

    return check


def _parse_date(text: str) -> object:
    return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else False


def _parse_datetime(text: str) -> object:
    # Without an offset too: that is what a browser's date and time field sends.
    shape = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?"
    return datetime.fromisoformat(text.upper()) if re.fullmatch(shape, text, re.ASCII) else False


def _parse_time(text: str) -> object:
    shape = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?"
    return re.fullmatch(shape, text, re.ASCII) is not None


def _parse_email(text: str) -> object:
    local, _, domain = text.rpartition("@")
    label = r"[^\W_]([\w-]{0,61}[^\W_])?"
    return (
        re.fullmatch(r"[^\s@\"<>(),:;\\\[\]]{1,64}", local) is not None
        and not (local.startswith(".") or local.endswith(".") or ".." in local)
        and re.fullmatch(rf"{label}(\.{label})+", domain) is not None
    )


def _parse_uri(text: str) -> object:
    if re.search(r"[\s<>\"{}|\\^`]", text) or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
        return False
    parts = urlsplit(text)
    _ = parts.port
    return bool(parts.hostname) if parts.scheme in ("http", "https") else bool(parts.path)


def _parse_uuid(text: str) -> object:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None


for _name, _parse in {
    "date": _parse_date,
    "date-time": _parse_datetime,
    "time": _parse_time,
    "email": _parse_email,
    "uri": _parse_uri,
    "uuid": _parse_uuid,
}.items():
    FORMATS.checks(_name)(_accepts(_parse))
