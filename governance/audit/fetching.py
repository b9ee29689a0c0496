"""An archive as an answer, the same for page and API."""

from __future__ import annotations

from django.http import FileResponse

from execfabric.core.actor import Actor
from execfabric.core.storage import open_file
from execfabric.web.audit.services import export_trail
from execfabric.web.security import CSP_HEADER, UNTRUSTED_FILE_POLICY

from .models import AuditArchive


def send_archive(actor: Actor, archive: AuditArchive) -> FileResponse:
    """Return an archive as it is stored; taking it is an export, and leaves an event like one.

    Raises NotPermitted, ProofNeeded, NotFound.
    """
    export_trail(actor=actor, form="archive", selection={"archive": str(archive.pk)})
    name = f"audit-{archive.schema}-seals-{archive.first_seal}-{archive.last_seal}.jsonl.gz"
    response = FileResponse(
        open_file(archive.stored_as),
        as_attachment=True,
        filename=name,
        content_type="application/gzip",
    )
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY
    response["Cache-Control"] = "no-store"
    return response
