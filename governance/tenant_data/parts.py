"""Writing the files of an export to storage, hashed as they are written, never whole in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.storage import store_anew

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that was added to an export."""

    path: str
    size_bytes: int
    sha256: str


class HashedFile(File):
    """A file that is read once from its start, and knows afterwards what it was."""

    def __init__(self, content: IO[bytes], size_bytes: int) -> None:
        super().__init__(content)
        self._content = content
        self._digest = hashlib.sha256()
        self._size = size_bytes
        self.read_bytes = 0

    @property
    def size(self) -> int:
        return self._size

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, count: int = -1) -> bytes:
        piece = self._content.read(count)
        self._digest.update(piece)
        self.read_bytes += len(piece)
        return piece

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self.seek(0)
        while piece := self.read(chunk_size or PIECE_BYTES):
            yield piece

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go back to the start, where nothing is hashed yet. Raises ValueError for elsewhere."""
        if offset or whence:
            raise ValueError("This file is read from its start only.")
        self._content.seek(0)
        self._digest = hashlib.sha256()
        self.read_bytes = 0
        return 0

    def seekable(self) -> bool:
        """Say no, so that nobody reads parts of it twice."""
        return False


def copy_into(folder: str, path: str, content: IO[bytes], size_bytes: int) -> Stored:
    """Store content as path in the folder of a turn, in the platform's storage."""
    hashed = HashedFile(content, size_bytes)
    inside, _slash, name = f"{folder}/{path}".rpartition("/")
    with schema_context(get_public_schema_name()):
        store_anew(inside, name, hashed)
    return Stored(path, hashed.read_bytes, hashed.sha256)


class Part:
    """A file of lines that grows on this machine's disk until it is stored."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size_bytes = 0

    def add(self, line: bytes) -> None:
        self._file.write(line)
        self.size_bytes += len(line)

    def store(self, folder: str, path: str) -> Stored:
        self._file.flush()
        self._file.seek(0)
        return copy_into(folder, path, self._file, self.size_bytes)


@contextmanager
def new_part() -> Iterator[Part]:
    """Yield a part that is gone from the disk after the block, however it ends."""
    place = Path(settings.UPLOAD_DIR)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=place) as file:
        yield Part(file)


def store_lines(folder: str, path: str, lines: Iterable[bytes]) -> Stored:
    with new_part() as part:
        for line in lines:
            part.add(line)
        return part.store(folder, path)


def as_line(document: dict[str, Any]) -> bytes:
    """Return one line of JSON. What JSON has no form for: docs/reference/tenant-export.md."""
    text = json.dumps(document, ensure_ascii=False, default=_plain, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _plain(value: Any) -> Any:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | Decimal():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case set() | frozenset():
            return sorted(value)
        case _:
            raise TypeError(f"There is no form for {type(value).__name__} in an export.")
