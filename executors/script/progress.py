"""Follows the progress file of a run: lines such as ``0.4 reading``."""

from __future__ import annotations

import os
import re

from executors.masking import Masker
from executors.script.run_folder import Room
from executors.text import clean

READ_BYTES = 16 * 1024
MESSAGE_CHARS = 200
LINE = re.compile(r"\s*(\d{1,9}(?:\.\d*)?|\.\d+)\s*(%?)(?:\s+(.*))?", re.ASCII | re.DOTALL)


class ProgressFile:
    """The newest progress line of a run, whose room holds the open file."""

    def __init__(self, room: Room, masker: Masker) -> None:
        self._room = room
        self._masker = masker
        self._position = 0
        self._last: tuple[float, str] | None = None

    def read(self) -> tuple[float, str] | None:
        """Return (fraction in 0..1, message) when there is a newer line than last time."""
        if self._room.progress is None:
            return None  # The run has not got its folders yet.
        size = os.fstat(self._room.progress).st_size
        if size < self._position:
            self._position = 0  # The script wrote the file anew instead of appending.
        start = max(self._position, size - READ_BYTES)
        data = os.pread(self._room.progress, READ_BYTES, start)
        whole, newline, _ = data.rpartition(b"\n")
        if not newline:
            return None
        self._position = start + len(whole) + 1
        for line in reversed(whole.split(b"\n")):
            progress = self._parse(line.decode("utf-8", "replace"))
            if progress is not None:
                if progress == self._last:
                    return None
                self._last = progress
                return progress
        return None

    def _parse(self, line: str) -> tuple[float, str] | None:
        match = LINE.fullmatch(line)
        if not match:
            return None
        fraction = float(match[1]) / (100 if match[2] else 1)
        message = self._masker.mask(clean(match[3] or "").strip())
        return min(1.0, fraction), message[:MESSAGE_CHARS]
