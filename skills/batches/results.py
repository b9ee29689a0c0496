"""The table of what came of a batch, read and written a few hundred rows at a time.

Its cells are what users and scripts wrote, but for secrets. A program for tables would take a text
that begins like a formula for one, so such texts are written as text that cannot run.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from django.db.models import F, Func, TextField
from django_tenants.utils import schema_context
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.writer.excel import save_workbook

from execfabric.core.actor import current_schema
from skills.executions.models import Execution
from skills.executions.presentation import masked

from .models import Batch, BatchRow
from .presentation import file_names, state_of

ROWS_AT_ONCE = 500
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
PLAIN_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*%?")
MOST_OTHERS = 200
"""Outputs the skill does not declare that get a column; a script makes up what it likes."""
XLSX_CELL = 32_767
"""Characters that fit into a cell."""
FIXED_BEFORE = ("row", "status")
FIXED_AFTER = ("error", "seconds", "execution")


class ResultTable:
    """The rows of one batch as lists of cells, the header first.

    May be read when the request is over: it goes to its schema for each look at the database.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._schema = current_schema()
        self.inputs = list(batch.version.input_fields)
        self.outputs, self.has_rest = self._output_columns()
        self._known = frozenset(self.outputs)

    def header(self) -> list[str]:
        taken = {*FIXED_BEFORE, *FIXED_AFTER, *self.inputs}
        outputs = [f"output {name}" if name in taken else name for name in self.outputs]
        inputs = [f"input {name}" if name in _FIXED else name for name in self.inputs]
        columns = [*FIXED_BEFORE, *inputs, *outputs, *FIXED_AFTER]
        if self.has_rest:
            rest = "output"
            while rest in columns:
                rest = f"other {rest}"
            columns.insert(-len(FIXED_AFTER), rest)
        return columns

    def rows(self) -> Iterator[list[Any]]:
        after = 0
        while True:
            with schema_context(self._schema):
                found = list(
                    self.batch.rows.filter(number__gt=after)
                    .select_related("execution")
                    .only(*_NEEDED)
                    .order_by("number")[:ROWS_AT_ONCE]
                )
                names = file_names(self.batch.version, found)
            for row in found:
                yield self._cells(row, names)
            if len(found) < ROWS_AT_ONCE:
                return
            after = found[-1].number

    def _output_columns(self) -> tuple[list[str], bool]:
        """Return the names of the outputs, and whether more came than get a column.

        First come those the skill declares, then those that came.
        """
        declared = list(self.batch.version.output_schema.get("properties", {}))
        finished = Execution.objects.filter(batch_row__batch=self.batch, output__isnull=False)
        names = finished.annotate(name=_OUTPUT_NAMES).values_list("name", flat=True).distinct()
        came = names.order_by("name")[: len(declared) + MOST_OTHERS + 2]  # One may be NULL.
        others = sorted({name for name in came if name is not None} - set(declared))
        plain = finished.annotate(kind=_OUTPUT_KIND).exclude(kind="object").exists()
        shown = [*declared, *others[:MOST_OTHERS]]
        if plain and "result" not in shown:
            shown.append("result")
        return shown, len(others) > MOST_OTHERS

    def _cells(self, row: BatchRow, names: dict[str, str]) -> list[Any]:
        run = row.execution
        output = run.output if run and run.output is not None else {}
        if not isinstance(output, dict):
            output = {"result": output}
        errors = row.errors or {}
        said = "; ".join(f"{name} {why}" for name, why in errors.items())
        shown = masked(self.batch.version, row.inputs)
        inputs = [_file_cell(shown.get(name), names) for name in self.inputs]
        rest = {name: value for name, value in output.items() if name not in self._known}
        return [
            row.number,
            state_of(row).value,
            *inputs,
            *(output.get(name) for name in self.outputs),
            *([rest or None] if self.has_rest else []),
            said or _error_of(run),
            run.wall_s if run else None,
            str(run.pk) if run else "",
        ]


_FIXED = frozenset({*FIXED_BEFORE, *FIXED_AFTER})
_NEEDED = (
    *("number", "status", "inputs", "errors", "batch_id", "execution_id"),
    *("execution__status", "execution__output", "execution__error", "execution__summary"),
    *("execution__wall_s",),
)
_OUTPUT_KIND = Func(F("output"), function="json_typeof", output_field=TextField())
_OUTPUT_NAMES = Func(
    F("output"),
    function="json_object_keys",
    # An output that is no object has no names.
    template="%(function)s(CASE WHEN json_typeof(%(expressions)s) = 'object'"
    " THEN %(expressions)s END)",
    output_field=TextField(),
)


def as_csv(table: ResultTable) -> Iterator[bytes]:
    """Return the table as CSV in UTF-8 with a mark, as programs for tables want it, in pieces."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow([safe_text(name) for name in table.header()])
    for number, row in enumerate(table.rows(), start=1):
        writer.writerow([_csv_cell(cell) for cell in row])
        if number % ROWS_AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def as_xlsx(table: ResultTable) -> IO[bytes]:
    """Return the table as a workbook, in a temporary file that is gone once it is closed."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Results")
    sheet.append([_xlsx_cell(sheet, name) for name in table.header()])
    for row in table.rows():
        sheet.append([_xlsx_cell(sheet, cell) for cell in row])
    file = tempfile.TemporaryFile()  # noqa: SIM115  # whoever sends it closes it
    save_workbook(book, file)
    file.seek(0)
    return file


def safe_text(text: str) -> str:
    """Return text as no program for tables takes for a formula; a plain number stays one."""
    if text.startswith(FORMULA_STARTS) and not PLAIN_NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _csv_cell(value: Any) -> Any:
    plain = _plain(value)
    return safe_text(plain) if isinstance(plain, str) else plain


def _xlsx_cell(sheet: Any, value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, int) and abs(plain) >= 10**15:
        plain = str(plain)  # A cell would round it.
    if not isinstance(plain, str):
        return plain
    text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", plain)
    if len(text) > XLSX_CELL:
        text = f"{text[: XLSX_CELL - 1]}…"
    cell = WriteOnlyCell(sheet, value=safe_text(text))
    cell.data_type = "s"  # Text, whatever it begins with.
    return cell


def _plain(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


def _file_cell(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list) and names:
        return [names.get(one, one) if isinstance(one, str) else one for one in value]
    return value


def _error_of(run: Execution | None) -> str:
    return (run.error or run.summary) if run and run.status not in ("succeeded", "queued") else ""


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8", "replace")
