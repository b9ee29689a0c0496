"""Reads a table out of a CSV or XLSX file, whoever exported it.

Bad files end the script with one sentence for the person who chose the file (SystemExit).
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

MAX_ROWS = 200_000
DELIMITERS = (",", ";", "\t", "|")
XLSX_START = b"PK\x03\x04"
OLD_XLS_START = b"\xd0\xcf\x11\xe0"


@dataclass
class Row:
    """One data row. line is its line or sheet row number in the file, counted from 1."""

    line: int
    cells: dict[str, object]
    """Column name -> value; text from CSV, whatever the cell holds from XLSX. Never missing."""
    surplus: int = 0
    """Filled cells beyond the last heading: usually a delimiter inside an unquoted value."""

    def text(self, column: str | None) -> str:
        """Return the cell as trimmed text; "" when column is None."""
        return "" if column is None else as_text(self.cells[column])


@dataclass
class Table:
    """A file's headings and data rows; name is the file's, for messages."""

    name: str
    columns: list[str]
    rows: list[Row] = field(default_factory=list)

    def find(self, *names: str) -> str | None:
        """Return the first column called one of names; case, spaces and signs do not count."""
        known: dict[str, str] = {}
        for column in self.columns:
            known.setdefault(plain_name(column), column)
        for name in names:
            if plain_name(name) in known:
                return known[plain_name(name)]
        return None

    def need(self, *names: str) -> str:
        """Return the column called one of names, or end the script and say what is there."""
        found = self.find(*names)
        if found is None:
            there = ", ".join(self.columns)
            raise SystemExit(f"{self.name}: the column '{names[0]}' is missing. It has: {there}.")
        return found


def read_table(path: Path) -> Table:
    """Return the table in path: a CSV (any usual delimiter and encoding) or an XLSX's first sheet.

    The first row that is not empty is the heading; empty rows are left out.
    """
    raw = path.read_bytes()
    if not raw.strip():
        raise SystemExit(f"{path.name}: the file is empty.")
    if raw.startswith(OLD_XLS_START):
        raise SystemExit(f"{path.name}: this is an old .xls file; save it as .xlsx or CSV first.")
    lines = xlsx_lines(path) if raw.startswith(XLSX_START) else csv_lines(path.name, raw)
    if not lines:
        raise SystemExit(f"{path.name}: the file is empty.")
    table = Table(path.name, unique_names(lines[0][1]))
    width = len(table.columns)
    for line, values in lines[1:]:
        padded = values + [""] * (width - len(values))
        surplus = sum(1 for value in values[width:] if as_text(value))
        table.rows.append(Row(line, dict(zip(table.columns, padded, strict=False)), surplus))
    if not table.rows:
        raise SystemExit(f"{path.name}: the file has headings but no rows.")
    return table


def csv_lines(name: str, raw: bytes) -> list[tuple[int, list[object]]]:
    """Return the filled lines of a CSV as (line number, values)."""
    text = decode(name, raw)
    start = 0
    first = text.split("\n", 1)[0].strip()
    if re.fullmatch(r"sep=.", first):
        # Excel writes this line to name the delimiter.
        delimiter, text, start = first[-1], text.split("\n", 1)[-1], 1
    else:
        delimiter = guess_delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[tuple[int, list[object]]] = []
    before = 0
    try:
        for values in reader:
            keep(name, lines, start + before + 1, list(values))
            before = reader.line_num
    except csv.Error as error:
        raise SystemExit(f"{name}: line {start + before + 1} can't be read ({error}).") from None
    return lines


def xlsx_lines(path: Path) -> list[tuple[int, list[object]]]:
    """Return the filled rows of the first sheet as (row number, values)."""
    try:
        import openpyxl
    except ImportError:
        raise SystemExit(f"{path.name}: this skill reads CSV; save the sheet as CSV.") from None
    lines: list[tuple[int, list[object]]] = []
    with path.open("rb") as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            for line, values in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
                keep(path.name, lines, line, list(values))
        except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways in zip and XML
            raise SystemExit(f"{path.name}: not a readable XLSX file ({error}).") from None
    return lines


def keep(name: str, lines: list[tuple[int, list[object]]], line: int, values: list[object]) -> None:
    """Append the row to lines unless it is empty."""
    if not any(as_text(value) for value in values):
        return
    if len(lines) > MAX_ROWS:
        raise SystemExit(f"{name}: more than {MAX_ROWS:,} rows; split the file first.")
    lines.append((line, values))


def decode(name: str, raw: bytes) -> str:
    """Return the text of raw: UTF-8 or UTF-16 with their marks, else Windows Western European."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw:
        raise SystemExit(f"{name}: this is not a CSV or XLSX file.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def guess_delimiter(text: str) -> str:
    """Return the delimiter that stands most often in the first filled line, outside quotes."""
    heading = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", heading)
    return max(DELIMITERS, key=bare.count)


def unique_names(values: list[object]) -> list[str]:
    """Return one name per column: blanks become "column 3", repeats "name (2)"."""
    headings = [as_text(value) for value in values]
    while headings and not headings[-1]:
        headings.pop()
    names: list[str] = []
    for number, heading in enumerate(headings, 1):
        base = " ".join(heading.split()) or f"column {number}"
        name, repeat = base, 2
        while name in names:
            name, repeat = f"{base} ({repeat})", repeat + 1
        names.append(name)
    return names


def as_text(value: object) -> str:
    """Return a cell as trimmed text: dates in ISO form, whole numbers without a point."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return (value.date() if value.time() == datetime.min.time() else value).isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def plain_name(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()
