"""The first rows of an XLSX workbook, in bounded memory and time whatever the file holds.

A workbook is a ZIP of XML files that a stranger made: a few kilobytes can unpack to gigabytes, and
one row or one shared text can be as long as all of it. Libraries build trees and tables of what
they read. Here the parts are parsed piece by piece, nothing is kept but what is shown, and reading
ends after a number of unpacked bytes.
"""

from __future__ import annotations

import posixpath
import re
import struct
import time
import zipfile
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Any
from xml.parsers import expat

SMALL_PART_BYTES = 4 * 1024 * 1024
"""Unpacked, of each of the parts that say what sheets and styles there are."""
SHEET_BYTES = 16 * 1024 * 1024
TEXTS_BYTES = 64 * 1024 * 1024
"""Unpacked, of the shared texts, which lie in the order of their first use."""
LONGEST_S = 3.0
PIECE_BYTES = 64 * 1024
TAG_BYTES = 512 * 1024
"""A tag that is longer is not read to its end: all its attributes would be kept at once."""
DEEPEST = 64
DIRECTORY_BYTES = 512 * 1024
"""Of the list of parts, which is read as a whole."""
MOST_PARTS = 2000
MOST_FORMATS = 10_000
LONGEST_REFERENCE = 10
PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
END_RECORD = struct.Struct("<4s4H2LH")
LONGEST_END = END_RECORD.size + 65_535
"""The end of a ZIP file: a record, and a comment."""
BROKEN = "It is not a workbook that can be read."
DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""Number formats with a fixed meaning that show a date or time (ECMA-376, 18.8.30)."""
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')
_DIGITS = re.compile(r"[0-9]+")


class Unreadable(Exception):
    """This workbook cannot be shown; the message says why, to the user."""


class _Enough(Exception):
    """All that is shown has been read."""


@dataclass(frozen=True, slots=True)
class Bounds:
    sheets: int
    rows: int
    columns: int
    cell: int
    """Characters of one cell; what follows is cut."""


@dataclass(slots=True)
class Sheet:
    name: str
    rows: list[list[str]] = field(default_factory=list)
    is_cut: bool = False
    """There are more rows or columns."""


def read_workbook(file: IO[bytes], bounds: Bounds) -> tuple[list[Sheet], int]:
    """Return the first sheets with their first rows, and how many sheets there are.

    Formulas show the value they had when the workbook was saved. Raises Unreadable.
    """
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            return _Reader(archive, bounds).read()
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError) as error:
        raise Unreadable(BROKEN) from error
    except (NotImplementedError, RuntimeError, ValueError, KeyError, OverflowError) as error:
        # An odd way of packing, a password, numbers where none fit.
        raise Unreadable(BROKEN) from error


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, bounds: Bounds) -> None:
        self._archive = archive
        self._bounds = bounds
        self._names = set(archive.namelist())
        self._until = time.monotonic() + LONGEST_S

    def read(self) -> tuple[list[Sheet], int]:
        workbook = _Workbook()
        self._parse("xl/workbook.xml", workbook, SMALL_PART_BYTES)
        relations = _Relations()
        self._parse("xl/_rels/workbook.xml.rels", relations, SMALL_PART_BYTES)
        styles = _Styles()
        if (part := relations.of_type("styles")) in self._names:
            self._parse(part, styles, SMALL_PART_BYTES)
        known = [
            (name, relations.targets[reference])
            for name, reference in workbook.sheets
            if relations.targets.get(reference) in self._names
        ]
        if not known:
            raise Unreadable(BROKEN)
        shown = []
        for name, part in known[: self._bounds.sheets]:
            cells = _Cells(self._bounds, styles.date_styles, is_1904=workbook.is_1904)
            was_cut = self._parse(part, cells, SHEET_BYTES)
            shown.append((name, cells, cells.is_cut or was_cut))
        texts = _Texts({index for _, cells, _ in shown for index in cells.wanted}, self._bounds)
        if texts.wanted and (part := relations.of_type("sharedStrings")) in self._names:
            self._parse(part, texts, TEXTS_BYTES)
        sheets = [
            Sheet(name, cells.filled(texts.found), is_cut=is_cut) for name, cells, is_cut in shown
        ]
        return sheets, len(known)

    def _parse(self, part: str, handler: _Handler, most_bytes: int) -> bool:
        """Parse a part until handler has enough; return whether it is longer than is read."""
        if self._archive.getinfo(part).compress_type not in PACKINGS:
            raise Unreadable(BROKEN)
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = handler.starts
        parser.EndElementHandler = handler.ends
        parser.CharacterDataHandler = handler.text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        left = most_bytes
        try:
            with self._archive.open(part) as stream:
                while piece := stream.read(min(PIECE_BYTES, left)):
                    parser.Parse(piece)
                    left -= len(piece)
                    if most_bytes - left - parser.CurrentByteIndex > TAG_BYTES:
                        raise Unreadable(BROKEN)
                    if time.monotonic() > self._until:
                        raise Unreadable("It takes too long to read.")
            if left > 0:
                parser.Parse(b"", True)
        except _Enough:
            return False
        return left <= 0


class _Handler:
    """Hears of the elements of one part, by their names without namespace."""

    depth = 0

    def starts(self, tag: str, attrs: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(BROKEN)
        self.start(_local(tag), attrs)

    def ends(self, tag: str) -> None:
        self.depth -= 1
        self.end(_local(tag))

    def start(self, tag: str, attrs: dict[str, str]) -> None: ...

    def end(self, tag: str) -> None: ...

    def text(self, text: str) -> None: ...


class _Workbook(_Handler):
    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        """Name and relation of each."""
        self.is_1904 = False

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        if tag == "sheet":
            reference = next((value for key, value in attrs.items() if _local(key) == "id"), "")
            self.sheets.append((attrs.get("name", "")[:100], reference))
        elif tag == "workbookPr":
            self.is_1904 = attrs.get("date1904") in {"1", "true"}


class _Relations(_Handler):
    def __init__(self) -> None:
        self.targets: dict[str, str] = {}
        self._types: dict[str, str] = {}

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        if tag == "Relationship" and len(self.targets) < MOST_PARTS:
            part = posixpath.normpath(posixpath.join("/xl", attrs.get("Target", ""))).lstrip("/")
            self.targets[attrs.get("Id", "")] = part
            self._types.setdefault(attrs.get("Type", "").rsplit("/", 1)[-1], part)

    def of_type(self, kind: str) -> str:
        return self._types.get(kind, "")


class _Styles(_Handler):
    def __init__(self) -> None:
        self.date_styles: set[int] = set()
        self._dates = set(DATE_FORMATS)
        self._in_cells = False
        self._number = 0

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        if tag == "numFmt" and len(self._dates) < MOST_FORMATS:
            code = _QUOTED.sub("", attrs.get("formatCode", "")[:1000]).lower()
            if re.search("[dmyhs]", code):
                self._dates.add(int(attrs["numFmtId"]))
            else:
                self._dates.discard(int(attrs["numFmtId"]))
        elif tag == "cellXfs":
            self._in_cells = True
        elif tag == "xf" and self._in_cells and self._number < MOST_FORMATS:
            if int(attrs.get("numFmtId", 0)) in self._dates:
                self.date_styles.add(self._number)
            self._number += 1

    def end(self, tag: str) -> None:
        if tag == "cellXfs":
            self._in_cells = False


class _Cells(_Handler):
    """The first rows of one sheet; shared texts are filled in afterwards."""

    def __init__(self, bounds: Bounds, date_styles: set[int], *, is_1904: bool) -> None:
        self.wanted: set[int] = set()
        self.is_cut = False
        self._bounds = bounds
        self._date_styles = date_styles
        self._since = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)
        self._rows: list[dict[int, str | int]] = []
        self._column = -1
        self._kind = self._style = ""
        self._value: list[str] = []
        self._length = 0
        self._reads = False

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        if tag == "row":
            if len(self._rows) >= self._bounds.rows:
                self.is_cut = True
                raise _Enough
            self._rows.append({})
            self._column = -1
        elif tag == "c" and self._rows:
            named = _column(attrs.get("r", ""))
            self._column = self._column + 1 if named is None else named
            self._kind, self._style = attrs.get("t", "n"), attrs.get("s", "0")
            self._value, self._length = [], 0
        elif tag in {"v", "t"}:
            self._reads = self._rows != [] and self._column < self._bounds.columns

    def text(self, text: str) -> None:
        if self._reads and self._length <= self._bounds.cell:
            self._value.append(text[: self._bounds.cell + 1])
            self._length += len(text)

    def end(self, tag: str) -> None:
        if tag in {"v", "t"}:
            self._reads = False
        elif tag == "c" and self._rows:
            if self._column >= self._bounds.columns:
                self.is_cut = True
            elif self._value:
                self._rows[-1][self._column] = self._cell("".join(self._value))
        elif tag == "sheetData":
            raise _Enough

    def _cell(self, value: str) -> str | int:
        if self._kind == "s":
            index = int(value)
            self.wanted.add(index)
            return index
        if self._kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if self._kind == "n":
            return _number(value, self._since if self._is_date() else None)
        return _short(value, self._bounds.cell)

    def _is_date(self) -> bool:
        return self._style.isdecimal() and int(self._style[:9]) in self._date_styles

    def filled(self, texts: dict[int, str]) -> list[list[str]]:
        """Return rows of equal length, without empty ones at the end."""
        rows = self._rows
        while rows and not rows[-1]:
            rows.pop()
        width = max((column + 1 for row in rows for column in row), default=0)
        return [
            [
                texts.get(cell, "") if isinstance(cell, int) else cell
                for cell in (row.get(column, "") for column in range(width))
            ]
            for row in rows
        ]


class _Texts(_Handler):
    """Of the shared texts those that are wanted."""

    def __init__(self, wanted: set[int], bounds: Bounds) -> None:
        self.wanted = wanted
        self.found: dict[int, str] = {}
        self._bounds = bounds
        self._last = max(wanted, default=-1)
        self._index = -1
        self._reads = False
        self._phonetic = False
        self._value: list[str] = []
        self._length = 0

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        if tag == "si":
            self._index += 1
            if self._index > self._last:
                raise _Enough
            self._value, self._length = [], 0
        elif tag == "rPh":
            self._phonetic = True
        elif tag == "t":
            self._reads = self._index in self.wanted and not self._phonetic

    def text(self, text: str) -> None:
        if self._reads and self._length <= self._bounds.cell:
            self._value.append(text[: self._bounds.cell + 1])
            self._length += len(text)

    def end(self, tag: str) -> None:
        if tag == "t":
            self._reads = False
        elif tag == "rPh":
            self._phonetic = False
        elif tag == "si" and self._index in self.wanted:
            self.found[self._index] = _short("".join(self._value), self._bounds.cell)


def _check_directory(file: IO[bytes]) -> None:
    """Raise Unreadable unless the archive's list of parts is of an ordinary length."""
    size = file.seek(0, 2)
    file.seek(max(0, size - LONGEST_END))
    end = file.read(LONGEST_END)
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) - at < END_RECORD.size or end[max(0, at - 20) :].startswith(b"PK\6\7"):
        raise Unreadable(BROKEN)
    parts, list_bytes = END_RECORD.unpack_from(end, at)[4:6]
    if parts > MOST_PARTS or list_bytes > DIRECTORY_BYTES:
        raise Unreadable("The workbook has too many parts.")


def _local(tag: str) -> str:
    return tag.rsplit(" ", 1)[-1]


def _refuse_doctype(*_declared: Any) -> None:
    raise Unreadable("The workbook declares entities, which no ordinary one does.")


def _column(reference: str) -> int | None:
    """Return the number of the column of a reference such as AB12, from 0; None without one."""
    number = 0
    for char in _DIGITS.sub("", reference[:LONGEST_REFERENCE]):
        if not "A" <= char <= "Z":
            return None
        number = number * 26 + ord(char) - ord("A") + 1
    return number - 1 if number else None


def _number(text: str, since: datetime | None) -> str:
    """Return a number as a spreadsheet shows it; since: the day 0 where it stands for a date."""
    value = float(text[:40])
    if since is not None and 0 <= value < 2_958_466:  # The last day of 9999.
        moment = since + timedelta(seconds=round(value * 86_400))
        if value < 1:
            return f"{moment:%H:%M:%S}"
        return f"{moment:%Y-%m-%d}" if value.is_integer() else f"{moment:%Y-%m-%d %H:%M:%S}"
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.15g}"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
