"""Entering the public domain for a few statements, where the submissions of all tenants lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django_tenants.utils import get_public_schema_name, schema_context


@contextmanager
def public_domain() -> Iterator[None]:
    """Switch schema and role to the public domain's, and back. Its transaction is the caller's.

    No row-level security narrows what is read or written inside: name the tenant.
    """
    with schema_context(get_public_schema_name()):
        yield
