"""Making an export, part by part. Each part is stored and noted, so work goes on after any end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import redis
import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric import __version__
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidTransition, NotFound
from execfabric.core.storage import files_below, open_file, size_of
from execfabric.web.audit.exporting import whole_bundle
from skills.executions.models import Artifact, StoredContent
from tenants.registry.models import Tenant

from . import lifecycle, services
from .contents import (
    ALSO_LEFT_OUT,
    LEFT_OUT_FOLDERS,
    Table,
    exported_tables,
    left_out_tables,
    mask_of,
)
from .failures import TakenOver, reason_of
from .models import TenantExport
from .parts import Stored, as_line, copy_into, new_part, store_lines
from .states import ExportStage, ExportStatus

logger = structlog.get_logger(__name__)

FORMAT, VERSION = "execfabric-tenant-export", 1
MANIFEST, SUMS, TRAIL = "manifest.json", "SHA256SUMS", "audit/trail.jsonl"
ROWS_AT_ONCE = 500
PART_BYTES = 32 * 1024 * 1024
"""A table's rows fill files of about this size."""
FILES_AT_ONCE = 50
FILES_BYTES = 256 * 1024 * 1024
"""Stored files are noted once so many of them, or so many bytes, were copied."""
ROWS_SHARE, FILES_SHARE, TRAIL_SHARE = 0.4, 0.9, 0.97
"""Where the progress bar stands after each stage."""


def work_on(export_id: UUID | str, *, until: float) -> bool:
    """Make parts of an export until the time is up (monotonic); return whether there is more to do.

    What goes wrong is noted on the export, whence somebody may have it gone on with. A database or
    Redis that is away is raised, since nothing could be noted: a scan sends the work again. Where
    another worker has taken it over, which a Redis that forgets claims leads to, it is left to it:
    each writes to a folder of its turn, and files that were not noted belong to no export.
    """
    export = lifecycle.take_export(export_id)
    if export is None:
        return False
    actor = Actor.system("tenant_data")
    try:
        if export.status == ExportStatus.QUEUED:
            export = lifecycle.begin_export(export, _facts_of(export), timezone.now())
        while time.monotonic() < until:
            if export.stage == ExportStage.MANIFEST:
                digest = _write_manifest(export)
                services.finish_export(
                    actor=actor, export=export, manifest_sha256=digest, finished_at=timezone.now()
                )
                return False
            export = _STEPS[ExportStage(export.stage)](export, until)
        return True
    except (OperationalError, InterfaceError, redis.RedisError) as error:
        if lifecycle.note_break(export) <= lifecycle.MOST_BREAKS:
            raise
        _fail(actor, export, error)
    except (TakenOver, InvalidTransition):
        logger.info("export.taken_over", export=str(export.pk))
    except Exception as error:
        logger.exception("export.failed", export=str(export.pk))
        _fail(actor, export, error)
    return False


def _fail(actor: Actor, export: TenantExport, error: Exception) -> None:
    reason = reason_of(error)
    try:
        services.fail_export(actor=actor, export=export, reason=reason, failed_at=timezone.now())
    except (TakenOver, InvalidTransition):  # Whoever works on it now may do better.
        logger.info("export.taken_over", export=str(export.pk))


def _facts_of(export: TenantExport) -> dict[str, Any]:
    """Return what the manifest says about the tenant, as it is when the export begins."""
    tenant = Tenant.objects.prefetch_related("domains").filter(pk=export.tenant_id).first()
    if tenant is None:
        raise Conflict("This tenant is gone; there is nothing left to export.")
    with schema_context(tenant.schema_name):
        expected = StoredContent.objects.count() + Artifact.objects.count()
    return {
        "tenant": {
            "name": tenant.name,
            "title": tenant.title,
            "number": tenant.number,
            "schema": tenant.schema_name,
            "status": tenant.status,
            "opened_at": tenant.created_at.isoformat(),
            "hosts": sorted(one.domain for one in tenant.domains.all()),
        },
        "begun_at": timezone.now().isoformat(),
        "expected_files": expected,
    }


# --- rows -----------------------------------------------------------------------------------------


def _export_rows(export: TenantExport, until: float) -> TenantExport:
    """Write the next file of rows; a table without any has none."""
    tables = exported_tables()
    place, after = export.cursor.get("table", 0), export.cursor.get("after")
    if place >= len(tables):
        return lifecycle.note_part(
            export,
            [],
            now=timezone.now(),
            cursor={},
            stage=ExportStage.FILES,
            share_done=ROWS_SHARE,
        )
    table, number = tables[place], export.cursor.get("part", 0) + 1
    rows = 0
    is_over = False
    with new_part() as part:
        while part.size_bytes < PART_BYTES:
            some, after = _read_rows(export.schema_name, table, after)
            for row in some:
                part.add(as_line(row))
            rows += len(some)
            if len(some) < ROWS_AT_ONCE:
                is_over = True
                break
        stored = [part.store(export.own_folder, _path_of(table, number))] if rows else []
    cursor = {"table": place + 1} if is_over else {"table": place, "after": after, "part": number}
    return lifecycle.note_part(
        export,
        stored,
        now=timezone.now(),
        table=table.name,
        rows=rows,
        cursor=cursor,
        share_done=ROWS_SHARE * (place + is_over) / len(tables),
    )


def _path_of(table: Table, number: int) -> str:
    return f"rows/{'public/' if table.is_public else ''}{table.name}-{number:04}.jsonl"


def _read_rows(
    schema: str, table: Table, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the next rows by column, as the tenant's own role sees them, and the last one's key.

    Secrets are hidden in the rows.
    """
    fields = table.fields
    with schema_context(schema):
        found = table.model._base_manager.order_by("pk")
        if after is not None:
            found = found.filter(pk__gt=after)
        values = list(found.values_list("pk", *(one.attname for one in fields))[:ROWS_AT_ONCE])
        columns = [str(field.column) for field in fields]
        rows = [dict(zip(columns, one[1:], strict=True)) for one in values]
        hide = mask_of(table.model)
        if hide is not None and rows:
            hide(rows)
    return rows, str(values[-1][0]) if values else after


# --- files ----------------------------------------------------------------------------------------


def _export_files(export: TenantExport, until: float) -> TenantExport:
    """Copy the next stored files."""
    after = export.cursor.get("after", "")
    with schema_context(export.schema_name):
        names = list(islice(files_below(after=after, skip=LEFT_OUT_FOLDERS), FILES_AT_ONCE))
    copied: list[Stored] = []
    missing: list[str] = []
    size = 0
    for name in names:
        if copied and (size > FILES_BYTES or time.monotonic() > until):
            break
        after = name
        path = f"files/{name.partition('/')[2]}"
        try:
            with schema_context(export.schema_name):
                size_bytes, content = size_of(name), open_file(name)
        except NotFound:  # Its time was over just now.
            missing.append(path)
            continue
        with content:
            copied.append(copy_into(export.own_folder, path, content, size_bytes))
        size += copied[-1].size_bytes
    expected = max(export.facts.get("expected_files", 0), 1)
    done = min(1.0, (export.cursor.get("files", 0) + len(copied)) / expected)
    return lifecycle.note_part(
        export,
        copied,
        now=timezone.now(),
        cursor={"after": after, "files": export.cursor.get("files", 0) + len(copied)}
        if names
        else {},
        stage=None if names else ExportStage.TRAIL,
        share_done=ROWS_SHARE + (FILES_SHARE - ROWS_SHARE) * (done if names else 1.0),
        missing=missing,
    )


# --- trail and manifest ---------------------------------------------------------------------------


def _export_trail(export: TenantExport, until: float) -> TenantExport:
    """Write the sealed trail, as ``execfabric-cli audit verify`` takes it."""
    with schema_context(export.schema_name):
        stored = store_lines(export.own_folder, TRAIL, whole_bundle(timezone.now()))
    return lifecycle.note_part(
        export,
        [stored],
        now=timezone.now(),
        cursor={},
        stage=ExportStage.MANIFEST,
        share_done=TRAIL_SHARE,
    )


_STEPS = {
    ExportStage.ROWS: _export_rows,
    ExportStage.FILES: _export_files,
    ExportStage.TRAIL: _export_trail,
}


def _write_manifest(export: TenantExport) -> str:
    """Write manifest and sums, from the names of all files; return the manifest's digest."""
    manifest = store_lines(export.own_folder, MANIFEST, _manifest_lines(export, timezone.now()))
    store_lines(export.own_folder, SUMS, _sums(export, manifest))
    return manifest.sha256


def _manifest_lines(export: TenantExport, made_at: datetime) -> Iterator[bytes]:
    """Yield one JSON document whose list of files, which may be long, comes last."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "export": str(export.pk),
        "platform_version": __version__,
        "begun_at": export.facts["begun_at"],
        "made_at": made_at.isoformat(),
        "tenant": export.facts["tenant"],
        "tables": [_described(export, table) for table in exported_tables()],
        "left_out": {
            "tables": left_out_tables(),
            "folders": LEFT_OUT_FOLDERS,
            "also": list(ALSO_LEFT_OUT),
        },
        "missing": export.facts.get("missing", []),
    }
    text = json.dumps(head, ensure_ascii=False, indent=1)
    yield text.removesuffix("\n}").encode() + b',\n "files": ['
    separator = b"\n  "
    for file in export.files.order_by("path").iterator(chunk_size=2_000):
        entry = {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
        yield separator + json.dumps(entry, ensure_ascii=False).encode()
        separator = b",\n  "
    yield b"\n ]\n}\n"


def _described(export: TenantExport, table: Table) -> dict[str, Any]:
    return {
        "table": table.name,
        "schema": "public" if table.is_public else export.schema_name,
        "rows": export.facts.get("rows", {}).get(table.name, 0),
        "columns": [field.column for field in table.fields],
        "left_out": table.left_out,
    }


def _sums(export: TenantExport, manifest: Stored) -> Iterator[bytes]:
    """Yield lines as ``sha256sum --check`` reads them."""
    for file in export.files.order_by("path").iterator(chunk_size=2_000):
        yield f"{file.sha256}  {file.path}\n".encode()
    yield f"{manifest.sha256}  {MANIFEST}\n".encode()
