"""The text of files in a bundle, and the Python code among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from executors.script.bundle import Bundle, BundleFile

TEXT_BYTES = 1024 * 1024
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
        if file.path.endswith((".py", ".pyw")) or file.content[:64].startswith(
            (b"#!/usr/bin/env python", b"#!/usr/bin/python")
        ):
            yield file


def shell_files(bundle: Bundle) -> Iterator[tuple[BundleFile, str]]:
    for file in bundle.files:
        is_shell = file.path.endswith(SHELL_ENDINGS) or file.content[:2] == b"#!"
        if is_shell and (text := text_of(file)) is not None and "python" not in text[:64]:
            yield file, text


def parsed(file: BundleFile) -> ast.Module:
    """Return the syntax tree. Raises ValueError with line and reason when there is none."""
    try:
        # Bytes: a coding line, which Python itself obeys, counts here too.
        return ast.parse(file.content)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"{file.path}{where}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{file.path}: {error}") from None
