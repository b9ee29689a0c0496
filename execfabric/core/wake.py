"""Waking those who wait for a change: Redis publish/subscribe, so nobody polls the database."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import TypeVar

import redis
import structlog
from django.conf import settings
from django.db import transaction

from .actor import current_schema
from .redis import client

logger = structlog.get_logger(__name__)
Seen = TypeVar("Seen")

LOG, PROGRESS = "log", "progress"
"""Kinds of news that whoever waits for something else need not look at."""
ANYTHING = "1"
LONGEST_SILENCE_S = 10.0
"""A waiter looks again after this long even if nothing was announced (a lost message)."""


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


def announce(topic: str, news: str = ANYTHING) -> None:
    """Wake those who wait for topic in this schema, once the transaction at hand has committed.

    news is LOG or PROGRESS where no more than that changed.
    """
    channel = _channel(topic)

    def publish() -> None:
        try:
            client().publish(channel, news)
        except redis.RedisError as error:
            # Waiters look again by themselves; the change itself is stored.
            logger.warning("wake.publish_failed", channel=channel, error=str(error))

    transaction.on_commit(publish)


def wait_until(
    topic: str,
    look: Callable[[], Seen],
    *,
    enough: Callable[[Seen], bool],
    timeout_s: float,
    waiter: str,
    unmoved_by: Container[str] = (),
) -> Seen:
    """Return ``look()`` as soon as ``enough`` says so, else what it is after timeout_s seconds.

    News of a kind in unmoved_by is no reason to look. waiter names the account in this schema that
    waits. Where too many wait already, it is answered at once with what there is, and so without
    Redis. Must not be called in a transaction: the wait would hold it open.
    """
    if timeout_s <= 0:
        return look()
    with _seats.seat(f"{current_schema()}:{waiter}") as seated:
        return _wait(topic, look, enough, timeout_s, unmoved_by) if seated else look()


def _wait(
    topic: str,
    look: Callable[[], Seen],
    enough: Callable[[Seen], bool],
    timeout_s: float,
    unmoved_by: Container[str],
) -> Seen:
    # Subscribed before the first look, so a change between the two is not missed.
    deadline = time.monotonic() + timeout_s
    try:
        with client().pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(_channel(topic))
            seen, look_by = look(), time.monotonic() + LONGEST_SILENCE_S
            while not enough(seen) and (now := time.monotonic()) < deadline:
                look_by = min(look_by, deadline)
                message = subscription.get_message(timeout=max(0.0, look_by - now))
                # None can also be what the server says about the subscription itself.
                heard = message is not None and message["data"] not in unmoved_by
                if heard or time.monotonic() >= look_by:
                    seen, look_by = look(), time.monotonic() + LONGEST_SILENCE_S
            return seen
    except redis.RedisError as error:
        logger.warning("wake.wait_failed", topic=topic, error=str(error))
        return look()


def _channel(topic: str) -> str:
    return f"execfabric:wake:{current_schema()}:{topic}"
