"""The one way to write a value down as bytes, so that equal values have equal digests."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

EVENT_FIELDS = (
    *("id", "at", "code", "outcome", "schema", "actor_id", "actor_name", "door", "address"),
    *("target_type", "target_id", "target_label", "request_id", "reason", "details"),
)
"""What is sealed of an event: all of it. A field that is added later needs a new format."""


class NotCanonical(ValueError):
    """A text is no JSON, or not written as ``canonical`` writes it."""


def canonical(value: Any) -> bytes:
    """Return value as JSON: keys sorted, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def parse(text: bytes) -> Any:
    """Return the value of a canonical text. Raises NotCanonical, also for a space too many."""
    try:
        value = json.loads(text.decode("utf-8", "surrogatepass"))
        again = canonical(value)
    except (ValueError, RecursionError):
        raise NotCanonical("It is no JSON.") from None
    if again != text:  # A key twice, another order, an escape nobody needed.
        raise NotCanonical("It is not written as the platform writes it.")
    return value


def event_digest(event: Mapping[str, Any]) -> bytes:
    """Return the sha256 of an event, given with all EVENT_FIELDS."""
    return hashlib.sha256(canonical(dict(event))).digest()


def leaf_of(event_id: str, digest: bytes) -> bytes:
    """Return the leaf of an event in its seal's tree. Raises ValueError for what is no UUID."""
    return hashlib.sha256(b"\x00" + uuid.UUID(event_id).bytes + digest).digest()


def ids_digest(event_ids: list[str]) -> str:
    """Return the sha256 over the ids of a seal's events in their order, hexadecimal."""
    return hashlib.sha256(b"".join(uuid.UUID(one).bytes for one in event_ids)).hexdigest()


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_text(text: str) -> bytes:
    """Return what ``as_text`` was given. Raises ValueError, also for another spelling of it."""
    data = base64.b64decode(text, validate=True)
    if as_text(data) != text:
        raise ValueError("This is no base64 as it is written here.")
    return data
