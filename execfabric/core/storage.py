"""The one door to stored files. A name always begins with the schema it belongs to."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, default_storage

from .actor import current_schema
from .errors import NotFound

_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


class WholeFileStorage(FileSystemStorage):
    """Files below a folder; a name is there only once its whole content is.

    What a killed process left of a file keeps a name of its own that nobody asks for. Object
    storage behaves like this by itself.
    """

    def _save(self, name: str, content: File[Any]) -> str:
        part = f"{name}.{secrets.token_hex(8)}.part"
        try:
            super()._save(part, content)  # type: ignore[misc]  # the stubs leave it out
            Path(self.path(part)).replace(self.path(name))
        except BaseException:
            self.delete(part)
            raise
        return name


def store_file(folder: str, name: str, content: IO[bytes]) -> str:
    """Store content under ``<schema>/<folder>/<name>`` and return that storage name.

    folder and name are made by the platform (ids, digests), never taken from a request, and say
    what the content is: a file of that name and size is kept, one of another size is no whole copy
    and is replaced. content is read from its start.
    """
    stored = _own(f"{current_schema()}/{folder}/{name}")
    file = File(content)
    if default_storage.exists(stored) and default_storage.size(stored) == file.size:
        return stored
    return default_storage.save(stored, file)


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
