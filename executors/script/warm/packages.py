"""Packages imported once for all rows of a sandbox, by the process that serves them.

A row is forked from that process, so what is imported in it need not be imported by each row. That
is done with packages of which is known that it makes no difference: as they are imported they start
nothing, keep nothing open, draw no random numbers and do not look at the run they are in. What of
this can be seen is looked at, too.
"""

# Paths are of the run, and pathlib would cost each row its pages:
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder

from executors.script.warm.rows import free_files

KNOWN = frozenset(
    (
        # HTTP: httpx, requests and what they stand on.
        *("httpx", "httpcore", "h11", "h2", "hpack", "hyperframe", "anyio", "sniffio", "socksio"),
        *("requests", "urllib3", "charset_normalizer", "chardet", "idna", "certifi"),
        *("brotli", "_brotli", "brotlicffi", "zstandard", "exceptiongroup", "typing_extensions"),
        # The command that httpx has with its extra "cli".
        *("click", "rich", "pygments", "markdown_it", "mdurl"),
        # Formats, templates, dates and checks.
        *("yaml", "_yaml", "jinja2", "markupsafe", "bs4", "soupsieve", "lxml", "tabulate"),
        *("dateutil", "six", "pytz", "tzdata", "openpyxl", "et_xmlfile", "attr", "attrs"),
        *("pydantic", "pydantic_core", "annotated_types", "typing_inspection"),
    )
)
"""By the names they are imported by. Not among them is what has a state of its own for random
numbers (numpy, faker), starts threads (numpy with OpenBLAS) or opens connections."""
USUAL = KNOWN | getattr(sys, "stdlib_module_names", frozenset())
OF_COMPILERS = re.compile(r"[0-9a-f]+__mypyc|_cython_[0-9_a-f]+|cython_runtime")
"""What compiled packages share: charset_normalizer and chardet that of mypyc, yaml and lxml that of
Cython."""


class NotTheSame(Exception):
    """It might make a difference that something was done once for all rows."""


@contextmanager
def done_once(flush: Callable[[], object]) -> Iterator[None]:
    """Do something for all rows, in the process that serves them. Raises NotTheSame where it has
    printed, opened, written or started anything.

    flush: of the standard streams. The caller's standard output and error lead nowhere.
    """
    before = _outside()
    nowhere, (reader, writer) = os.dup(1), os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for number in (1, 2):
            os.dup2(writer, number)
        yield
        flush()
        with suppress(BlockingIOError):
            os.read(reader, 1)
            raise NotTheSame("it printed something")
    finally:
        for number in (1, 2):
            os.dup2(nowhere, number)
        for descriptor in (nowhere, reader, writer):
            os.close(descriptor)
    if _outside() != before:
        raise NotTheSame("it opened, wrote or started something")


def look_for_code(folders: Iterable[str]) -> None:
    """Raise NotTheSame where entering an environment ran code of it: that of a ``.pth`` file or of
    a module such as ``sitecustomize``."""
    for name in ("sitecustomize", "usercustomize"):
        if name in sys.modules:
            raise NotTheSame(f"it has a module {name}")
    for folder in folders:
        for name in os.listdir(folder) if folder.endswith("-packages") else ():
            if name.endswith(".pth"):
                with open(f"{folder}/{name}", "rb") as stream:
                    if any(line.startswith((b"import ", b"import\t")) for line in stream):
                        raise NotTheSame(f"{name} has code")


def imported_first(source: bytes) -> Iterator[str]:
    """Yield what an entry imports before anything else is done in it, up to what is not known: that
    may say where later imports come from, or what they find. source: of an entry that compiles."""
    for statement in ast.parse(source).body:
        names = []
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names = [statement.module]
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            return
        for name in names:
            if name.partition(".")[0] not in USUAL:
                return
            yield name


def import_known(names: Iterable[str], folder: str) -> None:
    """Import what of names is known and installed, as the script of folder would. Raises NotTheSame
    where that needs others, and whatever an import raises."""
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        for name in names:
            top = name.partition(".")[0]
            found = PathFinder.find_spec(top) if top in KNOWN else None
            if found is None:
                continue
            if (found.origin or "").startswith(f"{folder}/"):
                raise NotTheSame(f"{top} is the script's own")
            importlib.import_module(name)
    finally:
        sys.path.remove(folder)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        is_usual = name.partition(".")[0] in USUAL or OF_COMPILERS.fullmatch(name)
        if not is_usual or file.startswith(f"{folder}/"):
            raise NotTheSame(f"it imported {name}")


def _outside() -> list[object]:
    """Return what of this process is not memory: threads, files, names in the room, processes."""
    try:
        os.kill(-1, 0)
        is_alone = False
    except ProcessLookupError:
        is_alone = True
    return [
        len(os.listdir("/proc/self/task")),
        sorted(os.listdir("/proc/self/fd")),
        free_files(),
        is_alone,
    ]
