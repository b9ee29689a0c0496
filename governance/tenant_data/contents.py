"""What of a tenant is exported, table by table. What nobody decided on is left out, and named."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models

from skills.batches.models import Batch, BatchRow
from skills.catalogue.models import SkillVersion
from skills.executions.models import Execution
from tenants.postgresql.exposure import OPENINGS

WHOLE_APPS = frozenset({"core", "menu", "catalogue", "executions", "batches"})
"""Every table of these is exported; of the other apps, those named below."""
TABLES = frozenset(
    {
        "accounts_account",
        "accounts_roleassignment",
        "accounts_group",
        "accounts_groupmember",
        "accounts_apitoken",
    }
)
LEFT_OUT_TABLES = {
    "accounts_session": "sessions: whoever has one is logged in",
    "accounts_secondfactor": "secrets of authenticator apps",
    "accounts_recoverycode": "hashes of codes to log in with",
    "core_auditmark": "bookkeeping of sealing",
    "executions_turnstile": "a lock of the workers",
}
LEFT_OUT_COLUMNS = {
    "accounts_account.password": "hash of a password",
    "accounts_apitoken.digest": "hash of a token",
    "accounts_apitoken.token_key": "beginning of a token",
    "executions_execution.lease_token": "key of the worker that holds a run",
}
SUSPICIOUS = re.compile(
    r"password|passwd|secret|token|credential|api_?key|private|salt|seed|otp|recovery|sealed$"
)
"""A column with such a name is left out unless it is declared harmless, whatever table it is in."""
HARMLESS_COLUMNS: frozenset[str] = frozenset()
UNDECIDED = "nobody decided that it may be exported"
LOOKS_SECRET = "its name says that it may hold a secret"  # noqa: S105  # words
MASKED = "(left out)"

LEFT_OUT_FOLDERS = {
    "incoming": "uploads that broke off",
    "environments": "packages of scripts, installed again from their locks",
}
"""Of the tenant's storage."""
ALSO_LEFT_OUT = (
    {"what": "credentials of HTTP APIs", "why": "they belong to the platform and stay there"},
    {"what": "secret inputs of executions and batches", "why": "they were given for one run only"},
    {"what": "keys that sign seals and links", "why": "they are the platform's"},
)


@dataclass(frozen=True, slots=True)
class Table:
    """One table and what is taken from it."""

    model: type[models.Model]
    is_public: bool
    """Whether it lies in the public schema, where row-level security shows the tenant's rows."""

    @property
    def name(self) -> str:
        return str(self.model._meta.db_table)

    @property
    def left_out(self) -> dict[str, str]:
        """Columns that are not exported, with why."""
        found = {}
        for field in self.model._meta.concrete_fields:
            place = f"{self.name}.{field.column}"
            if place in LEFT_OUT_COLUMNS:
                found[str(field.column)] = LEFT_OUT_COLUMNS[place]
            elif SUSPICIOUS.search(str(field.column)) and place not in HARMLESS_COLUMNS:
                found[str(field.column)] = LOOKS_SECRET
        return found

    @property
    def fields(self) -> list[models.Field[Any, Any]]:
        left_out = self.left_out
        return [one for one in self.model._meta.concrete_fields if one.column not in left_out]


def exported_tables() -> list[Table]:
    """Return every table of which rows are exported, in a fixed order."""
    own = [Table(model, is_public=False) for model in _tenant_models() if _is_wanted(model)]
    opened = [
        Table(model, is_public=True)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.db_table in OPENINGS
    ]
    return sorted(own, key=lambda one: one.name) + sorted(opened, key=lambda one: one.name)


def left_out_tables() -> dict[str, str]:
    """Return the tables of a tenant of which nothing is exported, with why."""
    return {
        str(model._meta.db_table): LEFT_OUT_TABLES.get(str(model._meta.db_table), UNDECIDED)
        for model in _tenant_models()
        if not _is_wanted(model)
    }


def _tenant_models() -> list[type[models.Model]]:
    names = set(settings.TENANT_APPS)
    return [
        model
        for config in apps.get_app_configs()
        if config.name in names
        for model in config.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]


def _is_wanted(model: type[models.Model]) -> bool:
    table = str(model._meta.db_table)
    if table in LEFT_OUT_TABLES:
        return False
    return model._meta.app_label in WHOLE_APPS or table in TABLES


Mask = Callable[[list[dict[str, Any]]], None]
"""Changes rows in place, each by column, in the tenant's schema."""


def mask_of(model: type[models.Model]) -> Mask | None:
    """Return what hides secret inputs in rows of model; None where there are none."""
    return _MASKS.get(model)


def _mask_inputs(rows: list[dict[str, Any]], version_of: Mapping[int, Any]) -> None:
    """Hide the values of those inputs that a row's version declares to be secrets."""
    secrets = _secret_inputs(set(version_of.values()))
    for place, row in enumerate(rows):
        hidden = secrets.get(version_of.get(place), frozenset())
        if hidden and isinstance(row["inputs"], dict):
            row["inputs"] = {
                name: MASKED if name in hidden else value for name, value in row["inputs"].items()
            }


def _secret_inputs(versions: set[Any]) -> dict[Any, frozenset[str]]:
    found = SkillVersion.objects.only("input_schema").in_bulk(versions)
    return {pk: version.secret_inputs for pk, version in found.items()}


def _mask_versioned(rows: list[dict[str, Any]]) -> None:
    _mask_inputs(rows, {place: row["version_id"] for place, row in enumerate(rows)})


def _mask_batch_rows(rows: list[dict[str, Any]]) -> None:
    batches = {row["batch_id"] for row in rows}
    versions = dict(Batch.objects.filter(pk__in=batches).values_list("pk", "version_id"))
    _mask_inputs(rows, {place: versions.get(row["batch_id"]) for place, row in enumerate(rows)})


_MASKS: dict[type[models.Model], Mask] = {
    Execution: _mask_versioned,
    Batch: _mask_versioned,
    BatchRow: _mask_batch_rows,
}


@functools.cache
def total_tables() -> int:
    return len(exported_tables())
