"""The worker's side of a gate: starts it, passes it the run's socket, hears what it refused."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from executors.contract import ExecutionRequest
from executors.script.network.listener import ADDRESS, PORT
from executors.script.sandbox.probe import MARSHAL_VERSION
from executors.script.start import end_process, library_path

GATE = "executors.script.network.gate"
LINE_BYTES = 4096
END_PATIENCE_S = 0.2
PROXY = f"http://{ADDRESS}:{PORT}"
NAMES = ("http_proxy", "https_proxy", "all_proxy")


def proxy_variables() -> dict[str, str]:
    """Return the environment variables that send ordinary programs through the gate."""
    here = f"localhost,{ADDRESS},::1"
    variables = {**dict.fromkeys(NAMES, PROXY), "no_proxy": here}
    return variables | {name.upper(): value for name, value in variables.items()}


class GateProcess:
    """The gate of one run, as the worker holds it."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control
        control.setblocking(False)

    def fileno(self) -> int:
        return self._control.fileno()

    def open(self, listener: int) -> None:
        """Let the run out. listener: the socket that listens in its namespace."""
        with suppress(OSError):
            socket.send_fds(self._control, [b"l"], [listener])

    def read(self) -> list[str]:
        """Return the lines that came since the last time, for the run's log."""
        lines = []
        with suppress(OSError):
            while line := self._control.recv(LINE_BYTES):
                lines.append(line.decode("utf-8", "replace"))
        return lines

    def close(self) -> None:
        self._control.close()
        end_process(self._process, END_PATIENCE_S)


@contextmanager
def start_gate(
    request: ExecutionRequest,
    allowed: tuple[str, ...],
    command_of: Callable[[str], list[str]],
    user: int | None,
) -> Iterator[GateProcess]:
    """Yield the gate of a run; it ends with the block. Raises OSError.

    allowed: the operator's rules, see ``policy.py``. command_of: returns the command that calls
    main of a module of ours. user: whom the gate turns into, None to stay who the worker is.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    settings: dict[str, Any] = {
        "hosts": list(request.network_hosts),
        "allowed": list(allowed),
        "connections": request.limits.network_connections,
        "bytes": request.limits.network_bytes,
        "uid": user,
        "gid": user,
    }
    with ours, theirs:
        process = subprocess.Popen(
            [*command_of(GATE), str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={"PATH": os.defpath, **library_path()},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        gate = GateProcess(process, ours)
        try:
            ours.send(marshal.dumps(settings, MARSHAL_VERSION))
            yield gate
        finally:
            gate.close()
