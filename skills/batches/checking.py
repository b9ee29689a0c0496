"""Checks the rows of a batch before anything runs, a few hundred at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from execfabric.core.actor import Actor
from execfabric.core.audit import storable
from execfabric.core.errors import InvalidInput
from executors.inputs import InvalidInputs, check_inputs
from skills.catalogue.models import SkillVersion
from skills.executions.inputs import file_ids
from skills.executions.selectors import files_usable_by

MOST_ROWS = 50_000
ROWS_AT_ONCE = 500
INPUT_BYTES = 200 * 1024 * 1024
"""Of all rows together; a workbook can name one long text many times."""
CHECK_S = 120.0
LONGEST_SHOWN = 200
NOT_A_FILE = "is not the id of a file you uploaded. Send the file first (POST files)."


@dataclass(slots=True)
class CheckedRow:
    number: int
    inputs: dict[str, Any]
    errors: dict[str, str] = field(default_factory=dict)
    """What is wrong, by input; then inputs are what the row says, shortened."""


def check_rows(
    actor: Actor, version: SkillVersion, rows: Iterable[CheckedRow]
) -> Iterator[list[CheckedRow]]:
    """Return rows in lists of ROWS_AT_ONCE at most, with checked inputs, or with their errors.

    Raises InvalidInput when they are too many, too large or too slow to check together.
    """
    remaining = iter(rows)
    until = time.monotonic() + CHECK_S
    count = size = 0
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        count += len(chunk)
        if count > MOST_ROWS:
            raise _too_much(f"A batch may have {MOST_ROWS:,} rows at most. Split the file.")
        for row in chunk:
            size += _check(version, row)
        if size > INPUT_BYTES:
            raise _too_much("The rows are too large together. Split the file.")
        if time.monotonic() > until:
            raise _too_much("Checking the rows takes too long. Split the file.")
        _check_files(actor, version, chunk)
        for row in chunk:
            if row.errors:
                row.inputs = shortened(row.inputs)
        yield chunk


def _check(version: SkillVersion, row: CheckedRow) -> int:
    """Check the inputs of one row against the schema; return their size in bytes of JSON."""
    if row.errors:
        return 0
    try:
        row.inputs = check_inputs(version.input_schema, row.inputs)
    except InvalidInputs as error:
        row.errors = dict(error.fields)
        return 0
    return len(json.dumps(row.inputs))


def _check_files(actor: Actor, version: SkillVersion, chunk: Sequence[CheckedRow]) -> None:
    """Files must be actor's own; one question for the whole chunk."""
    names = version.file_inputs
    if not names:
        return
    wanted = {
        (index, name): file_ids(row.inputs[name])
        for index, row in enumerate(chunk)
        if not row.errors
        for name in names & row.inputs.keys()
    }
    asked = {one for ids in wanted.values() for one in ids or ()}
    usable = set(files_usable_by(actor).filter(pk__in=asked).values_list("pk", flat=True))
    for (index, name), ids in wanted.items():
        if ids is None or not usable.issuperset(ids):
            chunk[index].errors[name] = NOT_A_FILE


def shortened(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they are shown beside their errors; none of them will run."""
    return {storable(str(name))[:100]: _short(value) for name, value in list(inputs.items())[:200]}


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        text = repr(value) if not isinstance(value, int) or value.bit_length() < 1024 else "…"
        return text if len(text) > 25 or not _is_json(value) else value
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"({type(value).__name__})"
    text = storable(text)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _is_json(value: int | float) -> bool:
    return value == value and value not in (float("inf"), float("-inf"))


def _too_much(message: str) -> InvalidInput:
    return InvalidInput(message, fields={"file": message})
