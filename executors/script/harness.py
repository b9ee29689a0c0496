"""Runs a Python script inside its run: calls ``main`` with typed inputs and writes its result.

The worker hands this file's text to the run, since the run's user may not be able to read the
platform's code. So it imports the standard library only, and since a script may choose its Python,
it keeps to what 3.8 has. Usage: harness.py SCRIPT_FOLDER ENTRY.
"""

# ruff: noqa: BLE001, S102 - running a script means taking whatever it raises.
# ruff: noqa: FURB188 - in words of Python 3.8.

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import os
import pathlib
import sys
import traceback
import types
import typing
import uuid
from typing import Any

BAD_RESULT_NAME = "bad-result"
"""Beside the result file; its text says why the result of ``main`` is not one."""


class WrongInput(Exception):
    """An input does not fit the hint of its argument."""


class Script:
    """The script's folder and entry file."""

    def __init__(self, folder: str, entry: str) -> None:
        self.folder = pathlib.Path(folder)
        self.entry = entry
        self.path = self.folder / entry

    def run(self) -> None:
        """Call ``main`` if the entry defines one at its top level, else run the file."""
        source = self.path.read_bytes()
        has_main, returns_exit_code = look_for_main(source)
        name = self.entry[:-3] if self.entry.endswith(".py") else self.entry
        module = types.ModuleType(name if has_main else "__main__")
        module.__file__ = str(self.path)
        sys.modules[module.__name__] = module
        sys.argv = [str(self.path)]
        exec(compile(source, str(self.path), "exec", dont_inherit=True), module.__dict__)
        function = module.__dict__.get("main")
        if has_main and callable(function):
            self.call(function, returns_exit_code)

    def call(self, function: typing.Callable[..., Any], returns_exit_code: bool) -> None:
        inputs = json.loads(pathlib.Path(os.environ["EXECFABRIC_INPUT"]).read_bytes())
        result = function(**typed_arguments(function, inputs))
        if inspect.iscoroutine(result):
            import asyncio  # Slow to import, and few scripts need it

            result = asyncio.run(result)
        if returns_exit_code and isinstance(result, int):
            sys.exit(int(result))
        if result is not None:
            write_result(result)

    def print_failure(self, error: BaseException) -> None:
        """Print the traceback as if the script had been started by itself."""
        report = traceback.TracebackException.from_exception(error)
        seen: set[int] = set()
        todo: list[traceback.TracebackException | None] = [report]
        while todo:
            part = todo.pop()
            if part is None or id(part) in seen:
                continue
            seen.add(id(part))
            self.clean(part)
            todo += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or [])]
        sys.stderr.write("".join(report.format()))

    def clean(self, part: traceback.TracebackException) -> None:
        """Drop our own frames and show files as the author knows them."""
        own = [frame for frame in part.stack if frame.filename != __file__]
        for frame in own:
            frame.filename = self.short(frame.filename)
        part.stack = traceback.StackSummary.from_list(own)
        name = getattr(part, "filename", None)
        if name:
            part.filename = self.short(name)

    def short(self, path: str) -> str:
        top = f"{self.folder}{os.sep}"
        return path[len(top) :] if path.startswith(top) else path


def look_for_main(source: bytes) -> tuple[bool, bool]:
    """Return whether source defines ``main`` to be called with inputs, and if it gives exit codes.

    A ``main`` of a command line library parses its own arguments, so such a file is run as it is.
    Where the file itself says ``sys.exit(main())``, a number returned is an exit code.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False, False  # Running the file shows the error as Python does.
    found = False
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == "main":
            found = not any(written(mark, source).partition("(")[0].endswith("command")
                            for mark in node.decorator_list)  # fmt: skip
        if isinstance(node, ast.ImportFrom):
            found |= any((alias.asname or alias.name) == "main" for alias in node.names)
    exits = any(
        isinstance(node, ast.Call)
        and written(node.func, source) in ("sys.exit", "exit", "SystemExit")
        and any(written(a, source).startswith(("main(", "asyncio.run(main(")) for a in node.args)
        for node in ast.walk(tree)
    )
    return found, exits


def written(node: ast.AST, source: bytes) -> str:
    if hasattr(ast, "unparse"):
        return ast.unparse(node)
    return ast.get_source_segment(source.decode("utf-8", "replace"), node) or ""


def typed_arguments(function: typing.Callable[..., Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs as the hints of function want them. Raises WrongInput."""
    parameters = inspect.signature(function).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for name in inputs:
            if name not in parameters:
                raise WrongInput(f"the function main() has no argument for the input {name!r}")
    for name, parameter in parameters.items():
        needed = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if needed and parameter.default is parameter.empty and name not in inputs:
            raise WrongInput(f"the function main() needs the input {name!r}, which was not given")
    try:
        hints = typing.get_type_hints(function)
    except Exception:
        hints = {}  # Names that exist only for type checkers; the values go in as they are.
    arguments = {}
    for name, value in inputs.items():
        try:
            arguments[name] = convert(value, hints.get(name, Any))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise WrongInput(f"the input {name!r} does not fit its type hint: {error}") from None
    return arguments


def convert(value: Any, hint: Any) -> Any:
    """Return a JSON value as the type hint wants it. Raises TypeError or ValueError."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is ANNOTATED:
        return convert(value, parts[0])
    if origin is not None and origin in UNIONS:
        return convert_union(value, parts)
    if value is None or hint is Any:
        return value
    if origin is typing.Literal:
        return next((part for part in parts if getattr(part, "value", part) == value), value)
    if isinstance(value, list) and (origin or hint) in SEQUENCES:
        items = [convert(item, parts[0]) for item in value] if parts else value
        return SEQUENCES[origin or hint](items)
    if isinstance(value, dict) and len(parts) == 2:
        return {convert(key, parts[0]): convert(item, parts[1]) for key, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return convert_enum(value, hint)
    converter = CONVERTERS.get(hint)
    return converter(value) if converter else value


def convert_union(value: Any, parts: tuple[Any, ...]) -> Any:
    if value is None and type(None) in parts:
        return None
    for part in parts:
        if type(value) is part:
            return value
    problem: Exception = ValueError("it fits none of the types")
    for part in parts:
        if part is not type(None):
            try:
                return convert(value, part)
            except (TypeError, ValueError, ArithmeticError) as error:
                problem = error
    raise problem


def convert_enum(value: Any, hint: type[enum.Enum]) -> enum.Enum:
    try:
        return hint(value)
    except ValueError:
        if isinstance(value, str) and value in hint.__members__:
            return hint[value]
        raise


def whole_number(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is not a whole number")
    return int(value)


def truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f"{value!r} is neither true nor false")


UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
ANNOTATED = getattr(typing, "Annotated", types.ModuleType)
"""As in Python 3.9; a type that is the origin of no hint stands in for it."""
SEQUENCES: dict[Any, typing.Callable[[Any], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
}
CONVERTERS: dict[Any, typing.Callable[[Any], Any]] = {
    int: whole_number,
    float: float,
    bool: truth,
    decimal.Decimal: lambda value: decimal.Decimal(str(value)),
    datetime.date: datetime.date.fromisoformat,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    uuid.UUID: uuid.UUID,
    pathlib.Path: pathlib.Path,
    pathlib.PurePath: pathlib.PurePath,
}


def write_result(result: Any) -> None:
    """Write what main returned; a value JSON cannot hold ends the run as failed."""
    target = pathlib.Path(os.environ["EXECFABRIC_RESULT"])
    try:
        text = json.dumps(result, default=plain, ensure_ascii=False, allow_nan=False)
        data = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        why = f"main() returned something that cannot be written as JSON: {error}"
        (target.parent / BAD_RESULT_NAME).write_text(why, encoding="utf-8")
        sys.stderr.write(why + "\n")
        sys.exit(1)
    target.write_bytes(data)


def plain(value: Any) -> Any:
    """Return value as something JSON has. Raises TypeError."""
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, pathlib.PurePath):
        return relative_to_output(value)
    if isinstance(value, (decimal.Decimal, uuid.UUID, datetime.timedelta)):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, collections.abc.Mapping):
        return dict(value)
    if callable(getattr(value, "tolist", None)):  # Numbers and arrays of numpy and its kin.
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def relative_to_output(path: pathlib.PurePath) -> str:
    """Name a result file as its artifact is named; outside the run its path means nothing."""
    try:
        return str(path.relative_to(os.environ["EXECFABRIC_OUTPUT_DIR"]))
    except ValueError:
        return str(path)


def main() -> None:
    folder, entry = sys.argv[1:3]
    sys.path.insert(0, folder)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    script = Script(folder, entry)
    try:
        script.run()
    except WrongInput as error:
        sys.stderr.write(f"{str(error)[0].upper()}{str(error)[1:]}.\n")
        sys.exit(1)
    except SystemExit:
        raise
    except BaseException as error:
        script.print_failure(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
