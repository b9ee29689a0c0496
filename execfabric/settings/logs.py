"""Structured logs: one JSON object a line, each with the request id and the schema."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, Processor, WrappedLogger

LINKS = "/set-password/"
LINK = re.compile(rf"({LINKS})[^\s\"'?<]+")
STATEMENT = re.compile(r"\n(LINE \d+: .*\n\s*\^|(DETAIL|HINT|CONTEXT|QUERY):.*)")
"""What PostgreSQL adds to its message: parts of the statement, and values of rows."""
TENANT_SCHEMA = re.compile(r"(?<![a-z0-9])tenant_(?:\d+|free|template)(?![a-z0-9])")


def configuration(level: str) -> dict[str, Any]:
    """Set up structlog and return Django's LOGGING for the given least level."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context,
        _mask_texts,
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
                "()": Formatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    _mask_texts,
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


class Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict) and getattr(record, "is_whole", False):
            return json.dumps(_mask_texts(None, "", dict(record.msg)))
        return super().format(record)


def _mask_texts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out of every text what no log should hold.

    Keys and tokens of set-password links (Django names the path of what it refused), statements
    and values of the database, and, while a tenant is served, names of other tenants' schemas.
    """
    own = event.get("schema", "")
    for name, value in event.items():
        # Most texts have none of it, which is seen sooner than by a pattern.
        if isinstance(value, str) and ("\n" in value or "tenant_" in value or LINKS in value):
            event[name] = _masked(value, own)
    return event


def _masked(value: str, own: str) -> str:
    text = STATEMENT.sub("", LINK.sub(r"\1…", value))
    if own.startswith("tenant_"):
        text = TENANT_SCHEMA.sub(lambda found: _own_or_masked(found[0], own), text)
    return text


def _own_or_masked(schema: str, own: str) -> str:
    return schema if schema == own else "(another schema)"


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
