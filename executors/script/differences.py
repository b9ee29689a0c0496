"""What differs between two script folders, or two texts, within a budget of size and time.

Whoever submits a script chooses what is compared here. So no line and no list is longer than a
page can bear, and what takes too long to be compared cleverly is shown removed and added as a
whole. Nothing is left out in silence: a change that is cut says so.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from enum import StrEnum
from typing import Any

from .bundle import Bundle, BundleFile

MOST_BYTES = 512 * 1024
"""Of a file that is compared at all; a larger one is only named."""
MOST_FILE_LINES = 1_500
MOST_LINES = 5_000
"""Of all files together; the rest of them is only named."""
LONGEST_LINE = 500
"""Characters shown of a line; the whole of it is compared."""
MOST_COMPARED = 10_000
"""Lines in which the same ones are looked for; beyond that all of them are different."""
MOST_SECONDS = 2.0
"""For all of it; then what differs is not looked for line by line any more."""
CONTEXT_LINES = 3


class Omitted(StrEnum):
    """Why the lines of a change are not there, or not all of them."""

    NO_TEXT = "no_text"
    TOO_LARGE = "too_large"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Change:
    """One file, or one text, that is not the same on both sides."""

    path: str
    what: str
    """"added", "removed", "changed", or "mode" where only the executable bit differs."""
    lines: tuple[tuple[str, str], ...] = ()
    """(sign, text): '+', '-', ' ', or '@' for a place further down, as in a unified diff. What does
    not show, or turns the direction of reading, is written out."""
    added: int = 0
    removed: int = 0
    executable: bool | None = None
    """What the bit is now, where it has changed."""
    omitted: Omitted | None = None

    @property
    def is_cut(self) -> bool:
        return self.omitted in {Omitted.TOO_LARGE, Omitted.CUT}

    @property
    def unified(self) -> str:
        """Return the lines as a unified diff; empty where there are none."""
        if not self.lines:
            return ""
        old = "/dev/null" if self.what == "added" else f"a/{self.path}"
        new = "/dev/null" if self.what == "removed" else f"b/{self.path}"
        body = (text if sign == "@" else sign + text for sign, text in self.lines)
        return "\n".join([f"--- {old}", f"+++ {new}", *body])


class Budget:
    """How many lines and how much time are left for the changes of one page."""

    def __init__(self, lines: int = MOST_LINES, seconds: float = MOST_SECONDS) -> None:
        self.lines = lines
        self._deadline = time.monotonic() + seconds

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self._deadline


def changed_files(old: Bundle, new: Bundle, budget: Budget | None = None) -> list[Change]:
    """Return every file that is not the same in both, by path."""
    budget = budget or Budget()
    before = {file.path: file for file in old.files}
    after = {file.path: file for file in new.files}
    return [
        _changed_file(path, before.get(path), after.get(path), budget)
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def changed_text(path: str, old: str, new: str, budget: Budget | None = None) -> Change | None:
    """Return what differs between two texts; None where nothing does."""
    if old == new:
        return None
    if max(len(old), len(new)) > MOST_BYTES:
        return Change(path, "changed", omitted=Omitted.TOO_LARGE)
    what = "added" if not old else "removed" if not new else "changed"
    return _compared(path, what, old, new, budget or Budget())


def text_of(content: bytes) -> str | None:
    """Return content as text, None for what is none."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def with_hidden_shown(text: str) -> tuple[str, int]:
    """Return text with its invisible characters written out, and how many there were.

    They can make source read differently from what runs.
    """
    hidden = 0
    pieces = []
    for char in text:
        if char not in "\n\t\r" and unicodedata.category(char) in ("Cc", "Cf"):
            hidden += 1
            char = f"\u27e6U+{ord(char):04X}\u27e7"
        pieces.append(char)
    return "".join(pieces), hidden


def _changed_file(
    path: str, old: BundleFile | None, new: BundleFile | None, budget: Budget
) -> Change:
    what = "changed" if old and new else "added" if new else "removed"
    mode = new.executable if old and new and old.executable != new.executable else None
    contents = [file.content if file else b"" for file in (old, new)]
    if contents[0] == contents[1] and what == "changed":
        return Change(path, "mode", executable=mode)
    if max(map(len, contents)) > MOST_BYTES:
        return Change(path, what, executable=mode, omitted=Omitted.TOO_LARGE)
    before, after = (text_of(content) for content in contents)
    if before is None or after is None:
        return Change(path, what, executable=mode, omitted=Omitted.NO_TEXT)
    return _compared(path, what, before, after, budget, mode)


def _compared(
    path: str, what: str, old: str, new: str, budget: Budget, mode: bool | None = None
) -> Change:
    if budget.is_late or budget.lines <= 0:
        return Change(path, what, executable=mode, omitted=Omitted.CUT)
    before, after = old.splitlines(), new.splitlines()
    most = min(MOST_FILE_LINES, budget.lines)
    lines: list[tuple[str, str]] = []
    added = removed = 0
    for sign, text in _lines(before, after, budget):
        added += sign == "+"
        removed += sign == "-"
        if len(lines) < most:
            lines.append((sign, _shown(text)))
    shown = len(lines)
    budget.lines -= shown
    is_cut = added + removed > sum(sign in "+-" for sign, _text in lines)
    return Change(path, what, tuple(lines), added, removed, mode, Omitted.CUT if is_cut else None)


def _shown(line: str) -> str:
    text, _hidden = with_hidden_shown(line[:LONGEST_LINE])
    return text if len(line) <= LONGEST_LINE else f"{text} … ({len(line)} characters)"


def _lines(old: Sequence[str], new: Sequence[str], budget: Budget) -> Iterator[tuple[str, str]]:
    """Yield the lines of a unified diff without its head."""
    for group in _groups(old, new, budget):
        first, last = group[0], group[-1]
        yield "@", f"@@ {_range(first[1], last[2], '-')} {_range(first[3], last[4], '+')} @@"
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                yield from ((" ", line) for line in old[start:end])
                continue
            yield from (("-", line) for line in old[start:end])
            yield from (("+", line) for line in new[new_start:new_end])


Groups = list[list[tuple[str, int, int, int, int]]]


def _groups(old: Sequence[str], new: Sequence[str], budget: Budget) -> Groups:
    """Return what differs, with some lines around it, as difflib groups it.

    What lies between the lines that both begin with and those that both end with is compared for as
    long as the budget lasts, and else is one difference.
    """
    head = _common(old, new, lambda lines, place: lines[place])
    rest = min(len(old), len(new)) - head
    tail = min(rest, _common(old, new, lambda lines, place: lines[-1 - place]))
    middle = (old[head : len(old) - tail], new[head : len(new) - tail])
    found = _opcodes(*middle, budget)
    whole = SequenceMatcher[str](None, (), ())
    whole.opcodes = [  # type: ignore[attr-defined]
        *([("equal", 0, head, 0, head)] if head else []),
        *((kind, *(place + head for place in places)) for kind, *places in found),
        *([("equal", len(old) - tail, len(old), len(new) - tail, len(new))] if tail else []),
    ]
    return list(whole.get_grouped_opcodes(CONTEXT_LINES))


def _opcodes(old: Sequence[str], new: Sequence[str], budget: Budget) -> Sequence[Any]:
    if max(len(old), len(new)) <= MOST_COMPARED:
        try:
            return _Timed(budget, old, new).get_opcodes()
        except _OutOfTime:
            pass
    kind = "replace" if old and new else "insert" if new else "delete"
    return [(kind, 0, len(old), 0, len(new))] if old or new else []


def _common(
    old: Sequence[str], new: Sequence[str], line: Callable[[Sequence[str], int], str]
) -> int:
    most = min(len(old), len(new))
    return next((n for n in range(most) if line(old, n) != line(new, n)), most)


def _range(start: int, end: int, sign: str) -> str:
    """Return lines as a unified diff writes them: counted from 1, or the line before none."""
    length = end - start
    first = start + 1 if length else start
    return f"{sign}{first}" if length == 1 else f"{sign}{first},{length}"


class _OutOfTime(Exception):
    """Comparing takes longer than it may."""


class _Timed(SequenceMatcher[str]):
    def __init__(self, budget: Budget, old: Sequence[str], new: Sequence[str]) -> None:
        self._budget = budget
        super().__init__(None, old, new)

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        if self._budget.is_late:
            raise _OutOfTime
        return super().find_longest_match(alo, ahi, blo, bhi)
