"""Bars made on the server, as SVG: they need no script, and a table says the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

SLOT = 10
"""Width of a day in the units of the drawing; the page stretches it."""
BAR = 8
HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Bar:
    """One piece of a day's column, in units of the drawing."""

    x: int
    y: float
    height: float
    width: int
    series: int
    """Number of its colour, from 0; the last of many is the rest."""
    title: str


@dataclass(frozen=True, slots=True)
class Series:
    label: str
    url: str
    number: int
    total: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template web-side needs: nothing is calculated there."""

    title: str
    description: str
    days: tuple[date, ...]
    series: tuple[Series, ...]
    bars: tuple[Bar, ...]
    highest: int
    """Most of a day; the drawing is as high."""

    @property
    def width(self) -> int:
        return SLOT * len(self.days)

    @property
    def rows(self) -> list[tuple[date, tuple[int, ...], int]]:
        """Return day, counts by series and their sum, the newest first, for the table."""
        return [
            (day, counts, sum(counts))
            for day, counts in reversed(
                [
                    (day, tuple(one.counts[place] for one in self.series))
                    for place, day in enumerate(self.days)
                ]
            )
        ]


REST = 5
"""Number of the colour of what is not shown by itself."""


def stacked_bars(
    title: str, days: Sequence[date], lines: Sequence[tuple[str, str, Sequence[int]]]
) -> Chart:
    """Return columns day by day, a piece for each line: label, address and its counts.

    A line without an address after the first REST ones is the rest.
    """
    series = tuple(
        Series(label, url, min(number, REST), sum(counts), tuple(counts))
        for number, (label, url, counts) in enumerate(lines)
    )
    sums = [sum(one.counts[place] for one in series) for place in range(len(days))]
    highest = max([*sums, 1])
    bars = []
    for place, day in enumerate(days):
        top = float(HEIGHT)
        for one in series:
            count = one.counts[place]
            if not count:
                continue
            height = round(HEIGHT * count / highest, 2)
            top = round(top - height, 2)
            shown = f"{date_format(day, 'j M')}, {one.label}: {number_format(count)}"
            bars.append(Bar(place * SLOT + 1, top, height, BAR, one.number, shown))
    most = max(range(len(days)), key=lambda place: sums[place]) if days else 0
    description = _("%(sum)s in %(days)s days. Most on one day: %(most)s, on %(day)s.") % {
        "sum": number_format(sum(sums)),
        "days": len(days),
        "most": number_format(sums[most] if sums else 0),
        "day": date_format(days[most], "j F") if days else "–",
    }
    return Chart(title, description, tuple(days), series, tuple(bars), highest)
