"""Removes a folder a script could write to, however it was prepared against that."""

# ruff: noqa: PTH101, PTH208 - folders are open descriptors here; pathlib takes none.

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: Path) -> None:
    """Remove folder and all in it; nothing happens when it is not there.

    Folders are lifted to the top before they are emptied, so a chain of thousands of them costs
    neither recursion nor a path that is too long. Links are removed, never followed. Nothing of
    the run may be alive any more. Raises OSError when something cannot be removed.
    """
    try:
        top = _open_folder(str(folder), None)
    except FileNotFoundError:
        return
    try:
        empty_folder(top)
    finally:
        os.close(top)
    folder.rmdir()


def empty_folder(top: int) -> None:
    """Remove all that is in the open folder top, as ``remove_tree`` does."""
    while names := os.listdir(top):
        for name in names:
            remove_entry(top, name)


def remove_entry(top: int, name: str) -> None:
    """Remove one entry of the open folder top; folders inside it move up into top first."""
    if not _is_folder(top, name):
        os.unlink(name, dir_fd=top)
        return
    inner = _open_folder(name, top)
    try:
        for child in os.listdir(inner):
            if _is_folder(inner, child):
                os.close(_open_folder(child, inner))  # A folder must be writable to be moved.
                lifted = f".removed-{secrets.token_hex(8)}"
                os.rename(child, lifted, src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(child, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def _is_folder(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _open_folder(name: str, parent: int | None) -> int:
    """Open a folder and, unless root can do without, make it writable."""
    try:
        descriptor = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except PermissionError:
        _unlock(name, parent)
        return os.open(name, FOLDER_FLAGS, dir_fd=parent)
    if os.fstat(descriptor).st_uid == os.geteuid():
        os.fchmod(descriptor, 0o700)
    return descriptor


def _unlock(name: str, parent: int | None) -> None:
    """Change the mode of a folder that cannot be opened, without following a link."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", 0o700)
    finally:
        os.close(descriptor)
