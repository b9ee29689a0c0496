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
def door() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def load() -> Iterator[int]:
    descriptor = os.open("/proc/loadavg", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def has_processors(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def set_number(number: int) -> None:
        monkeypatch.setattr(pages.os, "sched_getaffinity", lambda _pid: set(range(number)))

    return set_number


def test_the_pages_that_a_rehearsal_writes_to_are_found(area: Area) -> None:
    def rehearsal() -> None:
        for number in (3, 5, 40):
            area.write(number)

    found = pages_written_by(rehearsal)

    # Page 4 lies near two that are copied.
    assert area.written(found) == {3, 4, 5, 40}


def test_they_are_copied_while_a_processor_is_idle(
    area: Area,
    door: tuple[socket.socket, socket.socket],
    load: int,
    has_processors: Callable[[int], None],
) -> None:
    has_processors(100_000)
    ranges = [area.range_of(7), area.range_of(9)]

    found = pages_written_by(lambda: copy_when_idle(ranges, door[0].fileno(), load))

    assert area.written(found) >= {7, 9}


def test_an_order_need_not_wait_for_that(
    area: Area,
    door: tuple[socket.socket, socket.socket],
    load: int,
    has_processors: Callable[[int], None],
) -> None:
    has_processors(100_000)
    door[1].send(b"o")

    found = pages_written_by(lambda: copy_when_idle([area.range_of(7)], door[0].fileno(), load))

    assert area.written(found) == set()


def test_a_busy_machine_has_no_time_for_that(
    area: Area,
    door: tuple[socket.socket, socket.socket],
    load: int,
    has_processors: Callable[[int], None],
) -> None:
    has_processors(0)

    found = pages_written_by(lambda: copy_when_idle([area.range_of(7)], door[0].fileno(), load))

    assert area.written(found) == set()


def test_memory_that_is_not_there_is_left_out(
    area: Area,
    door: tuple[socket.socket, socket.socket],
    load: int,
    has_processors: Callable[[int], None],
) -> None:
    has_processors(100_000)
    ranges = [(PAGE_BYTES, PAGE_BYTES), area.range_of(7)]

    found = pages_written_by(lambda: copy_when_idle(ranges, door[0].fileno(), load))

    assert 7 in area.written(found)
