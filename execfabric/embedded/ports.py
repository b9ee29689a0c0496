"""TCP ports of this machine's loopback."""

import errno
import secrets
import socket
from pathlib import Path

LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
LOWEST_PORT = 10_000
KERNELS_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free.

    It stays so for the server that is to start on it: it is none of those that the kernel gives to
    connections and to servers that ask for any. Where the kernel does not say which these are, it
    was free a moment ago.
    """
    try:
        end = int(KERNELS_PORTS.read_text(encoding="ascii").split()[0])
    except OSError:
        end = 0
    for _ in range(100 if end > LOWEST_PORT else 0):
        port = LOWEST_PORT + secrets.randbelow(end - LOWEST_PORT)
        if not is_taken(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Return whether something listens on port, on 127.0.0.1 or ::1.

    Browsers try ::1 first for *.localhost, so another program there would get our visitors.
    Raises PermissionError for a port that this user may not open.
    """
    for family, address in LOOPBACKS:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except PermissionError:
            raise
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            if family == socket.AF_INET:
                raise  # a machine may lack ::1, but not 127.0.0.1
    return False
