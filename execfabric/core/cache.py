"""The cache in Redis. It holds JSON: who can write there must not run code here."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from . import redis

AT_ONCE = 1_000


class JsonSerializer:
    """For Django's Redis cache, whose own serializer loads pickles."""

    def dumps(self, value: Any) -> bytes | int:
        # Redis counts with numbers only as they are.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


def forget_schema(schema: str) -> None:
    """Delete all that is cached of a schema, failed logins among it. Raises RedisError."""
    client = redis.client()
    # As django_tenants.cache.make_key spells it.
    mine = f"{schema}:{settings.CACHES['default']['KEY_PREFIX']}:*"
    for key in client.scan_iter(match=mine, count=AT_ONCE):
        client.delete(key)
