"""Waking those who wait for a change: Redis publish/subscribe, so nobody polls the database."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import redis
import structlog
from django.conf import settings
from django.db import transaction

from .actor import current_schema
from .redis import Line, ask, drop_line, line

logger = structlog.get_logger(__name__)
Seen = TypeVar("Seen")

ENDS = "execfabric:wake-end"
"""Channels on which all waits of a schema are ended."""
LONGEST_SILENCE_S = 10.0
"""A waiter looks again after this long even if nothing was announced (a lost message)."""


CONFIRMED_WITHIN_S = 5.0

SILENT_S = 5.0
"""So long nothing is announced once Redis did not answer: each attempt would take its timeout."""


class _Seats:
    """How many threads of this process wait, and for whom.

    A wait holds a thread of the web server, and the threads are everybody's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def seat(self, who: str) -> Iterator[bool]:
        """Hold a seat for the block; False where there is none left, for who or at all."""
        with self._lock:
            free = (
                self._taken.total() < settings.WAITERS
                and self._taken[who] < settings.WAITERS_OF_ONE_ACCOUNT
            )
            if free:
                self._taken[who] += 1
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._taken[who] -= 1
                    if not self._taken[who]:
                        del self._taken[who]


_seats = _Seats()
_silent_until = 0.0


def announce(topic: str, news: str) -> None:
    """Wake those who wait for topic in this schema, once the transaction at hand has committed.

    news says in a word what has changed, so that who waits for something else sleeps on.
    """
    _publish_on_commit((_channel(topic), news))


def announce_all(news: Iterable[tuple[str, str]]) -> None:
    """Announce several topics, each with its news, in one message to Redis."""
    _publish_on_commit(*((_channel(topic), word) for topic, word in news))


def end_waits(schema: str) -> None:
    """Answer everybody who waits in schema with what there is, once it is committed here."""
    _publish_on_commit((_end_channel(schema), "end"))


def _publish_on_commit(*news: tuple[str, str]) -> None:
    def publish() -> None:
        global _silent_until
        if time.monotonic() < _silent_until:
            return
        try:
            ask(*(("PUBLISH", channel, word) for channel, word in news))
        except redis.RedisError as error:
            # Waiters look again by themselves; the change itself is stored.
            channels = [channel for channel, _ in news]
            logger.warning("wake.publish_failed", channels=channels, error=str(error))
            if isinstance(error, redis.TimeoutError):  # One that refuses does so at once.
                _silent_until = time.monotonic() + SILENT_S

    if news:
        transaction.on_commit(publish)


def wait_until(
    topics: str | Sequence[str],
    look: Callable[[], Seen],
    *,
    enough: Callable[[Seen], bool],
    timeout_s: float,
    waiter: str,
    heeds: Callable[[str], bool] = lambda _news: True,
) -> Seen:
    """Return ``look()`` as soon as ``enough`` says so, else what it is after timeout_s seconds.

    It is looked once, and then whenever there are news of a topic that ``heeds``. waiter names the
    account in this schema that waits. Where too many wait already, it is answered at once with what
    there is, and so without Redis. Must not be called in a transaction: it would stay open.
    """
    if timeout_s <= 0:
        return look()
    with listening(topics, waiter=waiter) as listener:
        seen = look()
        if listener.is_deaf or enough(seen):
            return seen
        return listener.wait_until(look, enough=enough, timeout_s=timeout_s, heeds=heeds)


class Listener:
    """Hears what is announced of some topics from its beginning on. Of one thread."""

    def __init__(self, channels: Sequence[str]) -> None:
        self._end = _end_channel(current_schema())
        self._channels = frozenset([*channels, self._end])
        self._line: Line | None = None

    @property
    def is_deaf(self) -> bool:
        return self._line is None

    def begin(self, *, is_first: bool) -> None:
        with self._deaf_without_redis():
            self._line, new = self._subscribed(with_next=is_first)
            if not is_first:
                _await_start(self._line, new)

    def _subscribed(self, *, with_next: bool) -> tuple[Line, frozenset[str]]:
        kept = line()
        try:
            return kept, kept.subscribe(self._channels, with_next=with_next)
        except redis.ConnectionError:
            drop_line()  # It died since the last wait.
            anew = line()
            return anew, anew.subscribe(self._channels, with_next=with_next)

    def end(self) -> None:
        with self._deaf_without_redis():
            if self._line is not None:
                self._line.unsubscribe()

    def wait_until(
        self,
        look: Callable[[], Seen],
        *,
        enough: Callable[[Seen], bool],
        timeout_s: float,
        heeds: Callable[[str], bool] = lambda _news: True,
    ) -> Seen:
        """Return ``look()`` as soon as there are news that ``heeds`` and ``enough`` says so.

        It is looked after timeout_s seconds at the latest; at once where it cannot hear, and where
        all waits of the schema are ended.
        """
        deadline = time.monotonic() + timeout_s
        with self._deaf_without_redis():
            while (listened := self._line) and (left := deadline - time.monotonic()) > 0:
                heard = listened.hear(min(left, LONGEST_SILENCE_S))
                if heard is None or self._is_news(heard, heeds):
                    seen = look()
                    if enough(seen):
                        return seen
                elif heard[:2] == ["message", self._end]:
                    break
        return look()

    def _is_news(self, heard: Sequence[str], heeds: Callable[[str], bool]) -> bool:
        kind, channel, text = heard
        is_ours = kind == "message" and channel in self._channels and channel != self._end
        return is_ours and heeds(text)

    @contextmanager
    def _deaf_without_redis(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            drop_line(self._line)
            self._line = None
            logger.warning("wake.wait_failed", channels=sorted(self._channels), error=str(error))


@contextmanager
def listening(
    topics: str | Sequence[str], *, waiter: str, is_first: bool = False
) -> Iterator[Listener]:
    """Listen during the block, so that nothing that happens in it is missed.

    waiter as in ``wait_until``. is_first: nobody is expected to announce anything of topics before
    the block has asked Redis for something, on the line of this thread; the subscription goes along
    with that. Whatever is announced earlier all the same, the wait hears of LONGEST_SILENCE_S
    later. Where too many wait already, it hears nothing.
    """
    named = [topics] if isinstance(topics, str) else topics
    listener = Listener([_channel(each) for each in named])
    with _seats.seat(f"{current_schema()}:{waiter}") as seated:
        if seated:
            listener.begin(is_first=is_first)
        try:
            yield listener
        except BaseException:
            drop_line()  # Whatever is still to be read from it.
            raise
        if not is_first:  # Else little more comes, and the next wait of this thread ends it.
            listener.end()


def _await_start(listened: Line, channels: Iterable[str]) -> None:
    """Wait until Redis has confirmed the subscriptions. Raises redis.RedisError."""
    missing = set(channels)
    while missing:
        heard = listened.hear(CONFIRMED_WITHIN_S)
        if heard is None:
            raise redis.TimeoutError("The subscription was not confirmed.")
        if heard[0] == "subscribe":
            missing.discard(heard[1])


def _channel(topic: str) -> str:
    return f"execfabric:wake:{current_schema()}:{topic}"


def _end_channel(schema: str) -> str:
    return f"{ENDS}:{schema}"
