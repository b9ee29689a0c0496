"""What a process that serves for days does about its memory."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""Objects made before the garbage collector looks at the young ones; Python's 700 suits a script. A
request makes some thousands, nearly all of which end with it."""


LOADING = 100_000
"""The same while a process loads, when nearly nothing ends: a tenth of the time it takes."""


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
