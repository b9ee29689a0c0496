"""Identifiers that sort by time and cannot be guessed."""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import datetime

AHEAD = 300_000 << 74
"""So far the clock may go back; one that was wrong by more is believed once it is put right."""
_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """Return a UUID version 7 (RFC 9562): 48 bits of milliseconds, then 74 others, mostly random.

    It is higher than all this process made before, those of the same millisecond among them.
    """
    global _last
    random = int.from_bytes(os.urandom(10))
    value = time.time_ns() // 1_000_000 << 74 | random >> 7  # The first of the 74 is room to count.
    with _lock:
        if 0 <= _last - value < AHEAD:
            value = _last + 1 + (random >> 32)
        _last = value
    milliseconds, first, rest = value >> 74, value >> 62 & 0xFFF, value & (1 << 62) - 1
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | first << 64 | 0x2 << 62 | rest)


def lowest_uuid7(moment: datetime) -> uuid.UUID:
    """Return the lowest id that ``uuid7`` can have made at moment: rows since then have higher."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62)
