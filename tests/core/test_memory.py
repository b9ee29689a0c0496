"""Processes that serve for days give back what a few large logs or files made them take."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import threading
import time
import traceback
from collections.abc import Callable
from functools import wraps

from execfabric.core import memory

PIECE_BYTES = 50_000
"""Below what the C library asks the system for, and gives back, by itself."""


def in_a_process_of_its_own(test: Callable[[], None]) -> Callable[[], None]:
    """Nothing else is done there meanwhile, and what it keeps is nobody's."""

    @wraps(test)
    def forked() -> None:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)  # What is taken is new to this process, then.
                test()
                code = 0
            except BaseException:  # noqa: BLE001 - told to the parent
                traceback.print_exc()
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    return forked


def pieces(size_bytes: int) -> list[bytearray]:
    return [bytearray(b"x") * PIECE_BYTES for _ in range(size_bytes // PIECE_BYTES)]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "memory"]


@in_a_process_of_its_own
def test_what_was_freed_is_given_back() -> None:
    surplus = memory.Surplus()
    before = memory.resident_bytes()
    taken = pieces(3 * memory.SURPLUS_BYTES)
    last = taken[-1]  # What is behind it alone would go back by itself.
    del taken
    kept = memory.resident_bytes() - before

    assert surplus.give_back()
    assert kept > 2 * memory.SURPLUS_BYTES
    assert memory.resident_bytes() - before < memory.SURPLUS_BYTES / 2
    assert len(last) == PIECE_BYTES


@in_a_process_of_its_own
def test_what_refers_to_itself_is_given_back() -> None:
    gc.disable()
    surplus = memory.Surplus()
    before = memory.resident_bytes()
    taken: list[object] = [*pieces(2 * memory.SURPLUS_BYTES)]
    taken.append(taken)
    del taken

    assert surplus.give_back()
    assert memory.resident_bytes() - before < memory.SURPLUS_BYTES / 2


@in_a_process_of_its_own
def test_a_process_that_uses_what_it_holds_is_asked_once() -> None:
    surplus = memory.Surplus()
    taken = pieces(2 * memory.SURPLUS_BYTES)

    assert surplus.give_back()
    assert not surplus.give_back()
    assert len(taken[-1]) == PIECE_BYTES


@in_a_process_of_its_own
def test_what_was_in_use_then_is_given_back_later() -> None:
    surplus = memory.Surplus()
    before = memory.resident_bytes()
    taken = pieces(3 * memory.SURPLUS_BYTES)
    last = taken[-1]
    assert surplus.give_back()
    del taken
    assert not surplus.give_back()
    surplus._retry_at = time.monotonic()

    assert surplus.give_back()
    assert memory.resident_bytes() - before < memory.SURPLUS_BYTES / 2
    assert len(last) == PIECE_BYTES


@in_a_process_of_its_own
def test_it_goes_on_after_an_error() -> None:
    memory.LOOK_EVERY_S = memory.RETRY_S = 0.01
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limit[1]))  # No file can be opened.
    memory.give_back_in_background()
    time.sleep(0.1)
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    time.sleep(0.1)
    before = memory.resident_bytes()
    last = pieces(3 * memory.SURPLUS_BYTES)[-1]
    give_up_at = time.monotonic() + 20
    while memory.resident_bytes() - before >= memory.SURPLUS_BYTES:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
    assert threads()
    assert len(last) == PIECE_BYTES


@in_a_process_of_its_own
def test_a_process_that_has_hardly_grown_is_left_alone() -> None:
    assert not memory.Surplus().give_back()


@in_a_process_of_its_own
def test_each_process_has_one_thread_for_it_one_that_was_forked_too() -> None:
    for _ in range(2):
        memory.give_back_in_background()
    assert len(threads()) == 1

    pid = os.fork()
    if pid == 0:
        lost = len(threads())
        memory.give_back_in_background()
        os._exit(10 * lost + len(threads()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
