"""What the cache in Redis holds is JSON: who can write there must not run code here."""

from __future__ import annotations

import json
from typing import Any


class JsonSerializer:
    """For Django's Redis cache, whose own serializer loads pickles."""

    def dumps(self, value: Any) -> bytes | int:
        # Redis counts with numbers only as they are.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)
