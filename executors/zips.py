"""Looks at the end of a zip before ``zipfile`` reads its whole table of contents into memory."""

from __future__ import annotations

import os
import struct
from typing import IO

from executors.contract import MEBIBYTE

DIRECTORY_BYTES = 8 * MEBIBYTE
END = struct.Struct("<4s4H2LH")
END_MARK = b"PK\x05\x06"
LOCATOR_BYTES = 20
LOCATOR_MARK = b"PK\x06\x07"
LONGEST_COMMENT = 1 << 16


def has_small_directory(file: IO[bytes], *, most_entries: int) -> bool:
    """Return whether the table of contents is small, by its own word; no zip at all counts as such.

    ``zipfile`` reads as many bytes as the end record says, whatever number of entries it says, so
    both are bounded. The record is looked for as ``zipfile`` does. Zip64 is for what is larger than
    anything taken here. Leaves file at its start.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST_COMMENT - END.size - LOCATOR_BYTES))
    tail = file.read()
    file.seek(0)
    at = len(tail) - END.size
    if not (at >= 0 and tail.startswith(END_MARK, at) and tail.endswith(b"\0\0")):
        at = tail.rfind(END_MARK, max(0, len(tail) - LONGEST_COMMENT - END.size))
    if at < 0 or len(tail) - at < END.size:
        return True
    if tail[max(0, at - LOCATOR_BYTES) : at].startswith(LOCATOR_MARK):
        return False
    _mark, _disk, _start, _here, entries, directory_bytes, _offset, _comment = END.unpack_from(
        tail, at
    )
    return bool(entries <= most_entries and directory_bytes <= DIRECTORY_BYTES)
