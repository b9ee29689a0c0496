"""Opening files whose time may be over."""

from __future__ import annotations

from django.core.files.base import File
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from execfabric.core.errors import Gone, NotFound
from execfabric.core.storage import open_file

from .models import Artifact, StoredFile


def open_content(file: Artifact | StoredFile) -> File[bytes]:
    """Open a file for reading. Raises Gone after retention removed it, NotFound when it is lost."""
    removed_at = file.removed_at if isinstance(file, StoredFile) else None
    if removed_at is None:
        try:
            return open_file(file.stored_as)
        except NotFound:
            removed_at = file.execution.files_removed_at if isinstance(file, Artifact) else None
            if removed_at is None:
                raise
    day = date_format(timezone.localtime(removed_at), "j F Y")
    raise Gone(_("This file was removed by retention on %(day)s.") % {"day": day})
