"""What a process that serves for days does about its memory."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time

import structlog

logger = structlog.get_logger(__name__)

YOUNG = 10_000
"""Objects made before the garbage collector looks at the young ones; Python's 700 suits a script. A
request makes some thousands, nearly all of which end with it."""


LOADING = 100_000
"""The same while a process loads, when nearly nothing ends: a tenth of the time it takes."""
LOOK_EVERY_S = 5.0
SURPLUS_BYTES = 64 * 1024 * 1024
"""By so much a process has to have grown before it gives back what it does not use. Logs and files
are the bulk of what comes and goes: twenty runs that each kept 10 MiB of log left the worker with
800 MiB, of which it used 200."""
RETRY_S = 60.0
"""What a look found in use may be free by then, and no growth tells of that."""
_given_back_by = 0
"""The process that has the thread: one that is forked from it does not."""


def begin_to_load() -> None:
    """Let the garbage collector rest. A process that goes on for long calls ``keep_loaded``."""
    gc.set_threshold(LOADING, *gc.get_threshold()[1:])


def keep_loaded() -> None:
    """Leave what is loaded by now out of all garbage collections, for good.

    Else they would go through half a million objects that never end, and in processes forked from
    this one write to the pages these share.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


def give_back_in_background() -> None:
    """Give memory that is not used back to the system, in a thread, as long as the process lives.

    To be called in each process that serves, also more than once.
    """
    global _given_back_by
    if _given_back_by == os.getpid():
        return
    _given_back_by = os.getpid()
    try:
        threading.Thread(target=_keep_giving_back, name="memory", daemon=True).start()
    except RuntimeError:  # There is no room for a thread now; the next call tries again.
        _given_back_by = 0


def _keep_giving_back() -> None:
    surplus: Surplus | None = None
    while True:
        try:
            surplus = surplus or Surplus()
            surplus.give_back()
        except Exception:  # Memory or files may be short just now, which ends.
            logger.warning("memory.not_given_back", exc_info=True)
        time.sleep(LOOK_EVERY_S)


class Surplus:
    """What a process holds beyond the least it has held."""

    def __init__(self) -> None:
        self._least = self._kept = resident_bytes()
        self._retry_at = 0.0

    def give_back(self) -> bool:
        """Give back what is not used, if it may be much. Returns whether anything was done."""
        held = resident_bytes()
        self._least = min(self._least, held)
        self._kept = min(self._kept, held)
        has_grown = held - self._kept >= SURPLUS_BYTES
        is_large = held - self._least >= SURPLUS_BYTES
        if not has_grown and not (is_large and time.monotonic() >= self._retry_at):
            return False
        gc.collect()
        # The C library keeps what was freed, for whatever comes next; glibc can be asked not to.
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)
        self._kept = resident_bytes()
        self._retry_at = time.monotonic() + RETRY_S
        return True


def resident_bytes() -> int:
    """Return the memory that this process holds, as the system counts it."""
    with open("/proc/self/statm", "rb") as stream:  # noqa: PTH123 - read often
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
