from __future__ import annotations

import logging

from structlog.stdlib import ProcessorFormatter


def test_the_secret_of_a_link_is_masked_in_the_lines_of_other_packages() -> None:
    """Django names the path of a request it refuses, for example one without a CSRF token."""
    handler = next(
        each
        for each in logging.getLogger().handlers
        if isinstance(each.formatter, ProcessorFormatter)
    )
    record = logging.LogRecord(
        "django.security.csrf",
        logging.WARNING,
        __file__,
        1,
        "Forbidden (%s): %s",
        ("no cookie", "/set-password/MQ/c0ffee-5ec4e7/"),
        None,
    )

    line = handler.format(record)

    assert "c0ffee" not in line
    assert "/set-password/…" in line.encode().decode("unicode_escape")
