"""The worker's side of a gate: starts it, passes it the run's socket, hears what it refused."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from executors.contract import ExecutionRequest, ExecutorError
from executors.script.identity import Identities
from executors.script.level import IsolationLevel, MachineProblem, Network
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
        self._has_ended = False
        control.setblocking(False)

    def fileno(self) -> int:
        return self._control.fileno()

    def open(self, listener: int) -> None:
        """Let the run out. Takes over listener, the socket that listens in its namespace."""
        # With a copy of ours, a gate that has ended would let connections wait for ever.
        with suppress(OSError):
            socket.send_fds(self._control, [b"l"], [listener])
        os.close(listener)

    def read(self) -> list[str]:
        """Return the lines that came since the last time, for the run's log."""
        lines: list[str] = []
        with suppress(OSError):
            while not self._has_ended:
                line = self._control.recv(LINE_BYTES)
                self._has_ended = not line
                lines.append(line.decode("utf-8", "replace") or "The gate has ended.")
        return lines

    def close(self) -> None:
        self._control.close()
        end_process(self._process, END_PATIENCE_S)


@contextmanager
def gate_for(
    request: ExecutionRequest,
    level: IsolationLevel,
    allowed: tuple[str, ...],
    identities: Identities | None,
) -> Iterator[GateProcess | None]:
    """Yield the gate of a run, which ends with the block; None where it needs none.

    allowed: the operator's rules, see ``policy.py``. identities: a root worker's, of which the gate
    takes one. Raises ExecutorError.
    """
    if not request.network or level.network is Network.OPEN:
        yield None
        return
    if level.network is Network.NONE:
        raise ExecutorError(
            f"This skill needs the network, which this worker's isolation {level.name!r} gives to "
            "no script."
        )
    # A user id of its own: its threads would count for the limit of the run's.
    with identities.take() if identities is not None else nullcontext(None) as who:
        uid, gid = (who.uid, who.gid) if who else (None, None)
        settings = {
            "hosts": list(request.network_hosts),
            "allowed": list(allowed),
            "connections": request.limits.network_connections,
            "bytes": request.limits.network_bytes,
            "uid": uid,
            "gid": gid,
        }
        try:
            gate = _start(level.python_command(GATE), settings)
        except OSError as error:
            raise MachineProblem(
                f"The gate to the network could not be started: {error}."
            ) from error
        try:
            yield gate
        finally:
            gate.close()


def _start(command: list[str], settings: dict[str, Any]) -> GateProcess:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env={"PATH": os.defpath, **library_path()},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            ours.send(marshal.dumps(settings, MARSHAL_VERSION))
        except OSError:
            ours.close()
            raise
    return GateProcess(process, ours)
