"""How an execution's inputs, result and facts are laid out on its page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from skills.catalogue.models import SkillVersion

from .inputs import file_ids
from .models import Execution, LogChunk, StoredFile
from .previews import kind_of

MOST_ROWS = 200
MOST_COLUMNS = 30
MOST_ITEMS = 100
MOST_PIECES = 2_000
"""Of a log, on the page: a piece is what one of the two streams said at a time."""
LONG_TEXT = 160
"""A text longer than this, or of several lines, gets a block of its own."""
LONGEST_CELL = 200
MOST_DECIMALS = 4
"""Shown in a column; the JSON holds all of them."""
FROM_SEPARATED = 10_000
NAMING_WORDS = frozenset({"code", "id", "no", "nr", "number", "phone", "year", "zip"})
HIDDEN = "••••"
"""Stands for the value of a secret input, whoever looks."""
LONGEST_RAW = 200_000
"""Characters of JSON shown on the page; a longer result is for download."""


@dataclass(frozen=True, slots=True)
class Pairs:
    items: list[tuple[str, Any]]
    title: str = ""
    kind: str = "pairs"


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of equal shape. total counts all rows, of which ``rows`` may be the first only."""

    title: str
    columns: list[tuple[str, bool]]
    """Heading, and whether it holds numbers."""
    rows: list[list[str]]
    total: int
    kind: str = "grid"

    @property
    def lines(self) -> list[list[tuple[str, bool]]]:
        """Return text and is a number of each cell, row by row."""
        numeric = [is_number for _heading, is_number in self.columns]
        return [list(zip(row, numeric, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    title: str = ""
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Structure:
    """Something nested, shown as JSON."""

    value: Any
    title: str = ""
    kind: str = "structure"


Part = Pairs | Grid | Text | Structure


@dataclass(frozen=True, slots=True)
class ShownInput:
    title: str
    value: str = ""
    files: list[tuple[StoredFile, str]] = field(default_factory=list)
    """Each with the kind of preview it has (previews.kind_of)."""
    is_long: bool = False


def result_parts(output: Any, schema: Mapping[str, Any], summary: str) -> list[Part]:
    """Return how to show a result: a table, labels and values, text, or JSON for the rest.

    schema is the skill's output schema; its titles name the parts. A text that says the same as
    summary, which stands above them, is left out.
    """
    if output is None:
        return []
    if not isinstance(output, dict):
        return [_part("", output)]
    titles = schema.get("properties") or {}
    pairs: list[tuple[str, Any]] = []
    blocks: list[Part] = []
    for name, value in output.items():
        title = title_of(name, titles.get(name))
        if summary and value == summary:
            continue
        if _is_short(value):
            pairs.append((title, _pair_text(name, value)))
        else:
            blocks.append(_part(title, value))
    return [*([Pairs(pairs)] if pairs else []), *blocks]


def shown_inputs(version: SkillVersion, inputs: Mapping[str, Any]) -> list[ShownInput]:
    """Return the inputs in the order of the schema; a file input with its stored files."""
    names = [name for name in version.input_fields if name in inputs]
    names += [name for name in inputs if name not in version.input_fields]
    wanted = {name: file_ids(inputs[name]) or [] for name in version.file_inputs & inputs.keys()}
    found = StoredFile.objects.in_bulk([one for ids in wanted.values() for one in ids])
    shown = []
    for name in names:
        title = title_of(name, version.input_fields.get(name))
        if name in version.secret_inputs:
            shown.append(ShownInput(title, value=HIDDEN))
        elif name in wanted:
            files = [(found[one], kind_of(found[one])) for one in wanted[name] if one in found]
            shown.append(ShownInput(title, files=files))
        else:
            text = plain(inputs[name])
            shown.append(ShownInput(title, value=text, is_long=_is_long(text)))
    return shown


def masked(version: SkillVersion, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return inputs with every secret hidden."""
    secret = version.secret_inputs & inputs.keys()
    return {**inputs, **dict.fromkeys(secret, HIDDEN)} if secret else inputs


def without_secrets(version: SkillVersion, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name not in version.secret_inputs}


def log_lines(chunks: Sequence[LogChunk], left_out_chars: int) -> list[tuple[str, str]]:
    """Return stream and text of each piece of the end of a log; left_out_chars came before it."""
    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    for _stream, text in pieces[:-MOST_PIECES]:
        left_out_chars += len(text)
    shown = pieces[-MOST_PIECES:]
    if left_out_chars:
        size = f"{left_out_chars / 1024:,.0f}"
        said = _("%(size)s Ki characters are left out here. Download has them.") % {"size": size}
        shown.insert(0, (LogChunk.NOTICE, f"[{said}]\n"))
    return shown


def took_s(execution: Execution) -> float | None:
    """Return the seconds the run took, or takes so far; None when it has not started."""
    if execution.wall_s is not None:
        return execution.wall_s
    if execution.started_at is None:
        return None
    until = execution.finished_at or timezone.now()
    return max(0.0, (until - execution.started_at).total_seconds())


def title_of(name: str, spec: Any) -> str:
    given = spec.get("title") if isinstance(spec, Mapping) else None
    return str(given or name.replace("_", " ").replace("-", " ").capitalize())


def plain(value: Any) -> str:
    """Return a value as a person reads it."""
    match value:
        case None:
            return "–"
        case bool():
            return "Yes" if value else "No"
        case float() if value.is_integer() and abs(value) < 1e15:
            return f"{value:.0f}"
        case str():
            return value
        case list() if all(_is_scalar(item) for item in value):
            return ", ".join(plain(item) for item in value) or "–"
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def number_texts(name: str, values: Sequence[int | float | None]) -> list[str]:
    """Return the numbers of one column with as many decimals each, thousands set apart.

    Whole numbers below 10000 could be years and stay as they are, as does what name calls a
    number of something.
    """
    present = [value for value in values if value is not None]
    decimals = max(_decimals(value) for value in present)
    large = any(abs(value) >= FROM_SEPARATED for value in present)
    names_things = name.lower().replace("-", "_").rsplit("_", 1)[-1] in NAMING_WORDS
    separator = "," if (decimals or large) and not names_things else ""
    if any(_needs_own_form(value, decimals) for value in present):
        return [plain(value) for value in values]
    return [
        plain(value) if value is None else f"{value:{separator}.{decimals}f}" for value in values
    ]


def _pair_text(name: str, value: Any) -> str:
    return number_texts(name, [value])[0] if _is_number(value) else plain(value)


def _decimals(value: int | float) -> int:
    """Return how many decimals a number is shown with; a sum's 0.30000000000000004 gets few."""
    if isinstance(value, int) or value.is_integer() or not math.isfinite(value):
        return 0
    exact = -int(Decimal(repr(value)).as_tuple().exponent)
    return min(exact, MOST_DECIMALS)


def _needs_own_form(value: int | float, decimals: int) -> bool:
    """Return whether so many decimals would hide the number, or claim more than it holds."""
    return not abs(value) < 1e15 or 0 < abs(value) < 10**-decimals


def _part(title: str, value: Any) -> Part:
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return _grid(title, value)
    if isinstance(value, list) and value and all(_is_scalar(item) for item in value):
        shown = "\n".join(plain(item) for item in value[:MOST_ITEMS])
        return Text(f"{shown}\n…" if len(value) > MOST_ITEMS else shown, title)
    if isinstance(value, dict) and value and all(_is_short(item) for item in value.values()):
        pairs = [(title_of(key, None), _pair_text(key, item)) for key, item in value.items()]
        return Pairs(pairs, title)
    if _is_scalar(value):
        return Text(plain(value), title)
    return Structure(value, title)


def _grid(title: str, rows: list[dict[str, Any]]) -> Grid:
    shown = rows[:MOST_ROWS]
    names = list(dict.fromkeys(name for row in shown for name in row))[:MOST_COLUMNS]
    columns: list[tuple[str, bool]] = []
    cells: list[list[str]] = []
    for name in names:
        values = [row.get(name) for row in shown]
        is_number = _is_number_column(values)
        columns.append((title_of(name, None), is_number))
        cells.append(number_texts(name, values) if is_number else [_cell(one) for one in values])
    lines = [list(line) for line in zip(*cells, strict=True)]
    return Grid(title, columns, lines, total=len(rows))


def _cell(value: Any) -> str:
    text = plain(value)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _is_number_column(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(_is_number(value) for value in present)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _is_short(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_scalar(item) for item in value) and not _is_long(plain(value))
    return _is_scalar(value) and not (isinstance(value, str) and _is_long(value))


def _is_long(text: str) -> bool:
    return len(text) > LONG_TEXT or "\n" in text
