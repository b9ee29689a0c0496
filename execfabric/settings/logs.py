"""Structured logs: one JSON object a line, each with the request id and the schema."""

from __future__ import annotations

import re
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, Processor, WrappedLogger

LINK = re.compile(r"(/set-password/)[^\s\"'?<]+")


def configuration(level: str) -> dict[str, Any]:
    """Set up structlog and return Django's LOGGING for the given least level."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context,
        _mask_links,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"handlers": ["stderr"], "propagate": False},
            "django.request": {"level": "ERROR"},
        },
    }


def _mask_links(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide the key and token of set-password links: Django names the path of what it refused."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = LINK.sub(r"\1…", value)
    return event


def _add_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Imported late: logging is set up before Django's apps are.
    from execfabric.core.request_context import current_request_id

    event["request_id"] = current_request_id()
    try:
        from django.db import connection

        event["schema"] = connection.schema_name  # type: ignore[attr-defined]
    except (ImportError, AttributeError, ImproperlyConfigured):
        event["schema"] = ""
    return event
