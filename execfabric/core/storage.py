"""The one door to stored files. A name always begins with the schema it belongs to."""

from __future__ import annotations

import re
from typing import IO

from django.core.files.base import File
from django.core.files.storage import default_storage

from .actor import current_schema
from .errors import NotFound

_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def store_file(folder: str, name: str, content: IO[bytes]) -> str:
    """Store content under ``<schema>/<folder>/<name>`` and return that storage name.

    folder and name are made by the platform (ids, digests), never taken from a request. A name that
    is taken is kept: content-addressed files are stored once.
    """
    stored = _own(f"{current_schema()}/{folder}/{name}")
    if default_storage.exists(stored):
        return stored
    return default_storage.save(stored, File(content))


def open_file(stored: str) -> File[bytes]:
    """Open a stored file of the current schema for reading. Raises NotFound for any other."""
    try:
        return default_storage.open(_own(stored), "rb")
    except FileNotFoundError:
        raise NotFound("This file is no longer stored.") from None


def delete_file(stored: str) -> None:
    default_storage.delete(_own(stored))


def _own(stored: str) -> str:
    well_formed = _NAME.fullmatch(stored) and ".." not in stored.split("/")
    if not well_formed or stored.split("/", 1)[0] != current_schema():
        raise NotFound("There is no such file.")
    return stored
