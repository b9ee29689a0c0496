"""The one door to stored files. A name always begins with the schema it belongs to."""

from __future__ import annotations

import contextlib
import re
import secrets
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, default_storage, storages

from .actor import current_schema
from .errors import NotFound

INCOMING = "incoming"
"""Folder of each schema where files lie while they are written. What killed processes left of
theirs is swept from there."""

SEALS = "seals"
"""Alias of the storage that copies of seals go to, if there is one."""

_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


class WholeFileStorage(FileSystemStorage):
    """Files below a folder; a name is there only once its whole content is.

    Until then it lies in the schema's folder ``incoming``. Object storage behaves like this by
    itself.
    """

    def _save(self, name: str, content: File[Any]) -> str:
        part = f"{name.split('/', 1)[0]}/{INCOMING}/{secrets.token_hex(16)}.part"
        whole = Path(self.path(name))
        try:
            super()._save(part, content)  # type: ignore[misc]  # the stubs leave it out
            mode = self.directory_permissions_mode or 0o777
            whole.parent.mkdir(mode=mode, parents=True, exist_ok=True)
            Path(self.path(part)).replace(whole)
        except BaseException:
            self.delete(part)
            raise
        return name


def store_file(folder: str, name: str, content: IO[bytes]) -> str:
    """Store content under ``<schema>/<folder>/<name>`` and return that storage name.

    folder and name are made by the platform (ids, digests), never taken from a request, and say
    what the content is: a file of that name and size is kept, one of another size is no whole copy
    and is replaced. content is read from its start; an upload that lies on the same disk is moved.
    """
    stored = _own(f"{current_schema()}/{folder}/{name}")
    file = content if isinstance(content, File) else File(content)
    if default_storage.exists(stored) and default_storage.size(stored) == file.size:
        return stored
    return default_storage.save(stored, file)


def store_anew(folder: str, name: str, content: IO[bytes]) -> str:
    """Store content as ``store_file`` does, in place of whatever has that name: its time is new."""
    return default_storage.save(_own(f"{current_schema()}/{folder}/{name}"), File(content))


def open_file(stored: str) -> File[bytes]:
    """Open a stored file of the current schema for reading. Raises NotFound for any other."""
    try:
        return default_storage.open(_own(stored), "rb")
    except FileNotFoundError:
        raise NotFound("This file is no longer stored.") from None


def delete_file(stored: str) -> None:
    """Delete a stored file of the current schema; one that is gone already is no error."""
    default_storage.delete(_own(stored))


def stored_in(folder: str) -> list[str]:
    """Return the storage names of the files right in a folder of the current schema."""
    inside = _own(f"{current_schema()}/{folder}")
    try:
        _folders, names = default_storage.listdir(inside)
    except FileNotFoundError:
        return []
    return sorted(f"{inside}/{name}" for name in names)


def stored_at(stored: str) -> datetime:
    """Return when a file was stored, with its time zone. Raises NotFound."""
    try:
        return default_storage.get_modified_time(_own(stored))
    except FileNotFoundError:
        raise NotFound("This file is no longer stored.") from None


def delete_folder(folder: str) -> None:
    """Delete the files right in a folder of the current schema, and the folder."""
    for stored in stored_in(folder):
        delete_file(stored)
    with contextlib.suppress(OSError):  # Not empty after all, or never there.
        default_storage.delete(_own(f"{current_schema()}/{folder}"))


def sweep_incoming(*, before: datetime) -> int:
    """Delete what killed processes left of files of this schema; return how many it was.

    A file that was still written to at that moment is left alone.
    """
    swept = 0
    for part in stored_in(INCOMING):
        with contextlib.suppress(NotFound):
            if stored_at(part) < before:
                delete_file(part)
                swept += 1
    return swept


def store_aside(alias: str, name: str, content: IO[bytes]) -> None:
    """Store content under name in another storage than that of all files, which is never read.

    name is made by the platform. Raises what that storage raises.
    """
    if not _NAME.fullmatch(name) or ".." in name.split("/"):
        raise NotFound("There is no such file.")
    storages[alias].save(name, File(content))


def _own(stored: str) -> str:
    well_formed = _NAME.fullmatch(stored) and ".." not in stored.split("/")
    if not well_formed or stored.split("/", 1)[0] != current_schema():
        raise NotFound("There is no such file.")
    return stored
