"""Who has an order: the zygote's child that begins its run, or the worker that took it back."""

from __future__ import annotations

import fcntl


def claim(order: int) -> bool:
    """Claim an order, which is an open memory file, for good. Returns whether nobody had before.

    Process 1 does so right before the script begins. So a zygote that wakes up late cannot start
    what the worker has given up and maybe started another way.
    """
    try:
        fcntl.fcntl(order, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
    except PermissionError:
        return False
    return True
