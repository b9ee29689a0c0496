"""An export as one ZIP file, made while it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import IO

from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.storage import open_file, size_of
from execfabric.web.downloads import Entry

from .exporting import MANIFEST, SUMS
from .models import TenantExport

AT_ONCE = 1_000


def name_of(export: TenantExport) -> str:
    day = export.finished_at.date() if export.finished_at else export.requested_at.date()
    return f"{export.schema_name}-{export.name}-{day.isoformat()}.zip"


def entries_of(export: TenantExport) -> Iterator[Entry]:
    """Yield every file of an export; the request may be over by the time it is read."""
    for path in (MANIFEST, SUMS):
        with schema_context(get_public_schema_name()):
            size_bytes = size_of(_stored(export.own_folder, path))
        yield path, size_bytes, partial(_open, export.own_folder, path)
    last = 0
    while True:
        with schema_context(get_public_schema_name()):
            some = list(export.files.filter(pk__gt=last).order_by("pk")[:AT_ONCE])
        for file in some:
            folder = export.folder_of(file.turn)
            yield file.path, file.size_bytes, partial(_open, folder, file.path)
        if len(some) < AT_ONCE:
            return
        last = some[-1].pk


def _open(folder: str, path: str) -> AbstractContextManager[IO[bytes]]:
    with schema_context(get_public_schema_name()):
        opened: AbstractContextManager[IO[bytes]] = open_file(_stored(folder, path))
    return opened


def _stored(folder: str, path: str) -> str:
    return f"{get_public_schema_name()}/{folder}/{path}"
