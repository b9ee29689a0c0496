"""The files of a revision as a reviewer reads them: a tree, and source in colour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from executors.script.bundle import Bundle, BundleFile
from executors.script.differences import text_of, with_hidden_shown

MOST_LINES = 5_000
MOST_BYTES = 512 * 1024
"""A larger file is cut; the whole of it is in the archive that can be downloaded."""
_FORMATTER = HtmlFormatter(nowrap=True, classprefix="hl-")


@dataclass(frozen=True, slots=True)
class Source:
    path: str
    size_bytes: int
    lines: list[SafeString]
    """HTML, a line each; empty for what is no text."""
    is_text: bool
    is_cut: bool
    hidden: int
    """Characters that do not show or turn the direction of reading; each is made visible."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    path: str
    name: str
    depth: int
    size_bytes: int | None
    """None for a folder."""
    executable: bool = False


def tree_of(bundle: Bundle) -> list[TreeEntry]:
    """Return folders and files in the order of a tree."""
    entries: list[TreeEntry] = []
    known: set[str] = set()
    for file in bundle.files:
        parts = file.path.split("/")
        for depth in range(len(parts) - 1):
            folder = "/".join(parts[: depth + 1])
            if folder not in known:
                known.add(folder)
                entries.append(TreeEntry(folder, parts[depth], depth, None))
        entries.append(
            TreeEntry(file.path, parts[-1], len(parts) - 1, len(file.content), file.executable)
        )
    return entries


def source_of(file: BundleFile) -> Source:
    text = text_of(file.content)
    if text is None:
        return Source(file.path, len(file.content), [], False, False, 0)
    shown, hidden = with_hidden_shown(text[:MOST_BYTES])
    lines = _highlighted(file.path, shown)
    is_cut = len(text) > MOST_BYTES or len(lines) > MOST_LINES
    return Source(file.path, len(file.content), list(lines[:MOST_LINES]), True, is_cut, hidden)


@lru_cache(maxsize=64)
def _highlighted(path: str, text: str) -> tuple[SafeString, ...]:
    try:
        lexer = get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False, ensurenl=False)
    try:
        html = highlight(text, lexer, _FORMATTER)
    except Exception:  # noqa: BLE001 - what breaks the highlighter must be read all the same
        html = str(escape(text))
    # Pygments closes its spans at the end of each line, and escapes what it does not know.
    return tuple(mark_safe(line) for line in html.split("\n"))  # noqa: S308
