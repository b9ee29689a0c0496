"""What changed between two revisions: files, and the effective manifest."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from executors.script.bundle import Bundle, BundleFile

from ..checks.sources import text_of
from .manifests import Tables, manifest_of

MOST_LINES = 400
"""Of one file; what is longer is cut, and says so."""
TEXT_LINES = 20_000
"""A file with more is not compared line by line."""


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    what: str
    """"added", "removed" or "changed"."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """(sign, text): '+', '-', ' ' or '@'; none for what is no text."""
    is_cut: bool = False


def changed_files(old: Bundle, new: Bundle) -> list[FileChange]:
    """Return every file that is not the same in both, by path."""
    before = {file.path: file for file in old.files}
    after = {file.path: file for file in new.files}
    return [
        _change(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def changed_manifest(old: Tables, new: Tables) -> FileChange | None:
    before, after = _written(old), _written(new)
    if before == after:
        return None
    lines, is_cut = _compared(before, after)
    return FileChange("skill.toml", "changed", lines, is_cut)


def _change(path: str, old: BundleFile | None, new: BundleFile | None) -> FileChange:
    what = "added" if old is None else "removed" if new is None else "changed"
    before = text_of(old) if old else ""
    after = text_of(new) if new else ""
    if before is None or after is None:
        return FileChange(path, what)
    lines, is_cut = _compared(before, after)
    if old and new and old.executable != new.executable:
        lines.append(("@", "executable" if new.executable else "no longer executable"))
    return FileChange(path, what, lines, is_cut)


def _compared(before: str, after: str) -> tuple[list[tuple[str, str]], bool]:
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > TEXT_LINES:
        return [], True
    lines = [
        ("@", "") if line.startswith("@@") else (line[:1], line[1:])
        for line in list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    ]
    return lines[:MOST_LINES], len(lines) > MOST_LINES


def _written(tables: Tables) -> str:
    manifest = manifest_of(tables)
    return manifest.to_toml() if manifest else ""
