"""A private folder for each run on this worker; what killed workers left is swept."""

from __future__ import annotations

import fcntl
import functools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from django.conf import settings

from executors.script.removal import FOLDER_FLAGS, empty_folder, remove_tree

logger = structlog.get_logger(__name__)

SWEEP_EVERY_S = 600.0
_swept_at = -SWEEP_EVERY_S
"""On the monotonic clock; of this process."""


@contextmanager
def make_run_folder() -> Iterator[Path]:
    """Yield an empty folder for one run; whatever the run left in it is gone afterwards.

    It is locked while this process has it, so that a sweep leaves it alone, and serves one run
    after another. Raises OSError when there is no room for it.
    """
    if time.monotonic() - _swept_at > SWEEP_EVERY_S:
        sweep_run_folders()
    folder, lock = _take()
    try:
        yield folder
    finally:
        _give_back(folder, lock)


_free: list[tuple[Path, int]] = []
"""Empty folders of this process that no run has now, each with its lock."""


def _take() -> tuple[Path, int]:
    above = _place(settings.DATA_DIR)
    while _free:
        folder, lock = _free.pop()  # One step: several threads take.
        if folder.parent == above and folder.is_dir():
            return folder, lock
        os.close(lock)
    root = _root()
    with _locked(root):
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
        return folder, _lock(folder)


def _give_back(folder: Path, lock: int) -> None:
    try:
        empty_folder(lock)
    except OSError as error:  # The next sweep tries again; the run itself is over.
        logger.warning("run_folder.not_removed", folder=str(folder), error=str(error))
        os.close(lock)
    else:
        _free.append((folder, lock))


def sweep_run_folders() -> None:
    """Remove the folders that no living worker of this host holds."""
    global _swept_at
    _swept_at = time.monotonic()
    left: list[tuple[Path, int]] = []
    with _locked(_root()):  # Else one that was just made could be taken before its run locks it.
        for folder in _root().iterdir():
            with suppress(OSError):
                left.append((folder, _lock(folder, fcntl.LOCK_NB)))
    for folder, lock in left:
        try:
            remove_tree(folder)
        except OSError as error:
            logger.warning("run_folder.not_removed", folder=str(folder), error=str(error))
        finally:
            os.close(lock)


@functools.cache
def _place(data: str | Path) -> Path:
    return Path(data) / "runs"


def _root() -> Path:
    root = _place(settings.DATA_DIR)
    root.mkdir(exist_ok=True, mode=0o700, parents=True)
    return root


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, how: int = 0) -> int:
    """Lock folder until the returned descriptor is closed. Raises OSError if it is not one."""
    descriptor = os.open(folder, FOLDER_FLAGS)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
