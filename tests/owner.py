"""The owner's own connection, for what no session of the application may do."""

from __future__ import annotations

from typing import Any

import psycopg
from django.conf import settings
from django.db import connection


def owner_connection(**options: Any) -> psycopg.Connection[Any]:
    """Return a connection of the owner to this worker's database, outside any transaction."""
    owner = {
        key.lower(): settings.DATABASE_OWNER[key] for key in ("HOST", "PORT", "USER", "PASSWORD")
    }
    return psycopg.connect(
        **{"dbname": connection.settings_dict["NAME"], "autocommit": True, **owner, **options}
    )
