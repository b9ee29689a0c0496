"""Waking those who wait for a change: Redis publish/subscribe, so nobody polls the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import redis
import structlog
from django.db import transaction

from .actor import current_schema
from .redis import client

logger = structlog.get_logger(__name__)
Seen = TypeVar("Seen")

LONGEST_SILENCE_S = 10.0
"""A waiter looks again after this long even if nothing was announced (a lost message)."""


def announce(topic: str) -> None:
    """Wake those who wait for topic in this schema, once the transaction at hand has committed."""
    channel = _channel(topic)

    def publish() -> None:
        try:
            client().publish(channel, "1")
        except redis.RedisError as error:
            # Waiters look again by themselves; the change itself is stored.
            logger.warning("wake.publish_failed", channel=channel, error=str(error))

    transaction.on_commit(publish)


def wait_until(
    topic: str, look: Callable[[], Seen], *, enough: Callable[[Seen], bool], timeout_s: float
) -> Seen:
    """Return ``look()`` as soon as ``enough`` says so, else what it is after timeout_s seconds.

    Subscribes before the first look, so a change between the two is not missed. Without Redis it
    returns what it sees at once.
    """
    if timeout_s <= 0:
        return look()
    deadline = time.monotonic() + timeout_s
    try:
        with client().pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(_channel(topic))
            seen = look()
            while not enough(seen) and (left := deadline - time.monotonic()) > 0:
                subscription.get_message(timeout=min(left, LONGEST_SILENCE_S))
                seen = look()
            return seen
    except redis.RedisError as error:
        logger.warning("wake.wait_failed", topic=topic, error=str(error))
        return look()


def _channel(topic: str) -> str:
    return f"execfabric:wake:{current_schema()}:{topic}"
