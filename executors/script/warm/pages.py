"""The pages of memory that each run writes to, copied for a run before it is ordered.

A forked process shares the pages of its parent and copies each one at its first write, which is a
third of what a short run takes. To copy them beforehand costs a little more, so it is done only
where a processor has nothing else to do, for the run that is prepared next.
"""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Callable

from executors.script.sandbox.kernel import LIBC, PR_SET_DUMPABLE, prctl

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MADV_POPULATE_WRITE = 23
PRESENT, ALONE = 1 << 63, 1 << 56
"""Of an entry of pagemap: the page is in memory, and only this process has it."""
NEAR = 2
"""So many pages between two ranges are copied along."""
LOOKS = 4
LOOK_EVERY_MS = 2

Ranges = list[tuple[int, int]]
"""Address and size in bytes of pieces of memory."""


def pages_written_by(rehearsal: Callable[[], object]) -> Ranges:
    """Return which pages of this process a forked one has written to at the end of rehearsal.

    The caller has one thread. Empty where the rehearsal ends early. Raises OSError.
    """
    areas = _writable_areas()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            prctl(PR_SET_DUMPABLE, 1)  # Else its own pagemap would not be its own.
            rehearsal()
            told = " ".join(f"{start},{size}" for start, size in _own_pages(areas))
            os.write(writer, told.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        found = stream.read().decode()
    os.waitpid(pid, 0)
    pairs = (each.split(",") for each in found.split())
    return [(int(start), int(size)) for start, size in pairs]


def copy_when_idle(ranges: Ranges, door: int, load: int) -> None:
    """Copy ranges into the calling process, unless an order comes before a processor is idle.

    door: what the order comes through. load: ``/proc/loadavg``, opened. A kernel that cannot do so
    leaves it to the first write.
    """
    processors = len(os.sched_getaffinity(0))
    poll = select.poll()
    poll.register(door, select.POLLIN)
    for _ in range(LOOKS):
        if poll.poll(LOOK_EVERY_MS):
            return
        if _runnable(load) <= processors:
            for start, size in ranges:
                LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), MADV_POPULATE_WRITE)
            return


def _runnable(load: int) -> int:
    """Return how many threads of the machine want to run at this moment, this one among them."""
    return int(os.pread(load, 100, 0).split()[3].partition(b"/")[0])


def _writable_areas() -> Ranges:
    areas = []
    with open("/proc/self/maps") as lines:  # noqa: PTH123
        for line in lines:
            place, rights, _ = line.split(" ", 2)
            if rights == "rw-p":
                start, end = (int(part, 16) for part in place.split("-"))
                areas.append((start, end - start))
    return areas


def _own_pages(areas: Ranges) -> Ranges:
    """Return what of areas the calling process shares with no other."""
    found: Ranges = []
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    for start, size in areas:
        entries = os.pread(pagemap, size // PAGE_BYTES * 8, start // PAGE_BYTES * 8)
        for number, entry in enumerate(memoryview(entries).cast("Q")):
            if not (entry & PRESENT and entry & ALONE):
                continue
            page = start + number * PAGE_BYTES
            last, length = found[-1] if found else (0, 0)
            if last >= start and page - (last + length) <= NEAR * PAGE_BYTES:
                found[-1] = last, page + PAGE_BYTES - last
            else:
                found.append((page, PAGE_BYTES))
    return found
