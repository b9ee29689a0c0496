"""The stored files of a revision, hashed again each time something depends on them."""

from __future__ import annotations

import io

from django_tenants.utils import schema_context

from execfabric.core.errors import Conflict, NotFound
from execfabric.core.storage import open_file
from executors.script.bundle import Bundle, BundleError, read_archive

from ..models import Revision


class FilesChanged(Conflict):
    """What is stored is not what was submitted: no verdict about it holds."""

    code = "files_changed"


def bundle_of(revision: Revision) -> Bundle:
    """Return the files of a revision. Raises FilesChanged unless they are those submitted."""
    with schema_context(revision.submission.tenant.schema_name):
        try:
            with open_file(revision.stored_as) as stored:
                bundle = read_archive(io.BytesIO(stored.read()))
        except (BundleError, NotFound) as error:
            raise FilesChanged(f"The stored files of {revision} cannot be read: {error}") from error
    if bundle.digest != revision.digest:
        raise FilesChanged(
            f"The stored files of {revision} are not the ones that were submitted. Nothing about "
            "them can be approved; the tenant has to submit them again."
        )
    return bundle
