"""How rows and their inputs are shown on the page of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from skills.catalogue.models import SkillVersion
from skills.executions.inputs import file_ids
from skills.executions.models import StoredFile
from skills.executions.presentation import masked, plain, title_of
from skills.executions.states import Status

from .models import Batch, BatchRow
from .states import RowStatus

MOST_INPUTS = 4
LONGEST_INPUT = 80
LONGEST_OUTCOME = 160


@dataclass(frozen=True, slots=True)
class ShownRow:
    row: BatchRow
    inputs: list[tuple[str, str]]
    """Title and value, shortened."""
    errors: list[tuple[str, str]]
    """Title of the input, empty for the row as a whole, and what is wrong."""
    outcome: str
    state: Status | RowStatus
    """What the row is doing: while it is with the workers, what its execution is."""
    url: str
    """Of the page of its execution; empty before there is one."""


@dataclass(frozen=True, slots=True)
class BarPart:
    """A part of the progress bar, in thousandths."""

    kind: str
    start: int
    size: int


def shown_rows(batch: Batch, rows: Iterable[BatchRow]) -> list[ShownRow]:
    """Return rows as they are shown; asks once for the names of all their files.

    Of the inputs only those that differ from row to row are shown, secrets never.
    """
    version = batch.version
    own = set(batch.mapping) or version.file_inputs or set(version.input_fields)
    found = list(rows)
    names = file_names(version, found)
    titles = {name: title_of(name, field) for name, field in version.input_fields.items()}
    return [
        ShownRow(
            row,
            [
                (titles.get(name, name), _short(_named(value, names), LONGEST_INPUT))
                for name, value in masked(version, row.inputs).items()
                if name in own
            ][:MOST_INPUTS],
            [
                ("" if name == "row" and name not in titles else titles.get(name, name), why)
                for name, why in (row.errors or {}).items()
            ],
            _outcome(row),
            state_of(row),
            reverse("executions:execution-detail", args=[row.execution_id])
            if row.execution_id
            else "",
        )
        for row in found
    ]


def file_names(version: SkillVersion, rows: Iterable[BatchRow]) -> dict[str, str]:
    """Return the name of each input file of rows by its id."""
    wanted = {
        one
        for row in rows
        for name in version.file_inputs
        for one in file_ids(row.inputs.get(name)) or ()
    }
    if not wanted:
        return {}
    found = StoredFile.objects.filter(pk__in=wanted).values_list("pk", "name")
    return {str(pk): name for pk, name in found}


def state_of(row: BatchRow) -> Status | RowStatus:
    if row.status == RowStatus.SENT and row.execution is not None:
        return Status(row.execution.status)
    return RowStatus(row.status)


def bar_of(batch: Batch) -> list[BarPart]:
    """Return the parts of the progress bar, beginning with what is over."""
    whole = max(batch.valid_rows, 1)
    parts = [
        ("good", batch.succeeded_rows),
        ("bad", batch.failed_rows),
        ("gone", batch.cancelled_rows),
        ("sent", batch.sent_rows),
    ]
    bar, before = [], 0
    for kind, rows in parts:
        start, end = round(before * 1000 / whole), round((before + rows) * 1000 / whole)
        before += rows
        if end > start:
            bar.append(BarPart(kind, start, end - start))
    return bar


def _outcome(row: BatchRow) -> str:
    run = row.execution
    if run is None or not run.is_final:
        return ""
    return _short(run.summary or run.error or plain(run.output), LONGEST_OUTCOME)


def _named(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [names.get(one, one) if isinstance(one, str) else one for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def _short(value: Any, longest: int) -> str:
    text = " ".join(plain(value).split())
    return text if len(text) <= longest else f"{text[:longest]}…"
