"""Turns the signature of ``main`` into inputs by reading the code, never by running it."""

from __future__ import annotations

import ast
import re
from datetime import date, datetime
from typing import Any

import pydantic

from executors.manifest.model import Field, ManifestError

SIMPLE_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "Decimal": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "UUID": {"type": "string", "format": "uuid"},
    "Path": {"type": "string", "format": "file"},
    "dict": {"type": "object"},
    "Mapping": {"type": "object"},
    "list": {"type": "array"},
    "Sequence": {"type": "array"},
    "Any": {"type": ["string", "integer", "number", "boolean", "array", "object", "null"]},
}
ALIASES = {"List": "list", "Dict": "dict", "PurePath": "Path", "Iterable": "list"}
ENUM_BASES = {"Enum", "StrEnum", "IntEnum"}


class _Unknown(Exception):
    """An expression that cannot be evaluated without running the code."""


def read_inputs(source: str, *, file: str = "main.py") -> dict[str, Field]:
    """Return the inputs of the function ``main`` in source; none when it has no such function.

    Raises ManifestError for code that does not parse and for hints with no JSON counterpart.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        raise ManifestError(f"{file} is not valid Python{where}: {error}. Correct it.") from error
    try:
        return _Module(tree, file).inputs()
    except RecursionError as error:
        raise ManifestError(f"{file} is nested too deeply to be read. Simplify it.") from error


class _Module:
    """What the top level of one file defines: enumerations, constants, ``main``."""

    def __init__(self, tree: ast.Module, file: str) -> None:
        self.file = file
        self.main: ast.FunctionDef | ast.AsyncFunctionDef | None = None
        self.constants: dict[str, ast.expr] = {}
        self.enums: dict[str, dict[str, Any]] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "main":
                self.main = node
            elif isinstance(node, ast.Assign) and len(node.targets) == 1:
                if isinstance(node.targets[0], ast.Name):
                    self.constants[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                if isinstance(node.target, ast.Name):
                    self.constants[node.target.id] = node.value
            elif isinstance(node, ast.ClassDef):
                members = _enum_members(node)
                if members:
                    self.enums[node.name] = members

    def inputs(self) -> dict[str, Field]:
        if self.main is None:
            return {}
        arguments = self.main.args
        if arguments.posonlyargs:
            raise ManifestError(
                f"{self.file}: main() has positional-only arguments, but inputs are passed by "
                "name. Remove the '/'."
            )
        positional = arguments.args
        missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
        pairs = list(zip(positional, [*missing, *arguments.defaults], strict=True))
        pairs += list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
        described = _argument_descriptions(ast.get_docstring(self.main) or "")
        return {
            argument.arg: self._field(argument, default, described.get(argument.arg))
            for argument, default in pairs
        }

    def _field(self, argument: ast.arg, default: ast.expr | None, text: str | None) -> Field:
        has_value = True
        value: Any = None
        if default is not None:
            try:
                value = self._literal(default)
            except _Unknown:
                has_value = False
        if argument.annotation is not None:
            words = self._words(argument.annotation, argument.arg)
        else:
            words = _words_of_value(value)
        if default is not None and (value is None or not has_value):
            words["optional"] = "null" not in _types(words)
        elif default is not None:
            words["default"] = value
        words["title"] = argument.arg.replace("_", " ").strip().capitalize() or argument.arg
        if text:
            words["description"] = text
        if words.get("format") == "file" and words.pop("default", None) is not None:
            words["optional"] = True  # A file of the author's machine means nothing here.
        try:
            return Field(**words)
        except pydantic.ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ManifestError(f"{self.file}: main({argument.arg}): {why}.") from error

    def _words(self, hint: ast.expr, name: str) -> dict[str, Any]:
        """Return JSON Schema words of a type hint."""
        if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
            try:
                return self._words(ast.parse(hint.value, mode="eval").body, name)
            except SyntaxError:
                raise self._unsupported(hint, name) from None
        if isinstance(hint, ast.BinOp) and isinstance(hint.op, ast.BitOr):
            return self._union(_branches(hint), hint, name)
        if isinstance(hint, ast.Subscript):
            return self._subscript(hint, name)
        word = _last_name(hint)
        word = ALIASES.get(word, word)
        if word in self.enums and isinstance(hint, ast.Name):
            return _enum_words(list(self.enums[word].values()))
        if word in SIMPLE_TYPES:
            return dict(SIMPLE_TYPES[word])
        if word in self.constants and isinstance(hint, ast.Name):
            alias = self.constants.pop(word)  # Popped so that an alias of itself cannot loop.
            try:
                return self._words(alias, name)
            finally:
                self.constants[word] = alias
        raise self._unsupported(hint, name)

    def _subscript(self, hint: ast.Subscript, name: str) -> dict[str, Any]:
        word = _last_name(hint.value)
        word = ALIASES.get(word, word)
        parts = hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]
        if word == "Literal":
            try:
                values = [self._literal(part) for part in parts]
            except _Unknown:
                raise self._unsupported(hint, name) from None
            return _enum_words(values)
        if word == "Annotated":
            return self._words(parts[0], name)
        if word == "Optional":
            return self._union([parts[0], ast.Constant(None)], hint, name)
        if word == "Union":
            return self._union(list(parts), hint, name)
        if word in ("list", "Sequence"):
            return {"type": "array", "items": self._words(parts[0], name)}
        if word in ("dict", "Mapping") and len(parts) == 2:
            words = self._words(parts[1], name)
            anything = words == SIMPLE_TYPES["Any"]
            return {"type": "object"} | ({} if anything else {"additionalProperties": words})
        raise self._unsupported(hint, name)

    def _union(self, branches: list[ast.expr], hint: ast.expr, name: str) -> dict[str, Any]:
        real = [b for b in branches if not (isinstance(b, ast.Constant) and b.value is None)]
        choices = [self._words(branch, name) for branch in real]
        null = ["null"] if len(real) < len(branches) else []
        if len(choices) == 1:
            words = choices[0]
        elif all(set(words) == {"type"} for words in choices):
            words = {"type": [t for words in choices for t in _types(words)]}
        else:
            raise self._unsupported(hint, name)
        types = list(dict.fromkeys([*_types(words), *null]))
        words["type"] = types[0] if len(types) == 1 else types
        return words

    def _literal(self, node: ast.expr) -> Any:
        """Return the value of a default as JSON has it. Raises _Unknown."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            members = self.enums.get(node.value.id, {})
            if node.attr in members:
                return members[node.attr]
            raise _Unknown
        if isinstance(node, ast.Name) and node.id in self.constants:
            constant = self.constants[node.id]
            if isinstance(constant, ast.Name):
                raise _Unknown
            return self._literal(constant)
        if isinstance(node, ast.Call) and not node.keywords:
            return self._call(node)
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise _Unknown from None
        return _as_json(value)

    def _call(self, node: ast.Call) -> Any:
        values = [self._literal(argument) for argument in node.args]
        word = _last_name(node.func)
        try:
            if word == "date":
                return date(*values).isoformat()
            if word == "datetime":
                return datetime(*values).isoformat()
            if word == "Decimal" and len(values) == 1:
                return float(values[0])
            if word == "Path" and len(values) == 1:
                return str(values[0])
        except (TypeError, ValueError):
            pass
        raise _Unknown

    def _unsupported(self, hint: ast.expr, name: str) -> ManifestError:
        return ManifestError(
            f"{self.file}: main({name}: {ast.unparse(hint)}) has a type that no input can have. "
            "Use str, int, float, bool, date, datetime, Path, list, dict, Literal or an Enum of "
            "this file, or describe the input in skill.toml."
        )


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _branches(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _branches(node.left) + _branches(node.right)
    return [node]


def _types(words: dict[str, Any]) -> list[str]:
    return [words["type"]] if isinstance(words["type"], str) else list(words["type"])


def _enum_words(values: list[Any]) -> dict[str, Any]:
    kinds = list(dict.fromkeys(_words_of_value(v)["type"] for v in values if v is not None))
    types = [*kinds, "null"] if None in values else kinds
    shown = [v for v in values if v is not None]
    return {"type": types[0] if len(types) == 1 else types, "enum": shown}


def _words_of_value(value: Any) -> dict[str, Any]:
    """Return the words for a value of unknown type; nothing known means text."""
    for python_type, kind in ((bool, "boolean"), (int, "integer"), (float, "number")):
        if isinstance(value, python_type):
            return {"type": kind}
    if isinstance(value, list):
        return {"type": "array"}
    return {"type": "object"} if isinstance(value, dict) else {"type": "string"}


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_as_json(_not_none(item)) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _as_json(_not_none(item)) for key, item in value.items()}
    raise _Unknown


def _not_none(item: Any) -> Any:
    # TOML has no null, so such a default stays with Python.
    if item is None:
        raise _Unknown
    return item


def _enum_members(node: ast.ClassDef) -> dict[str, Any]:
    """Return name -> value of an enumeration; empty for any other class."""
    bases = {_last_name(base) for base in node.bases}
    if not bases & ENUM_BASES:
        return {}
    members: dict[str, Any] = {}
    for statement in node.body:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            continue
        name = statement.targets[0].id
        if isinstance(statement.value, ast.Constant):
            members[name] = statement.value.value
        elif isinstance(statement.value, ast.Call) and _last_name(statement.value.func) == "auto":
            members[name] = name.lower() if "StrEnum" in bases else len(members) + 1
    return {name: value for name, value in members.items() if isinstance(value, str | int | float)}


def _argument_descriptions(docstring: str) -> dict[str, str]:
    """Return name -> text of an ``Args:`` section; only its first line per argument."""
    found: dict[str, str] = {}
    inside = False
    for line in docstring.splitlines():
        if re.fullmatch(r"(Args|Arguments|Parameters|Inputs):\s*", line):
            inside = True
        elif inside and line and not line[0].isspace():
            inside = False
        elif inside:
            match = re.fullmatch(r"\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.+)", line)
            if match:
                found[match[1]] = match[2].strip()
    return found
