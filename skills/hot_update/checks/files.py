from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from executors.contract import MEBIBYTE
from executors.script.bundle import Bundle

from .registry import Finding, Level, Subject, check, in_lines
from .sources import LONGEST_LINE, parsed, python_files, shell_files

LARGE_BYTES = 10 * MEBIBYTE
PROGRAMS = {
    b"\x7fELF": "a Linux program or library",
    b"MZ": "a Windows program",
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "Java or macOS code",
}
PROGRAM_ENDINGS = (".so", ".dll", ".exe", ".pyd", ".dylib", ".jar", ".class", ".wasm")
ARCHIVE_ENDINGS = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".whl", ".egg")
ABSOLUTE = re.compile(
    r"(?:/(?:home|Users|root|mnt|media|opt|srv|var|etc|usr/local)/\S"
    r"|[A-Za-z]:[\\/]\w|\\\\\w+\\\w)"
)
"""Beginnings of paths on somebody's machine. /tmp is one a run has, too."""


@check("files", title="Sizes and kinds of files")
def check_files(subject: Subject) -> Finding:
    """Links, devices, names that lead out and too many files never get this far."""
    bundle = subject.bundle
    found = [f"{path} is {what}; nobody can read what it does." for path, what in programs(bundle)]
    for file in bundle.files:
        if file.path.startswith("samples/"):
            continue
        if file.path.lower().endswith(ARCHIVE_ENDINGS):
            found.append(f"{file.path} is an archive; what is in it is not checked.")
        if len(file.content) > LARGE_BYTES:
            found.append(f"{file.path} has {len(file.content) / MEBIBYTE:.0f} MiB.")
    size = f"{len(bundle.files)} files, {bundle.size_bytes / 1024:.0f} KiB"
    if found:
        return Finding(Level.WARN, in_lines([f"{size}.", *found]))
    return Finding(Level.PASS, f"{size}; no links, programs or archives.")


IN_SHELL = re.compile(rf"(?<![\w./$}}]){ABSOLUTE.pattern}[^\s\"']*")


@check("paths", title="No paths of one machine")
def check_paths(subject: Subject) -> Finding:
    found = [*_in_python(subject.bundle), *_in_shell(subject.bundle)]
    if found:
        advice = "A run sees its own folders only. Take such files as inputs."
        return Finding(Level.WARN, in_lines([*found, advice]))
    return Finding(Level.PASS, "None found.")


def _in_python(bundle: Bundle) -> Iterator[str]:
    for file in python_files(bundle):
        try:
            tree = parsed(file)
        except ValueError:
            continue  # Said by others.
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or id(node) in documented:
                continue
            if isinstance(node.value, str) and ABSOLUTE.match(node.value):
                yield _sentence(file.path, node.lineno, node.value)


def _in_shell(bundle: Bundle) -> Iterator[str]:
    for file, text in shell_files(bundle):
        # One that cannot be read is said by others.
        for number, line in enumerate((text or "").splitlines(), start=1):
            line = line[:LONGEST_LINE]  # That it was cut is said by others.
            match = None if line.lstrip().startswith("#") else IN_SHELL.search(line)
            if match:
                yield _sentence(file.path, number, match[0])


def programs(bundle: Bundle) -> list[tuple[str, str]]:
    """Return path and kind of every file that is machine code."""
    found = []
    for file in bundle.files:
        starts = (what for start, what in PROGRAMS.items() if file.content.startswith(start))
        magic = next(starts, "")
        if magic or file.path.lower().endswith(PROGRAM_ENDINGS):
            found.append((file.path, magic or "compiled code"))
    return found


def _sentence(path: str, line: int, value: str) -> str:
    return f"{path}, line {line}: {value[:80]!r} lies on one machine."
