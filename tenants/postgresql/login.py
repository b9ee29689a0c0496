"""How the application logs in, as configured; asked for where the owner's session is at hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection


@dataclass(frozen=True, slots=True)
class Login:
    name: str
    password: str = field(repr=False)
    database: str


def login_of_the_application() -> Login:
    """Return the configured login, and the database the present session is connected to."""
    configured = settings.DATABASES["default"]
    return Login(
        name=configured["USER"],
        password=configured["PASSWORD"],
        database=connection.settings_dict["NAME"],
    )
