"""The one door to stored files. A name always begins with the schema it belongs to."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Collection, Iterator
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


def files_below(folder: str = "", *, after: str = "", skip: Collection[str] = ()) -> Iterator[str]:
    """Yield the storage names of all files of the current schema below folder, in their order.

    Those up to the name after are left out, so that a walk can go on where it broke off; so is
    what lies in a folder of the schema that skip names. Only the names right in one folder are in
    memory at a time. The schema is that of the first step, wherever the others are taken.
    """
    schema = current_schema()
    top = _own(f"{schema}/{folder}") if folder else schema
    left_out = {f"{schema}/{name}" for name in skip}
    yield from _walk(top, after, left_out)


def _walk(folder: str, after: str, left_out: Collection[str]) -> Iterator[str]:
    if folder in left_out:
        return
    try:
        folders, files = default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    # As their whole names sort: "a.txt" comes before what is in "a".
    entries = [*(f"{folder}/{name}/" for name in folders), *(f"{folder}/{name}" for name in files)]
    for entry in sorted(entries):
        if entry.endswith("/"):
            if after.startswith(entry) or entry > after:
                yield from _walk(entry[:-1], after, left_out)
        elif entry > after:
            yield entry


def delete_empty_folders(folder: str = "") -> None:
    """Delete folder of the current schema, or all of them, as far as there are no files in it.

    Only storage on a file system has folders at all.
    """
    top = _own(f"{current_schema()}/{folder}") if folder else current_schema()
    if isinstance(default_storage, FileSystemStorage):
        _delete_empty(Path(default_storage.path(top)))


def _delete_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Not there, or not empty after all.
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                _delete_empty(entry)
        folder.rmdir()


def size_of(stored: str) -> int:
    """Return the size in bytes of a stored file of the current schema. Raises NotFound."""
    try:
        return default_storage.size(_own(stored))
    except FileNotFoundError:
        raise NotFound("This file is no longer stored.") from None


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
