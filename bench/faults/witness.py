"""Sees every start and end of a script from outside of the platform, and forgets nothing.

A script that is killed has still told its start; so one that was started twice is seen, whatever
the platform's own records say.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.2"
"""An address of this machine that programs do not reach past a proxy by themselves."""


class Witness:
    """A server that counts what ``bench/jobs/witnessed`` tells it."""

    def __init__(self) -> None:
        self.starts: dict[int, list[str]] = defaultdict(list)
        """By number of the submission: a word for each start."""
        self.ends: dict[int, list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"{HOST}:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hear(self, path: str) -> bool:
        """Take note of ``/start/<number>/<word>`` or ``/end/…``; return whether it was one."""
        _, told, number, word = [*path.split("/"), "", "", ""][:4]
        if told not in ("start", "end") or not number.isdecimal() or not word:
            return False
        with self._lock:
            (self.starts if told == "start" else self.ends)[int(number)].append(word)
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        super().__init__((HOST, 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.send_response(200 if self.server.witness.hear(self.path) else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""
