"""Pages that a forked process would copy at its first write are copied beforehand."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from executors.script.warm import pages
from executors.script.warm.pages import PAGE_BYTES, Ranges, copy_when_idle, pages_written_by

Copied = Callable[..., set[int]]
MANY = 100_000
"""Processors, more than there are threads."""


class Area:
    """Some pages of this process, all of them in memory."""

    def __init__(self, count: int) -> None:
        self.memory = mmap.mmap(-1, count * PAGE_BYTES, flags=mmap.MAP_PRIVATE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        for number in range(count):
            self.write(number)

    def write(self, number: int) -> None:
        self.memory[number * PAGE_BYTES] = 1

    def range_of(self, number: int) -> tuple[int, int]:
        return self.start + number * PAGE_BYTES, PAGE_BYTES

    def written(self, found: Ranges) -> set[int]:
        """Return the numbers of those pages that found names."""
        places = range(len(self.memory) // PAGE_BYTES)
        return {
            number
            for number in places
            if any(start <= self.range_of(number)[0] < start + size for start, size in found)
        }


@pytest.fixture
def area() -> Area:
    return Area(64)


@pytest.fixture
def copied(area: Area, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copied]:
    """Return which pages a process has of its own that was to copy some while it waited."""
    door, other_end = socket.socketpair()
    load = os.open("/proc/loadavg", os.O_RDONLY)

    def copy(ranges: Ranges, processors: int, *, is_ordered: bool = False) -> set[int]:
        monkeypatch.setattr(pages.os, "sched_getaffinity", lambda _pid: set(range(processors)))
        if is_ordered:
            other_end.send(b"o")
        found = pages_written_by(lambda: copy_when_idle(ranges, door.fileno(), load))
        return area.written(found)

    with door, other_end:
        yield copy
    os.close(load)


def test_the_pages_that_a_rehearsal_writes_to_are_found(area: Area) -> None:
    def rehearsal() -> None:
        for number in (3, 5, 40):
            area.write(number)

    found = pages_written_by(rehearsal)

    # Page 4 lies near two that are copied.
    assert area.written(found) == {3, 4, 5, 40}


def test_they_are_copied_while_a_processor_is_idle(area: Area, copied: Copied) -> None:
    assert copied([area.range_of(7), area.range_of(9)], MANY) >= {7, 9}


def test_an_order_need_not_wait_for_that(area: Area, copied: Copied) -> None:
    assert copied([area.range_of(7)], MANY, is_ordered=True) == set()


def test_a_busy_machine_has_no_time_for_that(area: Area, copied: Copied) -> None:
    assert copied([area.range_of(7)], 0) == set()


def test_memory_that_is_not_there_is_left_out(area: Area, copied: Copied) -> None:
    assert 7 in copied([(PAGE_BYTES, PAGE_BYTES), area.range_of(7)], MANY)
