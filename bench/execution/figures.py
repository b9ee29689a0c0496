"""Order statistics, and a table as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """Return the median, or NaN of nothing."""
    return statistics.median(values) if values else math.nan


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile, always a value that was measured, or NaN of nothing."""
    if not values:
        return math.nan
    rank = -(-percent * len(values) // 100)
    return sorted(values)[max(rank, 1) - 1]


def paired_ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of mine / theirs, round by round: a slow minute meets both alike."""
    return median([one / other for one, other in zip(mine, theirs, strict=True)])


def number(value: float | None, digits: int = 1) -> str:
    """Return value with that many decimals; a dash for what was not measured."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{digits}f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
