"""The one connection pool to Redis or Valkey of this process."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings


def client() -> redis.Redis:
    """Return a client on this process's own pool; a fork gets a new one."""
    return _client(os.getpid())


@functools.lru_cache(maxsize=1)
def _client(_pid: int) -> redis.Redis:
    pool = redis.ConnectionPool.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=5, socket_connect_timeout=5
    )
    return redis.Redis(connection_pool=pool)


def ask(*command: Any) -> Any:
    """Send one command and return its answer, as it comes, by a connection that this thread keeps.

    For the commands of each run: to lend a connection takes the client as long as to use it. Where
    it broke the command is sent once more, so it may have been done twice. Raises redis.RedisError.
    """
    connection = _own_connection()
    try:
        connection.send_command(*command)
        return connection.read_response()
    except redis.ConnectionError:  # It is closed by now, and opened again by the next command.
        connection.send_command(*command)
        return connection.read_response()


def tell(commands: Sequence[Sequence[str]]) -> None:
    """Send several commands in one message, as ``ask`` does; what they return is of no interest."""
    connection = _own_connection()
    try:
        _tell(connection, commands)
    except redis.ConnectionError:
        _tell(connection, commands)


def _tell(connection: Any, commands: Sequence[Sequence[str]]) -> None:
    connection.send_packed_command(connection.pack_commands(commands))
    try:
        for _ in commands:
            connection.read_response()
    except redis.ResponseError:
        connection.disconnect()  # Answers to the others are still to come.
        raise


class _Kept:
    """A connection of one thread, given back to the pool when the thread ends."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pool = client().connection_pool
        self.connection = self._pool.get_connection()

    def __del__(self) -> None:
        if self.pid == os.getpid():
            self._pool.release(self.connection)


_of_thread = threading.local()


def _own_connection() -> Any:
    kept: _Kept | None = getattr(_of_thread, "kept", None)
    if kept is None or kept.pid != os.getpid():  # A fork gets its own.
        kept = _of_thread.kept = _Kept(os.getpid())
    return kept.connection
