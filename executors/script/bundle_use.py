"""Bundles that runs see where they lie: nobody removes one that is in use."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from executors.script.bundle import BundleError
from executors.script.removal import FOLDER_FLAGS, remove_tree


@contextmanager
def hold_bundle(folder: Path) -> Iterator[int]:
    """Keep the bundle in folder from being removed. Yields the lock, which may be passed on: it
    holds until all who have it closed it. Raises BundleError when the folder is gone."""
    try:
        lock = os.open(folder, FOLDER_FLAGS)
    except OSError as error:
        raise BundleError(f"The script folder cannot be used: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BundleError("The script folder is being removed. Run the skill again.") from None
        if not os.fstat(lock).st_nlink:
            raise BundleError("The script folder was removed. Run the skill again.")
        yield lock
    finally:
        os.close(lock)


def remove_bundle(folder: Path) -> bool:
    """Remove the bundle in folder, unless a run uses it. Returns whether it is gone.

    Its files must never be changed in any other way. Raises OSError when it cannot be removed.
    """
    try:
        lock = os.open(folder, FOLDER_FLAGS)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Out of the way first, so that no other bundle's place is ever half empty.
        leaving = folder.with_name(f".removed-{secrets.token_hex(8)}")
        folder.rename(leaving)
        remove_tree(leaving)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
