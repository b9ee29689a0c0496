"""Reading what is in a registered bundle, without unpacking it."""

from __future__ import annotations

import io

from execfabric.core.storage import open_file
from executors.script.bundle import Bundle, BundleError, read_archive

from .models import ScriptVersion


def bundle_of(version: ScriptVersion) -> Bundle:
    """Return the files of a version as they were registered. Raises BundleError, NotFound."""
    with open_file(version.stored_as) as stored:
        bundle = read_archive(io.BytesIO(stored.read()))
    if bundle.digest != version.digest:
        raise BundleError("The stored bundle is not the one that was registered.")
    return bundle
