"""What goes between a worker, a zygote and the processes of runs."""

from __future__ import annotations

import marshal
import os
import socket
from typing import Any

from executors.script.stage import SANDBOX_FAILED, pack_report

TOLD_BYTES = 4096
MOST_DESCRIPTORS = 32


def refuse(descriptors: list[int], error: OSError) -> None:
    """Tell the worker that there is no process for the run it sent descriptors of."""
    _, _, report, *_ = descriptors
    close_all(tuple(descriptor for descriptor in descriptors if descriptor != report))
    answer_worker(report, {"problem": f"{SANDBOX_FAILED}{error}"})


def answer_worker(report_fd: int, answer: dict[str, Any]) -> None:
    with socket.socket(fileno=report_fd) as channel:
        try:
            channel.send(pack_report(answer))
            # A child that has not closed its copy yet must not keep the worker waiting.
            channel.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The worker is gone.


def read_order(descriptor: int) -> dict[str, Any]:
    """Return an order. See ``WarmStart.start``."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    order: dict[str, Any] = marshal.loads(os.pread(descriptor, size, 0))  # noqa: S302 - our own worker
    return order


def read_if_any(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, TOLD_BYTES)
    except BlockingIOError:
        return b""


def receive(door: socket.socket) -> list[int]:
    """Return the descriptors that come through the door. Ends the process when none will."""
    _, descriptors, flags, _ = socket.recv_fds(door, 1, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if flags & socket.MSG_CTRUNC:
        raise OSError(0, "it can open too few files")
    if not descriptors:
        os._exit(0)
    return descriptors


def close_all(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)
