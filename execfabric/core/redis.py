"""The one connection pool to Redis or Valkey of this process."""

from __future__ import annotations

import functools
import os

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
