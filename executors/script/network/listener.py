"""The inside end of the gate. Process 1 of a run opens it in the run's own network namespace."""

from __future__ import annotations

import _socket
import fcntl
import os
import struct

ADDRESS = "127.0.0.1"
PORT = 3128
WAITING = 64
INTERFACE_FLAGS = 0x8914
"""SIOCSIFFLAGS."""
UP = 1
BUFFERS = {
    "tcp_rmem": "4096 65536 131072",
    "tcp_wmem": "4096 65536 131072",
}
"""The kernel would let the buffers of one connection grow to some MiB that no limit counts."""


def open_listener(settings: int) -> int:
    """Start the loopback of the caller's network namespace; return a socket that listens on it.

    settings: the machine's /proc/sys, open. Call it before giving up rights. Raises OSError.
    """
    for name, text in BUFFERS.items():
        _set(f"net/ipv4/{name}", text, settings)
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    fcntl.ioctl(listener.fileno(), INTERFACE_FLAGS, struct.pack("16sh22x", b"lo", UP))
    listener.bind((ADDRESS, PORT))
    listener.listen(WAITING)
    return listener.detach()


def _set(path: str, text: str, within: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=within)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
