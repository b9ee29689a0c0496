"""Reads back what a run left behind, once nothing of it is alive.

Every name in these folders was chosen by the script. So nothing is opened by path: each folder is
entered through the one above it, links are never followed, and only ordinary files count.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from executors.contract import Limits, OutputFile
from executors.masking import FileMasker, Masker
from executors.script.bundle import BundleError, check_path

MAX_DEPTH = 16
MAX_SKIPPED = 50
READ_BYTES = 256 * 1024
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooLarge(Exception):
    """A file is larger than it may be."""


class Collector:
    """Copies the files of a run's output folder into a folder of the platform."""

    def __init__(
        self, target: Path, limits: Limits, owner: int | None, masker: Masker | None = None
    ) -> None:
        """owner: user id the files must have; None takes the worker's own.

        masker: takes the secrets of the run out of the files and their names.
        """
        self.files: list[OutputFile] = []
        self.skipped: list[str] = []
        self._target = target
        self._bytes_left = limits.artifact_bytes
        self._limits = limits
        self._masker = masker or Masker(())
        self._owner = os.geteuid() if owner is None else owner
        self._entries_left = 20 * limits.artifact_count + 1000
        self._paths: set[str] = set()

    def collect(self, folder: int) -> None:
        """Copy all below the open folder; what cannot be kept is named in ``skipped``."""
        self._collect_folder(folder, "", 1)

    def _collect_folder(self, folder: int, prefix: str, depth: int) -> None:
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._entries_left -= 1
                if self._entries_left < 0:
                    self._skip("There are too many files and folders; the rest was not looked at.")
                    break
                names.append(entry.name)
        for name in sorted(names):
            try:
                self._collect_entry(folder, name, prefix, depth)
            except OSError as error:
                self._skip(f"{self._shown(prefix + name)} could not be read: {error.strerror}.")

    def _collect_entry(self, folder: int, name: str, prefix: str, depth: int) -> None:
        kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        shown = self._shown(prefix + name)
        if stat.S_ISDIR(kind):
            if depth >= MAX_DEPTH:
                self._skip(f"{shown} lies more than {MAX_DEPTH} folders deep.")
                return
            inner = os.open(name, FOLDER_FLAGS, dir_fd=folder)
            try:
                self._collect_folder(inner, f"{prefix}{name}/", depth + 1)
            finally:
                os.close(inner)
            return
        if not stat.S_ISREG(kind):
            self._skip(f"{shown} is a link or another special file.")
            return
        try:
            path = self._masker.mask(check_path(prefix + name, portable=False))
        except BundleError:
            self._skip(f"{shown} has a name that cannot be kept.")
            return
        if path in self._paths:
            self._skip(f"{shown} is there twice, spelled differently.")
        elif len(self.files) >= self._limits.artifact_count:
            self._skip(f"{shown} is one file too many; {self._limits.artifact_count} may be kept.")
        else:
            self._copy(folder, name, path, shown)

    def _copy(self, folder: int, name: str, path: str, shown: str) -> None:
        source = os.open(name, FILE_FLAGS, dir_fd=folder)
        target = self._target / path
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != self._owner:
                # A hard link to a file of somebody else looks like an ordinary file.
                self._skip(f"{shown} does not belong to the run.")
                return
            self._target.mkdir(mode=0o700, exist_ok=True)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            size, digest = copy_file(source, target, self._bytes_left, FileMasker(self._masker))
        except TooLarge:
            target.unlink(missing_ok=True)
            self._skip(
                f"{shown} is too large; all files together may have "
                f"{self._limits.artifact_bytes} bytes."
            )
            return
        finally:
            os.close(source)
        self._bytes_left -= size
        self._paths.add(path)
        self.files.append(OutputFile(name=path, path=target, size_bytes=size, sha256=digest))

    def _shown(self, name: str) -> str:
        name = self._masker.mask(name)  # Before it is cut: a part of a secret is not found.
        return ascii(name)[:120] if not name.isprintable() else f"'{name[:120]}'"

    def _skip(self, sentence: str) -> None:
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(sentence)


def copy_file(source: int, target: Path, max_bytes: int, masker: FileMasker) -> tuple[int, str]:
    """Copy an open file, masked, to the new file target. Raises TooLarge.

    Returns (bytes, sha256) of what was written.
    """
    if os.fstat(source).st_size > max_bytes:
        raise TooLarge
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o600), "wb") as stream:
        is_over = False
        while not is_over:
            read = os.read(source, READ_BYTES)
            is_over = not read
            piece = masker.feed(read, final=is_over)
            size += len(piece)
            if size > max_bytes:
                raise TooLarge
            digest.update(piece)
            stream.write(piece)
    return size, digest.hexdigest()


def read_small_file(folder: int, name: str, max_bytes: int) -> bytes | None:
    """Return the content of an ordinary file in an open folder, None when there is none.

    Raises TooLarge, and OSError for links and other special files.
    """
    try:
        descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is not an ordinary file")
        if found.st_size > max_bytes:
            raise TooLarge
        # Nothing of the run is alive, so it is as long as it says; and no longer is read of it.
        return os.read(descriptor, found.st_size)
    finally:
        os.close(descriptor)
