"""The text of files in a bundle, and the Python code among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from executors.script.bundle import Bundle, BundleFile

TEXT_BYTES = 1024 * 1024
LONGEST_LINE = 2_000
"""Characters of a line that patterns meet; whoever cuts a line says that it was."""
SHELL_ENDINGS = (".sh", ".bash")


def text_of(file: BundleFile) -> str | None:
    """Return the text of a file; None when it is long or not UTF-8."""
    if len(file.content) > TEXT_BYTES or b"\0" in file.content:
        return None
    try:
        return file.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def python_files(bundle: Bundle) -> Iterator[BundleFile]:
    for file in bundle.files:
        if file.path.endswith((".py", ".pyw")) or b"python" in _first_line(file):
            yield file


def shell_files(bundle: Bundle) -> Iterator[tuple[BundleFile, str | None]]:
    """Yield the shell scripts and their texts; None for one whose text cannot be read."""
    for file in bundle.files:
        line = _first_line(file)
        # By its ending it is one whatever it begins with: a shell that is given a file runs it.
        if file.path.endswith(SHELL_ENDINGS) or (line and b"python" not in line):
            yield file, text_of(file)


def _first_line(file: BundleFile) -> bytes:
    """Return the line that names the interpreter; empty when there is none."""
    return file.content[:256].partition(b"\n")[0] if file.content.startswith(b"#!") else b""


def parsed(file: BundleFile) -> ast.Module:
    """Return the syntax tree. Raises ValueError with line and reason when there is none."""
    if len(file.content) > TEXT_BYTES:
        # A tree takes a hundred times the room of its source.
        raise ValueError(f"{file.path}: it is larger than {TEXT_BYTES // 1024} KiB")
    try:
        # Bytes: a coding line, which Python itself obeys, counts here too.
        return ast.parse(file.content)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"{file.path}{where}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{file.path}: {error}") from None
