"""What of a file is shown on the page: an image, the first rows, or the beginning of a text.

Inputs and artifacts alike. Whatever a user or a script wrote is data here: never markup, never
more than a bounded part of it. HTML and SVG are text.
"""

from __future__ import annotations

import csv
import json
import mimetypes
from dataclasses import dataclass, field
from typing import IO

import structlog
from django.utils.translation import gettext as _

from execfabric.core.errors import Gone, NotFound

from .contents import open_content
from .models import Artifact, StoredFile
from .workbooks import Bounds, Sheet, Unreadable, read_workbook

logger = structlog.get_logger(__name__)

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
TEXT_TYPES = frozenset({"application/x-ndjson", "application/yaml", "image/svg+xml"})
TABLE_ENDINGS = {".csv": ",", ".tsv": "\t"}
WORKBOOK_ENDINGS = (".xlsx", ".xlsm")
TEXT_ENDINGS = (".jsonl", ".log", ".md", ".svg", ".toml", ".txt", ".yaml", ".yml")
IMAGE_BYTES = 20 * 1024 * 1024
PDF_BYTES = 50 * 1024 * 1024
WORKBOOK_BYTES = 50 * 1024 * 1024
JSON_BYTES = 1024 * 1024
"""Of a document that is laid out; of a longer one the beginning is shown as it is."""
TEXT_BYTES = 64 * 1024
MOST_SHEETS = 5
MOST_ROWS = 50
MOST_COLUMNS = 30
LONGEST_CELL = 200
PDF_TYPE = "application/pdf"
PDF_MARK = b"%PDF-"
SHOWN_BY_BROWSER = frozenset({"image", "pdf"})
"""Kinds whose content itself goes to the browser, under the policy of untrusted files."""


@dataclass(frozen=True, slots=True)
class Preview:
    kind: str
    """image, pdf, text, table, failed or none."""
    text: str = ""
    sheets: list[Sheet] = field(default_factory=list)
    """Of a table; the first row of each is its heading."""
    more_sheets: int = 0
    is_cut: bool = False
    """There is more in the file."""
    why: str = ""
    """What is wrong with the file."""


def media_type_of(file: Artifact | StoredFile) -> str:
    """Return the media type; of an upload the one its name stands for, empty when unknown."""
    if isinstance(file, Artifact):
        return file.media_type
    return mimetypes.guess_type(file.name)[0] or ""


def kind_of(file: Artifact | StoredFile) -> str:
    """Return which preview a file has: image, pdf, table, workbook, json, text or none."""
    name = file.name.lower()
    media_type = media_type_of(file)
    if media_type in IMAGE_TYPES:
        return "image" if file.size_bytes <= IMAGE_BYTES else "none"
    if media_type == PDF_TYPE:
        return "pdf" if file.size_bytes <= PDF_BYTES else "none"
    if name.endswith(tuple(TABLE_ENDINGS)):
        return "table"
    if name.endswith(WORKBOOK_ENDINGS):
        return "workbook"
    if name.endswith(".json") or media_type == "application/json":
        return "json"
    is_text = media_type.startswith("text/") or media_type in TEXT_TYPES
    return "text" if is_text or name.endswith(TEXT_ENDINGS) else "none"


def preview_of(file: Artifact | StoredFile) -> Preview:
    """Return what is shown of a file. Whatever goes wrong is told, too: nothing is raised."""
    kind = kind_of(file)
    if kind in ("none", "image"):
        return Preview(kind)
    try:
        with open_content(file) as stored:
            return _read(file, kind, stored)
    except (NotFound, Gone) as error:
        return Preview("failed", why=error.message)
    except Unreadable as error:
        return Preview("failed", why=str(error))
    except Exception:  # The storage is away, or a parser broke: the page is more than this file.
        logger.exception("preview.failed", file=str(file.pk))
        return Preview("failed", why=_("It could not be read."))


def shows_itself(file: Artifact | StoredFile, content: IO[bytes]) -> str:
    """Return the media type to send an image or PDF with; empty when it is neither."""
    kind = kind_of(file)
    if kind == "pdf":
        begins = content.read(len(PDF_MARK)) == PDF_MARK
        content.seek(0)
        return PDF_TYPE if begins else ""
    return media_type_of(file) if kind == "image" else ""


def _read(file: Artifact | StoredFile, kind: str, stored: IO[bytes]) -> Preview:
    match kind:
        case "pdf":
            if stored.read(len(PDF_MARK)) != PDF_MARK:
                return Preview("failed", why=_("It is called a PDF but is none."))
            return Preview("pdf")
        case "workbook":
            return _workbook(file, stored)
        case "json" if file.size_bytes <= JSON_BYTES:
            return _json(stored.read(JSON_BYTES))
    beginning = stored.read(TEXT_BYTES)
    is_cut = file.size_bytes > len(beginning)
    text = _decoded(beginning)
    if kind == "table":
        table = _table(text, TABLE_ENDINGS[file.name.lower()[-4:]], is_cut)
        if table is not None:
            return table
    return Preview("text", text=text, is_cut=is_cut)


def _workbook(file: Artifact | StoredFile, stored: IO[bytes]) -> Preview:
    if file.size_bytes > WORKBOOK_BYTES:
        raise Unreadable(_("The workbook is too large for a preview."))
    # One row more than is shown: it is the heading.
    bounds = Bounds(MOST_SHEETS, MOST_ROWS + 1, MOST_COLUMNS, LONGEST_CELL)
    sheets, there = read_workbook(stored, bounds)
    is_cut = any(sheet.is_cut for sheet in sheets)
    return Preview("table", sheets=sheets, more_sheets=there - len(sheets), is_cut=is_cut)


def _json(data: bytes) -> Preview:
    try:
        laid_out = json.dumps(json.loads(data), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        why = _("It is not valid JSON and is shown as it is.")
        return Preview("text", _decoded(data[:TEXT_BYTES]), is_cut=len(data) > TEXT_BYTES, why=why)
    shown = _decoded(laid_out.encode("utf-8", "replace")[:TEXT_BYTES])
    return Preview("text", shown, is_cut=len(shown) < len(laid_out))


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
                is_cut = is_cut or len(row) > MOST_COLUMNS
                rows.append([_cell(cell) for cell in row[:MOST_COLUMNS]])
    except csv.Error:
        return None
    if not rows:
        return None
    width = max(len(row) for row in rows)
    filled = [row + [""] * (width - len(row)) for row in rows]
    return Preview("table", sheets=[Sheet("", filled)], is_cut=is_cut)


def _decoded(data: bytes) -> str:
    """Return data as text; UTF-16 is told by its first two bytes, anything else is UTF-8."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, "replace").replace("\x00", "\ufffd")


def _cell(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"
