"""The one connection pool to Redis or Valkey of this process, and a line of each thread's own."""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

import redis
from django.conf import settings

_of_thread = threading.local()


def client() -> redis.Redis:
    """Return a client on this process's own pool; a fork gets a new one."""
    return _client(os.getpid())


@functools.lru_cache(maxsize=1)
def _client(_pid: int) -> redis.Redis:
    pool = redis.ConnectionPool.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=5, socket_connect_timeout=5
    )
    return redis.Redis(connection_pool=pool)


class Line:
    """One connection of one thread, for what every run sends; also hears what it subscribed to.

    The client's pool, pipelines and subscriptions would take several times as long for it. Every
    method raises redis.RedisError; a line that has raised is of no use any more.
    """

    def __init__(self) -> None:
        pool = client().connection_pool
        self.pid = os.getpid()
        # Whatever the URL says: an older protocol has no announcements between answers.
        self._connection: Any = pool.connection_class(**{**pool.connection_kwargs, "protocol": 3})
        self._channels: frozenset[str] = frozenset()
        self._heard: deque[list[Any]] = deque()
        self._unsent: list[Sequence[object]] = []
        self._connection.connect()
        # What is announced comes between the answers, and is none of them.
        self._connection._parser.set_pubsub_push_handler(self._heard.append)

    def ask(self, *commands: Sequence[object]) -> list[Any]:
        """Send commands in one message, and return their answers."""
        self._send(commands)
        return [self._connection.read_response() for _ in commands]

    def subscribe(self, channels: Collection[str], *, with_next: bool = False) -> frozenset[str]:
        """Hear channels from now on, and no others; return those whose subscription is new.

        That is sent, and not confirmed yet; with_next: it goes in one message with what is asked
        next, or before anything is waited for. What came before is forgotten.
        """
        while self._connection.can_read():
            self._connection.read_response(push_request=True)
        self._heard.clear()
        wanted = frozenset(channels)
        left, new = self._channels - wanted, wanted - self._channels
        self._channels = wanted
        for command, changed in (("UNSUBSCRIBE", left), ("SUBSCRIBE", new)):
            if changed:
                self._unsent.append((command, *changed))
        # Those of before that were not sent are as new.
        unsent = {one for name, *some in self._unsent if name == "SUBSCRIBE" for one in some}
        if not with_next:
            self._send([])
        return wanted & unsent

    def unsubscribe(self) -> None:
        """Hear nothing more."""
        if self._channels:
            self._send([("UNSUBSCRIBE", *self._channels)])
            self._channels = frozenset()

    def hear(self, timeout_s: float) -> list[Any] | None:
        """Return the next thing heard within timeout_s, else None.

        It is ["message", channel, text], or the confirmation of a subscription.
        """
        if self._unsent:
            self._send([])
        if not self._heard:
            try:
                self._connection.read_response(
                    push_request=True, timeout=timeout_s, disconnect_on_error=False
                )
            except redis.TimeoutError:
                return None
        return self._heard.popleft() if self._heard else None

    def close(self) -> None:
        self._connection.disconnect()

    def _send(self, commands: Sequence[Sequence[object]]) -> None:
        pack, due = self._connection.pack_command, [*self._unsent, *commands]
        self._unsent.clear()
        packed = b"".join(part for command in due for part in pack(*command))
        if not self._connection.is_connected:
            # It would connect anew by itself, and be subscribed to nothing.
            raise redis.ConnectionError("The line is closed.")
        self._connection.send_packed_command(packed and [packed], check_health=False)


def line() -> Line:
    """Return the line of this thread. Raises redis.RedisError where none can be opened."""
    kept: Line | None = getattr(_of_thread, "line", None)
    if kept is None or kept.pid != os.getpid():
        kept = _of_thread.line = Line()
    return kept


def drop_line(broken: Line | None = None) -> None:
    """Close the line of this thread; the next time there is another one. Where a broken one is
    given and another has taken its place, that stays."""
    kept: Line | None = _of_thread.__dict__.get("line")
    if kept is not None and broken in {None, kept}:
        del _of_thread.line
        kept.close()


def ask(*commands: Sequence[object]) -> list[Any]:
    """Send commands in one message on the line of this thread, and return their answers.

    They may be sent twice, where the line has died since it was used last. Raises redis.RedisError.
    """
    for is_kept in (hasattr(_of_thread, "line"), False):
        try:
            return line().ask(*commands)
        except BaseException as error:
            drop_line()  # Whatever is still to be read from it.
            if not (is_kept and isinstance(error, redis.ConnectionError)):
                raise
    raise AssertionError
