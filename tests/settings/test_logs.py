from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest
import structlog
from django.db import DatabaseError, connection, transaction
from structlog.stdlib import ProcessorFormatter

from execfabric.core.log_lines import say


def line_of(name: str, text: str, *arguments: object, failed: bool = False) -> str:
    """Return the line a handler writes for a record, at will with the exception at hand."""
    exception = sys.exc_info() if failed else None
    return written(
        logging.LogRecord(name, logging.WARNING, __file__, 1, text, arguments, exception)
    )


def written(record: logging.LogRecord) -> str:
    handler = next(
        each
        for each in logging.getLogger().handlers
        if isinstance(each.formatter, ProcessorFormatter)
    )
    return handler.format(record)


def test_the_line_of_a_request_is_as_any_other_and_masked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    values: dict[str, object] = {"route": "/set-password/MQ/5ec4e7/", "status": 200}
    with caplog.at_level("INFO"):
        say(logging.getLogger("a.b"), "request", **values)
        structlog.get_logger("a.b").info("request", **values)

    short, usual = (json.loads(written(record)) for record in caplog.records)
    assert "5ec4e7" not in short["route"]
    assert list(short) == list(usual)
    moments = [each.pop("timestamp") for each in (short, usual)]
    assert short == usual
    assert all(datetime.fromisoformat(each).tzinfo and each.endswith("Z") for each in moments)


def test_the_secret_of_a_link_is_masked_in_the_lines_of_other_packages() -> None:
    """Django names the path of a request it refuses, for example one without a CSRF token."""
    path = "/set-password/MQ/c0ffee-5ec4e7/"

    line = line_of("django.security.csrf", "Forbidden (%s): %s", "no cookie", path)

    assert "c0ffee" not in line
    assert "/set-password/…" in json.loads(line)["event"]


def test_a_failed_statement_is_not_in_the_log(acme):
    # Not where it is executed: a traceback shows that line of the code.
    statement = "SELECT 'a secret value', no_such_column FROM accounts_account"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError as error:
        line = line_of("any", "Could not read: %s", error, failed=True)

    assert "a secret value" not in line
    assert 'column \\"no_such_column\\" does not exist' in line, "The reason itself stays."


def test_the_lines_of_a_tenant_name_no_other_schema(acme, globex):
    connection.set_tenant(acme)

    line = line_of("any", f"{acme.schema_name} asked for {globex.schema_name}.accounts_account")

    assert globex.schema_name not in line
    assert acme.schema_name in json.loads(line)["event"]


def test_the_lines_of_the_platform_name_the_tenant_they_are_about(platform, globex):
    connection.set_tenant(platform)

    assert globex.schema_name in line_of("any", f"could not scan {globex.schema_name}")
