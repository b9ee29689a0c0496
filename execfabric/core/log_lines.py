"""The line that each request leaves in the log: the same as others, on a shorter way."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from .actor import current_schema
from .request_context import current_request_id


def say(logger: logging.Logger, event: str, **values: Any) -> None:
    """Log event as structlog would, which takes three times as long. values are plain ones."""
    if not logger.isEnabledFor(logging.INFO):
        return
    line = {
        **values,
        "event": event,
        "level": "info",
        "logger": logger.name,
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "request_id": current_request_id(),
        "schema": current_schema(),
    }
    record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, line, None, None)
    record.is_whole = True  # For the formatter, which masks and writes it, and adds nothing.
    logger.handle(record)
