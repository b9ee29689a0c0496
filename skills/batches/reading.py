"""Reads the rows of a CSV, XLSX or JSONL file one after the other, whatever the file claims.

A file is foreign data: its size, its lines, its columns and what a workbook unpacks to are bounded,
and nothing of it is held in memory but the row at hand and, of a workbook, its texts.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any

from defusedxml.ElementTree import fromstring
from openpyxl import load_workbook

from execfabric.core.audit import storable
from execfabric.core.errors import InvalidInput
from executors.inputs import INPUT_BYTES
from executors.zips import has_small_directory

FILE_BYTES = 50 * 1024 * 1024
LINE_CHARACTERS = 2 * INPUT_BYTES
MOST_COLUMNS = 200
LONGEST_COLUMN = 200
XLSX_PARTS = 2000
XLSX_BYTES = 300 * 1024 * 1024
"""What all parts of a workbook may unpack to together. It is read as a stream."""
XLSX_TEXT_BYTES = 32 * 1024 * 1024
"""What all parts but the sheets may unpack to, shared texts above all; those are held in memory."""
XLSX_CONTENTS_BYTES = 1024 * 1024
XLSX_ROWS = 1_048_576
"""What a sheet may have in the programs that write them."""
XLSX_GAP = 10_000
"""Empty rows one after the other. A made-up row number stands for as many as it likes."""
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
SEPARATORS = ",;\t|"
BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

csv.field_size_limit(INPUT_BYTES)


class UnreadableTable(InvalidInput):
    """The file as a whole cannot be read as rows; the message says why and what helps."""

    def __init__(self, message: str) -> None:
        super().__init__(message, fields={"file": message})


@dataclass(frozen=True, slots=True)
class SourceRow:
    number: int
    """The line in the file, or in the sheet; the header is 1."""
    values: dict[str, Any]
    problem: str = ""
    """Why the row as a whole is of no use; then it has no values."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: list[str]
    rows: Iterator[SourceRow]
    is_typed: bool
    """Whether values are JSON values as they are; else they are texts or cells to be converted."""


@contextmanager
def open_table(file: IO[bytes], *, name: str, size_bytes: int) -> Iterator[Table]:
    """Open a file of rows by the ending of its name. Raises UnreadableTable, while reading too."""
    if size_bytes > FILE_BYTES:
        raise UnreadableTable(
            f"A file of rows may have {FILE_BYTES // 1024**2} MiB at most. Split it."
        )
    ending = name.lower().rpartition(".")[2]
    readers = {
        **dict.fromkeys(("csv", "tsv", "txt"), _csv_table),
        **dict.fromkeys(("jsonl", "ndjson"), _jsonl_table),
        **dict.fromkeys(("xlsx", "xlsm"), _xlsx_table),
    }
    if ending not in readers:
        raise UnreadableTable("Rows are read from .csv, .tsv, .xlsx and .jsonl files.")
    try:
        with readers[ending](file) as table:
            yield table
    except UnicodeDecodeError as error:
        raise UnreadableTable(
            f"The file is not UTF-8 (at byte {error.start}). Save it as CSV UTF-8."
        ) from None


# --- CSV ------------------------------------------------------------------------------------------


@contextmanager
def _csv_table(file: IO[bytes]) -> Iterator[Table]:
    with _lines_of(file) as lines:
        first = next(lines, "")
        separator = max(SEPARATORS, key=first.count)
        reader = csv.reader(chain([first], lines), delimiter=separator)
        columns = _columns(_csv_next(reader) or [])
        yield Table([name for name in columns if name], _csv_rows(reader, columns), is_typed=False)


def _csv_rows(reader: Any, columns: list[str]) -> Iterator[SourceRow]:
    # A quoted cell may span lines; the row is called by its first one.
    line = reader.line_num + 1
    while (cells := _csv_next(reader)) is not None:
        if any(cell.strip() for cell in cells):
            yield _table_row(line, columns, cells)
        line = reader.line_num + 1


def _csv_next(reader: Any) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        why = "a cell is too long; is a quotation mark not closed?"
        said = why if "field larger" in str(error) else str(error)
        raise UnreadableTable(f"Line {reader.line_num} cannot be read: {said}.") from None


# --- JSONL ----------------------------------------------------------------------------------------


@contextmanager
def _jsonl_table(file: IO[bytes]) -> Iterator[Table]:
    columns: dict[str, None] = {}
    with _lines_of(file) as lines:
        for row in _jsonl_rows(lines):
            columns.update(dict.fromkeys(row.values))
            if len(columns) > MOST_COLUMNS:
                raise UnreadableTable(f"All rows together may have {MOST_COLUMNS} names at most.")
    with _lines_of(file) as lines:
        yield Table(list(columns), _jsonl_rows(lines), is_typed=True)


def _jsonl_rows(lines: Iterator[str]) -> Iterator[SourceRow]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            yield SourceRow(number, {}, problem="is not JSON")
            continue
        if isinstance(value, dict):
            yield SourceRow(number, {storable(k)[:LONGEST_COLUMN]: v for k, v in value.items()})
        else:
            yield SourceRow(number, {}, problem='must be an object such as {"name": "value"}')


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


# --- XLSX -----------------------------------------------------------------------------------------


@contextmanager
def _xlsx_table(file: IO[bytes]) -> Iterator[Table]:
    _check_parts(file)
    file.seek(0)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except Exception as error:  # Whatever a made-up workbook breaks in the library.
        raise _no_workbook() from error
    try:
        sheets = book.worksheets
        if not sheets:
            raise UnreadableTable("The workbook has no sheet with rows.")
        sheet: Any = sheets[0]
        sheet.reset_dimensions()  # What the file says of them may be wrong.
        cells = _xlsx_cells(sheet.iter_rows(max_col=MOST_COLUMNS + 1, values_only=True))
        header = next(cells, None)
        if header is None:
            raise UnreadableTable("The first sheet is empty. Its first row must name the columns.")
        columns = _columns(["" if cell is None else str(cell) for cell in header[1]])
        rows = (
            _table_row(number, columns, row)
            for number, row in cells
            if any(cell not in (None, "") for cell in row)
        )
        yield Table([name for name in columns if name], rows, is_typed=False)
    finally:
        book.close()


def _xlsx_cells(rows: Iterator[Any]) -> Iterator[tuple[int, list[Any]]]:
    number = empty = 0
    while True:
        try:
            row = next(rows, None)
        except Exception as error:  # Whatever a made-up sheet breaks in the library.
            raise UnreadableTable(f"The sheet is damaged after row {number}.") from error
        if row is None:
            return
        number += 1
        if number > XLSX_ROWS:
            raise UnreadableTable(f"The sheet has more than {XLSX_ROWS} rows. Split it.")
        empty = 0 if any(cell not in (None, "") for cell in row) else empty + 1
        if empty > XLSX_GAP:
            raise UnreadableTable(
                f"After row {number - empty} come more than {XLSX_GAP} empty rows. Delete them."
            )
        yield number, list(row)


def _check_parts(file: IO[bytes]) -> None:
    """Refuse a workbook by its table of contents, before anything of it is unpacked."""
    too_large = "The workbook is too large. Save its first sheet as CSV."
    if not has_small_directory(file, most_entries=XLSX_PARTS):
        raise UnreadableTable(too_large)
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            sheets = _sheets(archive)
    except UnreadableTable:
        raise
    except Exception as error:  # Whatever a made-up archive breaks in the library.
        raise _no_workbook() from error
    if len(parts) > XLSX_PARTS or sum(part.file_size for part in parts) > XLSX_BYTES:
        raise UnreadableTable(too_large)
    if sum(part.file_size for part in parts if part.filename not in sheets) > XLSX_TEXT_BYTES:
        raise UnreadableTable("The workbook has too much text. Save its first sheet as CSV.")


def _sheets(archive: zipfile.ZipFile) -> set[str]:
    """Return the parts that are sheets and nothing else; all others are held in memory when read.

    What a part is stands in the list of contents. Its name says nothing.
    """
    contents = archive.getinfo("[Content_Types].xml")
    if contents.file_size > XLSX_CONTENTS_BYTES:
        raise _no_workbook()
    kinds: dict[str, set[str]] = {}
    for entry in fromstring(archive.read(contents)):
        name = str(entry.get("PartName", "")).lstrip("/")
        kinds.setdefault(name, set()).add(str(entry.get("ContentType")))
    return {name for name, those in kinds.items() if those == {SHEET}}


def _no_workbook() -> UnreadableTable:
    return UnreadableTable(
        "This is no XLSX workbook that can be read; one with a password cannot. Save it as CSV."
    )


# --- common to tables -----------------------------------------------------------------------------


def _columns(header: list[str]) -> list[str]:
    """Return the names of the columns; empty for a column without one, which is not read."""
    while header and not header[-1].strip():
        header = header[:-1]
    if not header:
        raise UnreadableTable("The first line must name the columns.")
    if len(header) > MOST_COLUMNS:
        raise UnreadableTable(f"A file may have {MOST_COLUMNS} columns at most.")
    names = [storable(name).strip()[:LONGEST_COLUMN] for name in header]
    seen: set[str] = set()
    for name in filter(None, names):
        if name in seen:
            raise UnreadableTable(f"Two columns are called {name[:60]!r}. Rename one.")
        seen.add(name)
    return names


def _table_row(number: int, columns: list[str], cells: list[Any]) -> SourceRow:
    if any(cell not in (None, "") for cell in cells[len(columns) :]):
        problem = f"has {len(cells)} cells, but the header names {len(columns)} columns"
        return SourceRow(number, {}, problem=problem)
    values = dict(zip(columns, cells, strict=False))
    values.pop("", None)
    return SourceRow(number, values)


@contextmanager
def _lines_of(file: IO[bytes]) -> Iterator[Iterator[str]]:
    """Open file from its start as lines of text, their ends as they are; file stays open."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    encoding = next((name for bom, name in BOMS.items() if start.startswith(bom)), "utf-8-sig")
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield _lines(text)
    finally:
        text.detach()


def _lines(text: io.TextIOWrapper[Any]) -> Iterator[str]:
    """Return the lines; one that is too long ends the reading."""
    number = 0
    while line := text.readline(LINE_CHARACTERS):
        number += 1
        if len(line) == LINE_CHARACTERS and not line.endswith("\n"):
            raise UnreadableTable(f"Line {number} is too long.")
        yield line
