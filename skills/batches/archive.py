"""All files the rows of a batch left, as one ZIP archive that is made while it is sent."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from uuid import UUID

from django_tenants.utils import schema_context

from execfabric.core.actor import current_schema
from execfabric.core.errors import NotFound
from execfabric.core.storage import open_file
from skills.executions.models import Artifact

from .models import Batch

FILES_AT_ONCE = 200
PIECE_BYTES = 256 * 1024
MISSING = "missing-files.txt"


class _Outlet(io.RawIOBase):
    """Where the archive is written to; what was written is taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def as_zip(batch: Batch) -> Iterator[bytes]:
    """Return the archive in pieces: ``row-00012/chart.png``.

    A file that is not stored any more is named in MISSING. May be read when the request is over.
    """
    schema = current_schema()
    digits = len(str(batch.total_rows + 1))
    outlet = _Outlet()
    missing: list[str] = []
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, artifact in _artifacts(schema, batch):
            name = f"row-{number:0{digits}}/{artifact.name}"
            try:
                with schema_context(schema):
                    content = open_file(artifact.stored_as)
            except NotFound:
                missing.append(name)
                continue
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            large = artifact.size_bytes >= zipfile.ZIP64_LIMIT // 2
            with content, archive.open(entry, "w", force_zip64=large) as target:
                while piece := content.read(PIECE_BYTES):
                    target.write(piece)
                    yield outlet.take()
        if missing:
            archive.writestr(MISSING, "Not stored any more:\n" + "\n".join(missing) + "\n")
    yield outlet.take()


def _artifacts(schema: str, batch: Batch) -> Iterator[tuple[int, Artifact]]:
    """Return the artifacts of the rows with the number of their row, in its order."""
    after: tuple[int, UUID | None] = (0, None)
    while True:
        number, last = after
        with schema_context(schema):
            artifacts = Artifact.objects.filter(
                execution__batch_row__batch=batch, execution__batch_row__number__gte=number
            ).order_by("execution__batch_row__number", "pk")
            if last is not None:
                artifacts = artifacts.exclude(execution__batch_row__number=number, pk__lte=last)
            found = list(
                artifacts.values_list("execution__batch_row__number", "pk")[:FILES_AT_ONCE]
            )
            by_id = Artifact.objects.in_bulk([pk for _number, pk in found])
        for row_number, pk in found:
            if pk in by_id:
                yield row_number, by_id[pk]
        if len(found) < FILES_AT_ONCE:
            return
        after = found[-1]
