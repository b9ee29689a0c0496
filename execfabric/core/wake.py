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
from redis.client import PubSub

from .actor import current_schema
from .redis import client, tell

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
            tell([("PUBLISH", channel, word) for channel, word in news])
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
        self._channels = [*channels, self._end]
        self._subscription: PubSub | None = None

    @property
    def is_deaf(self) -> bool:
        return self._subscription is None

    def begin(self, *, is_first: bool) -> None:
        with self._deaf_without_redis():
            self._subscription = _subscription()
            self._subscription.subscribe(*self._channels)
            if not is_first:
                _await_start(self._subscription, self._channels)

    def end(self) -> None:
        with self._deaf_without_redis():
            if self._subscription is not None:
                self._subscription.unsubscribe(*self._channels)  # type: ignore[no-untyped-call]

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
            while (listened := self._subscription) and (left := deadline - time.monotonic()) > 0:
                message = listened.get_message(timeout=min(left, LONGEST_SILENCE_S))
                if message is not None and _is_news(message, [self._end], lambda _news: True):
                    break
                if message is None or _is_news(message, self._channels, heeds):
                    seen = look()
                    if enough(seen):
                        return seen
        return look()

    @contextmanager
    def _deaf_without_redis(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            self._subscription = None
            _drop_subscription()
            logger.warning("wake.wait_failed", channels=self._channels, error=str(error))


@contextmanager
def listening(
    topics: str | Sequence[str], *, waiter: str, is_first: bool = False
) -> Iterator[Listener]:
    """Listen during the block, so that nothing that happens in it is missed.

    waiter as in ``wait_until``. is_first: nobody else can announce anything of topics before the
    block has sent something to Redis; so what is announced comes after this subscription, whether
    that was confirmed or not. Where too many wait already, it hears nothing.
    """
    named = [topics] if isinstance(topics, str) else topics
    listener = Listener([_channel(each) for each in named])
    with _seats.seat(f"{current_schema()}:{waiter}") as seated:
        if seated:
            listener.begin(is_first=is_first)
        try:
            yield listener
        except BaseException:
            _drop_subscription()  # Whatever is still to be read from it.
            raise
        listener.end()


def _await_start(subscription: PubSub, channels: Sequence[str]) -> None:
    """Wait until Redis has confirmed the subscriptions. Raises redis.RedisError."""
    missing = set(channels)
    while missing:
        message = subscription.get_message(timeout=CONFIRMED_WITHIN_S)
        if message is None:
            raise redis.TimeoutError("The subscription was not confirmed.")
        if message["type"] == "subscribe":
            missing.discard(message["channel"])


def _is_news(
    message: dict[str, str], channels: Sequence[str], heeds: Callable[[str], bool]
) -> bool:
    is_ours = message["type"] == "message" and message["channel"] in channels
    return is_ours and heeds(message["data"])


_of_thread = threading.local()


def _subscription() -> PubSub:
    """Return the one of this thread; to open one for each wait would take longer than a look."""
    kept: PubSub | None = getattr(_of_thread, "subscription", None)
    if kept is None:
        kept = _of_thread.subscription = client().pubsub()  # type: ignore[no-untyped-call]
    return kept


def _drop_subscription() -> None:
    kept: PubSub | None = _of_thread.__dict__.pop("subscription", None)
    if kept is not None:
        kept.close()


def _channel(topic: str) -> str:
    return f"execfabric:wake:{current_schema()}:{topic}"


def _end_channel(schema: str) -> str:
    return f"{ENDS}:{schema}"
