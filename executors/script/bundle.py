"""A script folder as one immutable, content-addressed bundle.

Everything that enters is untrusted: an archive may be a bomb, carry links or climb out of its
folder. A Bundle has passed all checks; ``unpack`` makes them again on the other side.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from executors.contract import MEBIBYTE, ExecutorError
from executors.script.removal import remove_tree
from executors.zips import has_small_directory

MAX_FILES = 500
MAX_ENTRIES = 4 * MAX_FILES
"""Folders and ignored files count here, so that they cannot come by the million."""
MAX_BYTES = 50 * MEBIBYTE
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
MAX_DEPTH = 16
READ_BYTES = 64 * 1024

IGNORED_NAMES = {".git", "__pycache__", ".venv", ".DS_Store", "__MACOSX"}
ENTRIES = ("main.py", "main.sh")
README = "README.md"


class BundleError(ExecutorError):
    """The folder or archive is not acceptable; the message says why."""


@dataclass(frozen=True)
class BundleFile:
    path: str
    """Relative, NFC-normalised, '/'-separated."""
    executable: bool
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Bundle:
    """The files of a script folder, sorted by path."""

    files: tuple[BundleFile, ...]

    @cached_property
    def digest(self) -> str:
        """sha256 in hex over path, executable bit and content of every file."""
        total = hashlib.sha256()
        for file in self.files:
            content = hashlib.sha256(file.content).hexdigest()
            total.update(f"{file.path}\0{int(file.executable)}\0{content}\n".encode())
        return total.hexdigest()

    @property
    def size_bytes(self) -> int:
        return sum(len(file.content) for file in self.files)

    def read(self, path: str) -> bytes | None:
        """Return the content of one file, None when it is not in the bundle."""
        return next((file.content for file in self.files if file.path == path), None)

    def pack(self) -> bytes:
        """Return a tar.gz; the same files always give the same bytes."""
        packed = io.BytesIO()
        with (
            gzip.GzipFile(
                fileobj=packed, mode="wb", compresslevel=6, mtime=0, filename=""
            ) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for file in self.files:
                entry = tarfile.TarInfo(file.path)
                entry.size = len(file.content)
                entry.mode = 0o755 if file.executable else 0o644
                archive.addfile(entry, io.BytesIO(file.content))
        return packed.getvalue()


class _Collector:
    """Takes files one by one and enforces every rule about names, number and size."""

    def __init__(self) -> None:
        self._files: dict[str, BundleFile] = {}
        self._folded: dict[str, str] = {}
        self._entries = 0
        self._bytes = 0

    def check_entry(self, name: str) -> str | None:
        """Return the normalised path of an entry, None when it is to be ignored."""
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise BundleError(f"There are more than {MAX_ENTRIES} files and folders.")
        path = check_path(name)
        parts = path.split("/")
        if IGNORED_NAMES.intersection(parts) or path.endswith(".pyc"):
            return None
        return path

    def add(self, path: str, stream: IO[bytes], *, executable: bool) -> None:
        """Read stream to its end, never more than may still come."""
        if len(self._files) >= MAX_FILES:
            raise BundleError(f"There are more than {MAX_FILES} files.")
        self._refuse_duplicate(path)
        pieces = []
        # What an archive's header says about a size proves nothing; only reading does.
        while piece := stream.read(READ_BYTES):
            self._bytes += len(piece)
            if self._bytes > MAX_BYTES:
                raise BundleError(
                    f"The files are larger than {MAX_BYTES // MEBIBYTE} MiB together."
                )
            pieces.append(piece)
        self._files[path] = BundleFile(path, executable, b"".join(pieces))

    def _refuse_duplicate(self, path: str) -> None:
        """Refuse two names that are one on some file system, and a file that is also a folder."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            is_file = depth == len(parts)
            folded = unicodedata.normalize("NFKC", part).casefold() + ("" if is_file else "/")
            other = folded[:-1] if folded.endswith("/") else folded + "/"
            known = self._folded.setdefault(folded, part)
            if known != part or other in self._folded or (is_file and path in self._files):
                raise BundleError(
                    f"{part!r} is there twice, or differs only in upper and lower case."
                )

    def finish(self) -> Bundle:
        files = self._without_wrapping_folder()
        names = {file.path for file in files}
        if not names.intersection(ENTRIES):
            raise BundleError("There is no main.py or main.sh at the top of the folder.")
        if README not in names:
            raise BundleError(f"There is no {README} at the top of the folder.")
        return Bundle(tuple(sorted(files, key=lambda file: file.path)))

    def _without_wrapping_folder(self) -> list[BundleFile]:
        """Archives often hold one folder with everything in it; take what is inside."""
        files = list(self._files.values())
        tops = {file.path.partition("/")[0] for file in files}
        if len(tops) != 1 or any("/" not in file.path for file in files):
            return files
        return [
            BundleFile(file.path.partition("/")[2], file.executable, file.content) for file in files
        ]


def check_path(name: str, *, portable: bool = True) -> str:
    """Return name as a normalised relative path. Raises BundleError for anything odd.

    portable also refuses what Windows cannot store.
    """
    shown = repr(name[:200])
    if len(name) > 4 * MAX_PATH_BYTES:
        raise BundleError(f"{shown} is too long.")
    drive = portable and len(name) > 1 and name[1] == ":" and name[0].isalpha()
    if name.startswith("/") or drive:
        raise BundleError(f"{shown} is an absolute path.")
    if "\\" in name:
        raise BundleError(f"{shown} contains a backslash.")
    path = unicodedata.normalize("NFC", name.rstrip("/"))
    while path.startswith("./"):
        path = path[2:]
    if not path or path == ".":
        raise BundleError(f"{shown} is not a name.")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise BundleError(f"{shown} is not valid text.") from None
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        raise BundleError(f"{shown} lies more than {MAX_DEPTH} folders deep.")
    if size > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise BundleError(f"{shown} is too long.")
    for part in parts:
        if part in ("", ".", ".."):
            raise BundleError(f"{shown} leads out of the folder or has an empty part.")
        if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in part):
            raise BundleError(f"{shown} contains a control character.")
        odd = any(char in ':*?"<>|' for char in part) or part[-1] in ". " or part[0] == " "
        if portable and odd:
            raise BundleError(f"{shown} is not a name that every system can store.")
    return path


def read_bundle(folder: Path) -> Bundle:
    """Return the bundle of a local folder. Raises BundleError."""
    if not folder.is_dir():
        raise BundleError(f"{folder.name!r} is not a folder.")
    collector = _Collector()
    for path, full in _walk(folder, collector):
        try:
            descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as stream:
                mode = os.fstat(descriptor).st_mode
                if not stat.S_ISREG(mode):
                    raise BundleError(f"{path!r} is not an ordinary file.")
                collector.add(path, stream, executable=bool(mode & stat.S_IXUSR))
        except OSError as error:
            raise BundleError(f"{path!r} cannot be read: {error.strerror}.") from error
    return collector.finish()


def _walk(folder: Path, collector: _Collector) -> Iterator[tuple[str, str]]:
    todo: list[tuple[str, str]] = [("", str(folder))]
    while todo:
        prefix, current = todo.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            raise BundleError(
                f"{prefix or folder.name!r} cannot be read: {error.strerror}."
            ) from error
        for entry in entries:
            if entry.name in IGNORED_NAMES or entry.name.endswith(".pyc"):
                continue
            path = collector.check_entry(prefix + entry.name)
            if path is None:
                continue
            if entry.is_symlink():
                raise BundleError(f"{path!r} is a link. Put the file itself into the folder.")
            if entry.is_dir(follow_symlinks=False):
                todo.append((path + "/", entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield path, entry.path
            else:
                raise BundleError(f"{path!r} is not an ordinary file.")


def read_archive(source: Path | IO[bytes]) -> Bundle:
    """Return the bundle in a zip or tar.gz. source is a path or a seekable binary file.

    One folder around everything is taken off. Raises BundleError.
    """
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return read_archive(stream)
        except OSError as error:
            raise BundleError(f"The archive cannot be read: {error.strerror}.") from error
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    if size > MAX_BYTES:
        raise BundleError(f"The archive is larger than {MAX_BYTES // MEBIBYTE} MiB.")
    magic = source.read(4)
    source.seek(0)
    collector = _Collector()
    try:
        if magic[:2] == b"\x1f\x8b":
            _read_tar(source, collector)
        elif magic[:2] == b"PK":
            _read_zip(source, collector)
        else:
            raise BundleError("The file is neither a zip nor a tar.gz archive.")
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BundleError(f"The archive is damaged: {error}.") from error
    except (NotImplementedError, RuntimeError, ValueError, OverflowError, OSError) as error:
        raise BundleError(f"The archive uses something that is not supported: {error}.") from error
    return collector.finish()


def _read_zip(source: IO[bytes], collector: _Collector) -> None:
    if not has_small_directory(source, most_entries=MAX_ENTRIES):
        raise BundleError(f"There are more than {MAX_ENTRIES} files and folders.")
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            if entry.flag_bits & 0x1:
                raise BundleError("The archive is encrypted. Pack it without a password.")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BundleError("The archive is compressed in an unusual way. Use plain zip.")
            # zipfile cuts a name at NUL and turns the system's separator; we want it as it was.
            path = collector.check_entry(entry.orig_filename)
            mode = entry.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BundleError(
                    f"{entry.filename!r} is a link or a device, not an ordinary file."
                )
            if path is None or entry.is_dir() or kind == stat.S_IFDIR:
                continue
            with archive.open(entry) as stream:
                collector.add(path, stream, executable=bool(mode & stat.S_IXUSR))


def _read_tar(source: IO[bytes], collector: _Collector) -> None:
    with gzip.GzipFile(fileobj=source, mode="rb") as unzipped:
        bounded = cast("IO[bytes]", _Bounded(unzipped, MAX_BYTES + MAX_ENTRIES * 2048))
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for entry in archive:
                if entry.isdir() and entry.name in (".", "./"):
                    continue
                path = collector.check_entry(entry.name)
                if not (entry.isreg() or entry.isdir()) or entry.issparse():
                    raise BundleError(
                        f"{entry.name!r} is a link or a device, not an ordinary file."
                    )
                stream = None if path is None or entry.isdir() else archive.extractfile(entry)
                if path is not None and stream is not None:
                    collector.add(path, stream, executable=bool(entry.mode & stat.S_IXUSR))


class _Bounded:
    """A stream that ends a bomb: a tar's headers are read whole, however large they claim to be."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, left: int) -> None:
        self._stream = stream
        self._left = left

    def read(self, size: int = -1) -> bytes:
        wanted = READ_BYTES if size < 0 else min(size, READ_BYTES)
        data = self._stream.read(wanted)
        self._left -= len(data)
        if self._left < 0:
            raise BundleError(f"The files are larger than {MAX_BYTES // MEBIBYTE} MiB together.")
        return data


def unpack(data: bytes, target: Path, *, digest: str | None = None) -> Path:
    """Write the files of a packed bundle to the folder target and return target.

    Safe when several workers do it at once: the folder appears whole or not at all, and the first
    one wins. Folders are 0755, files 0644 or 0755. Raises BundleError, also when digest is given
    and is not that of data.
    """
    bundle = read_archive(io.BytesIO(data))
    if digest is not None and bundle.digest != digest:
        raise BundleError("The stored bundle is not the one that was registered.")
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".unpack-", dir=target.parent))
    try:
        write_files(bundle, partial)
        partial.rename(target)
    except OSError as error:
        remove_tree(partial)
        # Somebody else was first; what lies there has the same content.
        if not target.is_dir():
            raise BundleError(f"The bundle cannot be stored: {error.strerror}.") from error
    return target


def write_files(bundle: Bundle, folder: Path) -> None:
    """Write the files of bundle into the existing, empty folder, whatever the umask is."""
    folder.chmod(0o755)
    made = {folder}
    for file in bundle.files:
        path = folder / file.path
        for parent in reversed(path.parents[: len(Path(file.path).parts) - 1]):
            if parent not in made:
                parent.mkdir()
                parent.chmod(0o755)
                made.add(parent)
        with path.open("xb") as stream:
            stream.write(file.content)
        path.chmod(0o755 if file.executable else 0o644)
