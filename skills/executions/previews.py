"""What of a file is shown on the page: an image, the first rows, or the beginning of a text.

Inputs and artifacts alike. Whatever a user or a script wrote is data here: never markup, never
more than a bounded part of it.
"""

from __future__ import annotations

import csv
import mimetypes
from dataclasses import dataclass, field

from execfabric.core.storage import open_file

from .models import Artifact, StoredFile

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
TEXT_TYPES = frozenset({"application/json", "application/x-ndjson", "application/yaml"})
TABLE_ENDINGS = {".csv": ",", ".tsv": "\t"}
TEXT_ENDINGS = (".json", ".jsonl", ".log", ".md", ".toml", ".txt", ".yaml", ".yml")
IMAGE_BYTES = 20 * 1024 * 1024
TEXT_BYTES = 64 * 1024
MOST_ROWS = 50
MOST_COLUMNS = 30
LONGEST_CELL = 200


@dataclass(frozen=True, slots=True)
class Preview:
    kind: str
    """"image", "text", "table" or "none"."""
    text: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    is_cut: bool = False
    """There is more in the file."""


def media_type_of(file: Artifact | StoredFile) -> str:
    """Return the media type; of an upload the one its name stands for, empty when unknown."""
    if isinstance(file, Artifact):
        return file.media_type
    return mimetypes.guess_type(file.name)[0] or ""


def kind_of(file: Artifact | StoredFile) -> str:
    """Return which preview a file has: "image", "table", "text" or "none"."""
    name = file.name.lower()
    media_type = media_type_of(file)
    if media_type in IMAGE_TYPES:
        return "image" if file.size_bytes <= IMAGE_BYTES else "none"
    if name.endswith(tuple(TABLE_ENDINGS)):
        return "table"
    is_text = media_type.startswith("text/") or media_type in TEXT_TYPES
    return "text" if is_text or name.endswith(TEXT_ENDINGS) else "none"


def preview_of(file: Artifact | StoredFile) -> Preview:
    """Read at most the first TEXT_BYTES and return what is shown. Raises NotFound."""
    kind = kind_of(file)
    if kind not in ("text", "table"):
        return Preview(kind)
    with open_file(file.stored_as) as stored:
        beginning = stored.read(TEXT_BYTES)
    is_cut = file.size_bytes > len(beginning)
    text = beginning.decode("utf-8-sig", "replace").replace("\x00", "�")
    if kind == "table":
        table = _table(text, TABLE_ENDINGS[file.name.lower()[-4:]], is_cut)
        if table is not None:
            return table
    return Preview("text", text=text, is_cut=is_cut)


def _table(text: str, separator: str, is_cut: bool) -> Preview | None:
    """Return the first rows of CSV text; None when it is not CSV after all."""
    lines = text.splitlines(keepends=True)
    if is_cut and len(lines) > 1:
        lines.pop()  # The last line may have been cut in the middle.
    first = lines[0] if lines else ""
    if first.count(";") > first.count(separator):
        separator = ";"
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=separator):
            if len(rows) > MOST_ROWS:
                is_cut = True
                break
            if row:
                rows.append([_cell(cell) for cell in row[:MOST_COLUMNS]])
    except csv.Error:
        return None
    if not rows:
        return None
    width = max(len(row) for row in rows)
    filled = [row + [""] * (width - len(row)) for row in rows]
    return Preview("table", header=filled[0], rows=filled[1 : MOST_ROWS + 1], is_cut=is_cut)


def _cell(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"
