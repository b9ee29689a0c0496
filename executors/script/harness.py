"""Runs a Python script inside its run: calls ``main`` with typed inputs and writes its result.

The worker hands the text of this file and of ``harness_entry.py``, which is run first in the same
module, to the run, since the run's user may not be able to read the platform's code. So they import
the standard library only, and since a script may choose its Python, they keep to what 3.8 has.
Usage: harness.py SCRIPT_FOLDER ENTRY.
"""

# Running a script means taking whatever it raises. What only few scripts need is imported when they
# do, since each cold start would pay for it:
# ruff: noqa: BLE001, S102, PTH120, PTH123
# ruff: noqa: FURB188 - in words of Python 3.8.

from __future__ import annotations

import builtins
import collections.abc
import enum
import json
import os
import sys
import types

TYPE_CHECKING = False  # As in typing, whose import would cost every cold start.
if TYPE_CHECKING:
    import traceback
    from collections.abc import Callable
    from typing import Any

    from executors.script.harness_entry import look_for_main

KEYWORD_ARGUMENTS = 0x08
"""``inspect.CO_VARKEYWORDS``."""
BAD_RESULT_NAME = "bad-result"
"""Beside the result file; its text says why the result of ``main`` is not one."""
compiled: dict[str, tuple[bool, bool, types.CodeType]] = {}
"""What ``Script.compile`` gave before the run, by path."""


class WrongInput(Exception):
    """An input does not fit the hint of its argument."""


class Script:
    """The script's folder and entry file."""

    def __init__(self, folder: str, entry: str) -> None:
        self.folder = folder
        self.entry = entry
        self.path = f"{folder}{os.sep}{entry}"

    def run(self) -> None:
        """Call ``main`` if the entry defines one at its top level, else run the file."""
        has_main, returns_exit_code, code = compiled.get(self.path) or self.compile()
        name = self.entry[:-3] if self.entry.endswith(".py") else self.entry
        module = types.ModuleType(name if has_main else "__main__")
        module.__file__ = self.path
        sys.modules[module.__name__] = module
        sys.argv = [self.path]
        exec(code, module.__dict__)
        function = module.__dict__.get("main")
        if has_main and callable(function):
            self.call(function, returns_exit_code)

    def compile(self) -> tuple[bool, bool, types.CodeType]:
        """Return what ``look_for_main`` finds in the entry, and its code."""
        with open(self.path, "rb") as stream:
            source = stream.read()
        return (*look_for_main(source), compile(source, self.path, "exec", dont_inherit=True))

    def call(self, function: Callable[..., Any], returns_exit_code: bool) -> None:
        with open(os.environ["EXECFABRIC_INPUT"], "rb") as stream:
            inputs = json.loads(stream.read())
        result = function(**typed_arguments(function, inputs))
        if isinstance(result, types.CoroutineType):
            import asyncio  # Slow to import, and few scripts need it

            result = asyncio.run(result)
        if returns_exit_code and isinstance(result, int):
            sys.exit(int(result))
        if result is not None:
            write_result(result)

    def print_failure(self, error: BaseException) -> None:
        """Print the traceback as if the script had been started by itself."""
        import traceback

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
        ours = (__file__, main.__code__.co_filename)
        own = [frame for frame in part.stack if frame.filename not in ours]
        for frame in own:
            frame.filename = self.short(frame.filename)
        part.stack = type(part.stack).from_list(own)
        name = getattr(part, "filename", None)
        if name:
            part.filename = self.short(name)

    def short(self, path: str) -> str:
        top = f"{self.folder}{os.sep}"
        return path[len(top) :] if path.startswith(top) else path


def typed_arguments(function: Callable[..., Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs as the hints of function want them. Raises WrongInput."""
    known, needed = arguments_of(function)
    for name in inputs:
        if known is not None and name not in known:
            raise WrongInput(f"the function main() has no argument for the input {name!r}")
    for name in needed:
        if name not in inputs:
            raise WrongInput(f"the function main() needs the input {name!r}, which was not given")
    hints = hints_of(function)
    arguments = {}
    for name, value in inputs.items():
        try:
            arguments[name] = convert(value, hints[name]) if name in hints else value
        except (TypeError, ValueError, ArithmeticError) as error:
            raise WrongInput(f"the input {name!r} does not fit its type hint: {error}") from None
    return arguments


def arguments_of(function: Any) -> tuple[tuple[str, ...] | None, list[str]]:
    """Return the names a function can be called with, None for any, and those it needs."""
    if not is_plain(function):
        return arguments_by_signature(function)
    code = function.__code__
    plain_count = code.co_argcount
    known = code.co_varnames[: plain_count + code.co_kwonlyargcount]
    first_default = plain_count - len(function.__defaults__ or ())
    defaults = function.__kwdefaults__ or {}
    needed = [*known[code.co_posonlyargcount : first_default],
              *(name for name in known[plain_count:] if name not in defaults)]  # fmt: skip
    return None if code.co_flags & KEYWORD_ARGUMENTS else known, needed


def is_plain(function: Any) -> bool:
    is_wrapped = hasattr(function, "__wrapped__") or hasattr(function, "__signature__")
    return type(function) is types.FunctionType and not is_wrapped


def arguments_by_signature(function: Any) -> tuple[tuple[str, ...] | None, list[str]]:
    """The same for what is called like a function, but is not a plain one."""
    import inspect

    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    needed = [
        name
        for name, p in parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.default is p.empty
    ]
    return None if takes_any else tuple(parameters), needed


def hints_of(function: Any) -> dict[str, Any]:
    """Return the type hints of the arguments, those that are texts as what they stand for."""
    if is_plain(function):
        hints = {}
        for name, written in function.__annotations__.items():
            if name == "return":
                continue
            hint = class_named(written, function) if isinstance(written, str) else written
            if not is_class(hint):
                break
            hints[name] = hint
        else:
            return hints
    import typing

    try:
        return typing.get_type_hints(function)
    except Exception:
        return {}  # Names that exist only for type checkers; the values go in as they are.


def class_named(name: str, function: Any) -> Any:
    """Return what name stands for in function, None when that is more than a name."""
    found = function.__globals__.get(name)
    return getattr(builtins, name, None) if found is None else found


def is_class(hint: Any) -> bool:
    return isinstance(hint, type) and not isinstance(hint, GENERIC_ALIAS)


def convert(value: Any, hint: Any) -> Any:
    """Return a JSON value as the type hint wants it. Raises TypeError or ValueError."""
    origin: Any = None
    parts: tuple[Any, ...] = ()
    if not is_class(hint):
        import typing

        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        if origin is not None and origin is getattr(typing, "Annotated", None):
            return convert(value, parts[0])
        if origin is not None and origin in (typing.Union, getattr(types, "UnionType", None)):
            return convert_union(value, parts)
        if origin is typing.Literal:
            if value is None:
                return value
            return next((part for part in parts if getattr(part, "value", part) == value), value)
    if value is None:
        return value
    if isinstance(value, list) and (origin or hint) in SEQUENCES:
        items = [convert(item, parts[0]) for item in value] if parts else value
        return SEQUENCES[origin or hint](items)
    if isinstance(value, dict) and len(parts) == 2:
        return {convert(key, parts[0]): convert(item, parts[1]) for key, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return convert_enum(value, hint)
    if is_class_of(hint, "decimal", "Decimal"):
        return hint(str(value))
    converter = converter_of(hint)
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


def converter_of(hint: Any) -> Callable[[Any], Any] | None:
    if hint in CONVERTERS:
        simple: Callable[[Any], Any] | None = CONVERTERS[hint]
        return simple
    for module, name, method in CONVERTERS_OF_MODULES:
        if is_class_of(hint, module, name):
            converter: Callable[[Any], Any] = getattr(hint, method) if method else hint
            return converter
    return None


SEQUENCES: dict[Any, Callable[[Any], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
}
GENERIC_ALIAS: Any = getattr(types, "GenericAlias", ())
CONVERTERS: dict[Any, Any] = {str: None, int: whole_number, float: float, bool: truth}
CONVERTERS_OF_MODULES = (
    # A hint can be one of them only when the script has imported the module.
    *(("datetime", name, "fromisoformat") for name in ("date", "datetime", "time")),
    *(("pathlib", name, "") for name in ("Path", "PurePath")),
    ("uuid", "UUID", ""),
)
WRITTEN_AS_TEXT = (("decimal", "Decimal"), ("uuid", "UUID"), ("datetime", "timedelta"))


def is_class_of(hint: Any, module: str, name: str) -> bool:
    """Return whether hint is a class of a module, which need not be loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and hint is getattr(loaded, name)


def is_one_of(value: Any, module: str, *names: str) -> bool:
    """Return whether value is an instance of a class of a module, which need not be loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, tuple(getattr(loaded, n) for n in names))


def write_result(result: Any) -> None:
    """Write what main returned; a value JSON cannot hold ends the run as failed."""
    target = os.environ["EXECFABRIC_RESULT"]
    try:
        text = json.dumps(result, default=plain, ensure_ascii=False, allow_nan=False)
        data = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        why = f"main() returned something that cannot be written as JSON: {error}"
        with open(f"{os.path.dirname(target)}/{BAD_RESULT_NAME}", "w", encoding="utf-8") as stream:
            stream.write(why)
        sys.stderr.write(why + "\n")
        sys.exit(1)
    with open(target, "wb") as stream:
        stream.write(data)


def plain(value: Any) -> Any:
    """Return value as something JSON has. Raises TypeError."""
    if is_one_of(value, "datetime", "date", "time"):
        return value.isoformat()
    if is_one_of(value, "pathlib", "PurePath"):
        return relative_to_output(value)
    if any(is_one_of(value, *known) for known in WRITTEN_AS_TEXT):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        import dataclasses

        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, collections.abc.Mapping):
        return dict(value)
    if callable(getattr(value, "tolist", None)):  # Numbers and arrays of numpy and its kin.
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def relative_to_output(path: Any) -> str:
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
