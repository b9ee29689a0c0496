"""What modules want done at a fork, kept for the script's own forks.

A zygote has one thread and forks while it holds no lock. So there is nothing for them to put in
order but ``random`` and the main thread's id. What they do all the same would cost each run some
more pages, about 25 of 890 as measured, and the zygote a lock at each fork.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_register = os.register_at_fork
_held: list[dict[str, Any]] = []


def hold_back() -> None:
    """From here on keep what modules ask for. Before the first of them that asks."""
    os.register_at_fork = lambda **hooks: _held.append(hooks)


def hand_over() -> None:
    """In a forked child: let them have what they asked for, from the next fork on."""
    os.register_at_fork = _register
    for hooks in _held:
        _register(**hooks)
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "threading" in sys.modules:
        sys.modules["threading"].main_thread()._set_native_id()
