"""Resource limits of one process; a run's processes inherit them and cannot raise them."""

from __future__ import annotations

import os
import resource

TYPE_CHECKING = False  # As in typing, whose import would cost every run.
if TYPE_CHECKING:
    from typing import Any

ADDRESS_SPACE_FLOOR = 4 * 1024**3
"""Threads and memory maps reserve far more addresses than they use."""
DATA_FLOOR = 512 * 1024**2
STACK_BYTES = 8 * 1024**2
PENDING_SIGNALS = 64
NO_CORE = 1
"""No core file either way, but with 0 the kernel would still hand the memory of a crashed script to
the machine's crash handler, which runs as root."""
LOCKED_BYTES = 64 * 1024


def set_limits(limits: dict[str, Any], *, others: int) -> None:
    """Bound the calling process. others: processes of its user that are not the run's.

    The kernel counts all processes of a user, so the run would have to share its limit with them.
    """
    memory = limits["memory_bytes"]
    cpu_s = int(limits["timeout_s"] * (os.cpu_count() or 1)) + 1
    for which, amount in (
        (resource.RLIMIT_CORE, NO_CORE),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_NPROC, limits["processes"] + others),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_AS, 2 * memory + ADDRESS_SPACE_FLOOR),
        (resource.RLIMIT_DATA, 2 * memory + DATA_FLOOR),
        (resource.RLIMIT_STACK, STACK_BYTES),
        (resource.RLIMIT_MEMLOCK, LOCKED_BYTES),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, PENDING_SIGNALS),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
    ):
        hard = resource.getrlimit(which)[1]
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(which, (amount, amount))


def raise_oom_score() -> None:
    """When memory runs out, the kernel shall take the script and not the worker."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"1000")
        finally:
            os.close(descriptor)
    except OSError:
        pass
