"""JSON as the database can store it: what scripts and authors write need not be."""

from __future__ import annotations

import math
from typing import Any

from execfabric.core.audit import storable


def storable_json(value: Any) -> Any:
    """Return value without NUL characters, half surrogates and numbers that are none."""
    match value:
        case str():
            return storable(value)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {storable(str(key)): storable_json(item) for key, item in value.items()}
        case list() | tuple():
            return [storable_json(item) for item in value]
        case _:
            return value
