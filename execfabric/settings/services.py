"""Where the database, the broker and the stored files are: given by URL, or embedded."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from execfabric.embedded import EmbeddedError, read_running
from execfabric.embedded.binaries import POSTGRES

from .environment import Environment

GIVE_UP_AFTER = {
    "connect_timeout": "10",
    "tcp_user_timeout": "15000",
    "keepalives_idle": "60",
    "keepalives_interval": "10",
}
"""Seconds, but milliseconds for tcp_user_timeout, unless the URL says otherwise: a network that
swallows what is sent must look like a database that is away, and one that forgets idle connections
be reminded of those of threads that wait."""


def with_embedded(environment: Environment) -> Environment:
    """Return environment with the URLs and port of the running instance where none were given."""
    complete = bool(environment.database_url and environment.redis_url)
    try:
        running = read_running(environment.data_dir)
    except EmbeddedError as error:
        if not complete:
            raise ImproperlyConfigured(str(error)) from None
        running = None
    if running is None:
        if complete:
            return environment
        raise ImproperlyConfigured(
            "No database is running. Start one with `make demo`, or set EXECFABRIC_DATABASE_URL "
            "and EXECFABRIC_REDIS_URL."
        )
    given = "port" in environment.model_fields_set
    return environment.model_copy(
        update={
            "database_url": environment.database_url or running.database_url,
            # Each owner belongs to its own database.
            "database_owner_url": environment.database_owner_url
            if environment.database_url
            else running.database_owner_url,
            "redis_url": environment.redis_url or running.redis_url,
            "port": environment.port if given or running.port is None else running.port,
        }
    )


def database_settings(url: str) -> dict[str, Any]:
    """Return the DATABASES entry of a ``postgresql://`` URL."""
    return {
        **_database(url, "EXECFABRIC_DATABASE_URL"),
        "ENGINE": "tenants.postgresql",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }


def owner_settings(url: str, database: dict[str, Any]) -> dict[str, Any] | None:
    """Return what of a DATABASES entry is different for the owner; None without a URL."""
    if not url:
        return None
    owner = _database(url, "EXECFABRIC_DATABASE_OWNER_URL")
    if owner.pop("NAME") != database["NAME"]:
        raise ImproperlyConfigured(
            "EXECFABRIC_DATABASE_OWNER_URL and EXECFABRIC_DATABASE_URL name two databases."
        )
    if owner["USER"] == database["USER"]:
        raise ImproperlyConfigured(
            "EXECFABRIC_DATABASE_URL logs in as the owner, whom nothing keeps out of a tenant. "
            "Name another user there; it is created when it is missing."
        )
    return owner


def _database(url: str, setting: str) -> dict[str, Any]:
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError:
        # The reason would quote the URL, password and all.
        raise ImproperlyConfigured(
            f"{setting} is not usable. Write postgresql://user:password@host:5432/name, special "
            "characters of the password as %.. codes."
        ) from None
    known = {
        "NAME": "dbname",
        "HOST": "host",
        "PORT": "port",
        "USER": "user",
        "PASSWORD": "password",
    }
    database: dict[str, Any] = {name: parts.pop(key, "") for name, key in known.items()}
    if not database["NAME"]:
        raise ImproperlyConfigured(f"{setting} names no database.")
    return {**database, "OPTIONS": {**GIVE_UP_AFTER, **parts}}


def broker_url(redis_url: str) -> str:
    """Return Celery's spelling of a Redis URL; only a unix socket is spelt differently."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    number = parse_qs(parts.query).get("db", ["0"])[0]
    password = f":{parts.password}@" if parts.password else ""
    return f"redis+socket://{password}{parts.path}?virtual_host={number}"


def storage_settings(url: str, data_dir: Path) -> dict[str, Any]:
    """Return the default entry of STORAGES: a private folder, or a bucket by ``s3://`` URL."""
    parts = urlsplit(url)
    is_folder = parts.scheme == "file" and not parts.netloc and parts.path.strip("/")
    if not url or is_folder:
        return {
            "BACKEND": "execfabric.core.storage.WholeFileStorage",
            "OPTIONS": {
                "location": unquote(parts.path) if is_folder else str(data_dir / "storage"),
                "file_permissions_mode": 0o600,
                "directory_permissions_mode": 0o700,
                "allow_overwrite": True,  # A name is a digest or an id: see core.storage.
            },
        }
    if parts.scheme != "s3" or not parts.hostname:
        raise ImproperlyConfigured(
            "EXECFABRIC_STORAGE_URL must look like s3://key:secret@bucket or file:///folder."
        )
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": parts.hostname,
            "access_key": unquote(parts.username or ""),
            "secret_key": unquote(parts.password or ""),
            "endpoint_url": query.get("endpoint"),
            "region_name": query.get("region"),
            "default_acl": None,
            "file_overwrite": True,
        },
    }


def secret_key(environment: Environment) -> str:
    """Return the signing key: the given one, or the one embedded use made for itself."""
    own = environment.data_dir / "secret_key"
    if environment.secret_key:
        return environment.secret_key
    if own.exists():
        return own.read_text().strip()
    raise ImproperlyConfigured(
        "No signing key. Set EXECFABRIC_SECRET_KEY or EXECFABRIC_SECRET_KEY_FILE to 50 random "
        "characters."
    )


def audit_key(environment: Environment) -> str:
    """Return what signs seals: the given one, or that of embedded use; empty without either."""
    own = environment.data_dir / "audit_key"
    if environment.audit_key:
        return environment.audit_key
    try:
        return own.read_text().strip()
    except (FileNotFoundError, PermissionError):
        return ""


def credential_keys(environment: Environment) -> tuple[str, ...]:
    """Return the keys of credentials, newest first: the given ones, or embedded use's own.

    Without any, credentials can neither be stored nor used; all else works.
    """
    own = environment.data_dir / "credential_keys"
    if environment.credential_keys:
        return environment.credential_keys
    return tuple(own.read_text().split()) if own.exists() else ()


def pg_dump(environment: Environment) -> Path:
    """Return the pg_dump that provisioning uses: the operator's, or the one of the wheel."""
    if environment.pg_bin:
        return Path(environment.pg_bin) / "pg_dump"
    return Path(str(distribution(POSTGRES.distribution).locate_file(POSTGRES.programs))) / "pg_dump"


def email_settings(url: str) -> dict[str, Any]:
    """Return Django's EMAIL_* settings of an ``smtp://`` or ``smtps://`` URL."""
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ImproperlyConfigured("EXECFABRIC_EMAIL_URL must look like smtp://user:pw@host:587.")
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or 587,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp" and parts.port != 25,
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": 15,  # Seconds; Django would wait forever.
    }
