"""Joins two or three spreadsheets on a shared column into one workbook."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Literal

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from tabular import Row, Table, as_text, read_table

How = Literal["left", "inner", "outer"]
MAX_MERGED_ROWS = 200_000
MAX_CELL_TEXT = 32_767
ORDER = ("first", "second", "third")


@dataclass
class Source:
    """One input file, its rows by key."""

    table: Table
    key: str
    """The name of the key column in this file."""
    columns: list[str]
    """The other columns."""
    by_key: dict[str, list[Row]] = field(default_factory=dict)
    without_key: list[Row] = field(default_factory=list)


def main(
    first: Path, second: Path, key: str, how: How = "left", third: Path | None = None
) -> dict[str, Any]:
    """Write merged.xlsx and return what matched."""
    tell_progress(0.05, "Reading the files")
    paths = [path for path in (first, second, third) if path is not None]
    sources = [read_source(path, key) for path in paths]
    tell_progress(0.5, "Matching the rows")
    merged = merge(sources, how)
    columns = [sources[0].key, *merged_columns(sources)]
    tell_progress(0.7, "Writing the workbook")
    write_workbook(Path(os.environ["EXECFABRIC_OUTPUT_DIR"]) / "merged.xlsx", columns, merged)
    tell_progress(1, "Done")
    summary = f"Merged {len(sources)} files into {len(merged)} rows."
    print(summary)
    keys_of = [set(source.by_key) for source in sources]
    return {
        "summary": summary,
        "rows": len(merged),
        "columns": columns,
        "files": [
            {
                "file": source.table.name,
                "rows": len(source.table.rows),
                "keys": len(own),
                "keys_in_all_files": len(set.intersection(*keys_of)),
                "keys_only_here": len(own.difference(*keys_of[:place], *keys_of[place + 1 :])),
                "repeated_keys": sum(len(rows) > 1 for rows in source.by_key.values()),
                "rows_without_key": len(source.without_key),
            }
            for place, (source, own) in enumerate(zip(sources, keys_of, strict=True))
        ],
    }


def read_source(path: Path, key: str) -> Source:
    """Return the file's rows by key. Ends the script when the key column is not there."""
    table = read_table(path)
    name = table.need(key)
    source = Source(table, name, [column for column in table.columns if column != name])
    for row in table.rows:
        if row.surplus:
            raise SystemExit(
                f"{table.name}: line {row.line} has more cells than there are headings."
            )
        value = comparable(row.cells[name])
        if value:
            source.by_key.setdefault(value, []).append(row)
        else:
            source.without_key.append(row)
    return source


def comparable(value: object) -> str:
    """Return the key as it is compared: 12, 12.0 and " 12 " are one, and so are A1 and a1."""
    text = " ".join(as_text(value).split()).casefold()
    return text[:-2] if re.fullmatch(r"[1-9]\d*\.0", text) else text


def merge(sources: list[Source], how: How) -> list[list[object]]:
    """Return the merged rows: the key, then every file's other columns in the order of files.

    A key that repeats gives one row per combination. Rows without a key match nothing; left keeps
    those of the first file, outer all.
    """
    wanted: dict[str, None] = dict.fromkeys(sources[0].by_key)
    for source in sources[1:]:
        if how == "outer":
            wanted.update(dict.fromkeys(source.by_key))
        elif how == "inner":
            wanted = {key: None for key in wanted if key in source.by_key}
    merged: list[list[object]] = []
    for key in wanted:
        rows: list[list[object]] = [[]]
        shown: object = None
        for source in sources:
            found: list[Row | None] = [*source.by_key.get(key, [None])]
            if len(merged) + len(rows) * len(found) > MAX_MERGED_ROWS:
                raise SystemExit(
                    f"The result would have more than {MAX_MERGED_ROWS:,} rows; "
                    f"the key '{sources[0].key}' repeats too often."
                )
            shown = next((row.cells[source.key] for row in found if row and shown is None), shown)
            rows = [left + cells_of(source, row) for left in rows for row in found]
        merged += [[shown, *row] for row in rows]
    for place, source in enumerate(sources):
        if how == "outer" or (how == "left" and place == 0):
            merged += [keyless(sources, place, row) for row in source.without_key]
    return merged


def keyless(sources: list[Source], place: int, row: Row) -> list[object]:
    """Return the merged row of a row without key: empty but for its own file's columns."""
    cells: list[object] = [None]
    for other, source in enumerate(sources):
        cells += cells_of(source, row if other == place else None)
    return cells


def cells_of(source: Source, row: Row | None) -> list[object]:
    return [row.cells[column] if row else None for column in source.columns]


def merged_columns(sources: list[Source]) -> list[str]:
    """Return the columns beside the key; a name taken before gets the file's place behind it."""
    taken = {sources[0].key.casefold()}
    names: list[str] = []
    for place, source in zip(ORDER, sources, strict=False):
        for column in source.columns:
            name, repeat = column, 1
            while name.casefold() in taken:
                name = f"{column} ({place})" if repeat == 1 else f"{column} ({place} {repeat})"
                repeat += 1
            taken.add(name.casefold())
            names.append(name)
    return names


def write_workbook(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    """Write one sheet with a fixed heading row, filters and fitting column widths."""
    # Write-only mode streams the rows, so that large files fit into the run's memory.
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Merged")
    sample: list[Sequence[object]] = [columns, *rows[:200]]
    for place in range(len(columns)):
        width = max(len(as_text(row[place])) for row in sample) + 3
        sheet.column_dimensions[get_column_letter(place + 1)].width = min(width, 50)
    sheet.freeze_panes = "B2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{len(rows) + 1}"
    heading = [make_cell(sheet, column) for column in columns]
    for cell in heading:
        cell.font = Font(bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor="1F4E79")
    sheet.append(heading)
    for row in rows:
        sheet.append([make_cell(sheet, value) for value in row])
    book.save(path)


def make_cell(sheet: Any, value: object) -> Any:
    """Return what a sheet can hold: numbers, dates and text without control characters."""
    if value is None or value == "":
        return None
    if isinstance(value, (bool, int, float, date, datetime, time)):
        if isinstance(value, datetime) and value.time() == time.min:
            # A day without a time; as a datetime it would be shown with 0:00:00.
            value = value.date()
        return WriteOnlyCell(sheet, value)
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", str(value)).strip()[:MAX_CELL_TEXT])
    # Otherwise a text that begins with "=" would become a formula.
    cell.data_type = "s"
    return cell


def tell_progress(fraction: float, message: str) -> None:
    """Show the line as the run's progress; fraction is in 0..1."""
    if path := os.environ.get("EXECFABRIC_PROGRESS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{fraction:.2f} {message}\n")
