from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from .hostile import names_for, session_of, tenant_schemas


@pytest.fixture(scope="session")
def schemas(django_db_setup: None) -> dict[str, str]:
    """The schema of each tenant by its name."""
    return tenant_schemas()


@pytest.fixture
def names(schemas: dict[str, str]) -> dict[str, str]:
    """What stands in the braces of a statement that acme sends against globex."""
    return names_for(schemas["acme"], schemas["globex"])


@pytest.fixture
def attacker(schemas: dict[str, str]) -> Any:
    """A plain session in acme's role."""
    with session_of(schemas["acme"]) as session:
        yield session


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Any:
    """The application's own connection with no transaction around the test."""
    with django_db_blocker.unblock():
        connection.set_schema_to_public()
        yield SimpleNamespace(connection=connection)
        connection.close()
