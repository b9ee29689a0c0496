"""The managed workspace: registered bundles on this host's disk.

A bundle lies in ``workspace/<schema>/<digest>/``; nothing from outside enters that path. A host
that lacks a bundle fetches it from storage, and removes it when nobody used it for long. Beside it
lies a lock file, whose time says when it was last used.
"""

from __future__ import annotations

import functools
import io
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings

from execfabric.core.actor import current_schema
from execfabric.core.storage import open_file, store_anew
from executors.contract import ExecutorError
from executors.script.bundle import Bundle, BundleError, unpack
from executors.script.bundle_use import remove_bundle
from executors.script.environment import EnvironmentBuildError, read_requirements
from executors.script.environment.store import DIGEST, MARK_EVERY_S, SHORTEST_KEEP_S, lock_file
from executors.script.interpreters import NoFittingInterpreter
from executors.script.removal import remove_tree

from .environments import present_environment
from .models import ScriptVersion

logger = structlog.get_logger(__name__)


BUNDLES = "bundles"
"""Their folder in the storage of each schema."""
FETCHES = 2
"""A copy that was damaged on its way is asked for once more."""
SWEEP_EVERY_S = 3600.0
_swept_at = -SWEEP_EVERY_S
"""On the monotonic clock; of this process."""
_marked_at: dict[Path, float] = {}
"""When this process last noted the use of a bundle, on the same clock."""


@dataclass(frozen=True, slots=True)
class SyncedScript:
    folder: Path
    """The unpacked bundle; never written to again."""
    python: Path | None
    """Interpreter of the script's own environment, None for the platform's own."""


_checked: set[Path] = set()
"""Bundles this process has found to need nothing that was not locked."""


def bundle_folder(digest: str) -> Path:
    return _bundle_folder(str(settings.DATA_DIR), current_schema(), digest)


@functools.lru_cache(maxsize=1000)  # To join a path takes as long as to look what is there.
def _bundle_folder(data: str, schema: str, digest: str) -> Path:
    return _workspace(data) / schema / digest


def store_bundle(bundle: Bundle) -> str:
    """Store bundle in this schema by its digest; return its storage name.

    What lies there is replaced: it may be damaged, or about to be swept as old.
    """
    return store_anew(BUNDLES, f"{bundle.digest}.tar.gz", io.BytesIO(bundle.pack()))


def sync_bundle(digest: str, stored_as: str) -> Path:
    """Make a stored bundle present on this host; return its folder.

    However many ask at once, it is fetched once. Raises BundleError when what is stored is not what
    was registered.
    """
    folder = bundle_folder(digest)
    now = time.monotonic()
    if now - _marked_at.get(folder, -MARK_EVERY_S) < MARK_EVERY_S and folder.is_dir():
        return folder
    _close_to_others(_root())
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A sweep may be about to remove it: under the lock it has either done so or will not.
    with lock_file(_lock_path(folder)) as lock:
        if not folder.is_dir():
            _fetch(digest, stored_as, folder)
        os.utime(lock)
    _marked_at[folder] = now
    _sweep_now_and_then(now)
    return folder


def _fetch(digest: str, stored_as: str, folder: Path) -> None:
    for attempt in range(1, FETCHES + 1):
        with open_file(stored_as) as stored:
            data = stored.read()
        try:
            unpack(data, folder, digest=digest)
        except BundleError as error:
            logger.error("bundle.damaged", digest=digest, error=str(error))
            if attempt == FETCHES:
                raise
        else:
            return


def sweep_workspace(keep_s: float) -> None:
    """Remove from this host, in all schemas, what nobody used for keep_s, 2 days at least.

    A bundle that a run uses stays. So does every stored one: it is fetched when it is needed again.
    """
    oldest = time.time() - max(keep_s, SHORTEST_KEEP_S)
    entries = list(_root().glob("*/*"))
    # A bundle and its lock file have one name; either may be without the other.
    folders = {entry.with_name(entry.name.strip(".").removesuffix(".lock")) for entry in entries}
    for folder in folders:
        if DIGEST.fullmatch(folder.name):
            with suppress(OSError):  # Being fetched or swept just now.
                _sweep_one(folder, oldest)
    for entry in entries:
        # Left by a process that was killed.
        if entry.name.startswith((".removed-", ".unpack-")):
            with suppress(OSError):
                if entry.stat().st_mtime < oldest:
                    remove_tree(entry)


def remove_workspace() -> None:
    """Remove what this host has unpacked for the current schema, whose tenant is gone."""
    folder = _root() / current_schema()
    with suppress(FileNotFoundError):
        remove_tree(folder)


def _sweep_one(folder: Path, oldest: float) -> None:
    with lock_file(_lock_path(folder), wait=False) as lock:
        if not folder.exists():
            # Swept by another process a moment ago, or its fetch failed.
            _lock_path(folder).unlink()
        elif os.fstat(lock).st_mtime < oldest and remove_bundle(folder):
            _lock_path(folder).unlink()
            logger.info("bundle.swept", digest=folder.name)


def _sweep_now_and_then(now: float) -> None:
    global _swept_at
    if now - _swept_at > SWEEP_EVERY_S:
        _swept_at = now
        sweep_workspace(settings.ENVIRONMENTS_KEEP_DAYS * 86_400)


def _root() -> Path:
    return _workspace(str(settings.DATA_DIR))


def _workspace(data: str) -> Path:
    return Path(data) / "workspace"


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _close_to_others(folder: Path) -> None:
    """Keep runs out: each works on a copy, and what lies here is other tenants' code."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def sync_script(version: ScriptVersion) -> SyncedScript:
    """Make a registered version and its environment present on this host. Installs nothing.

    Raises ExecutorError in words for the tenant; those for the operator are for the log, since they
    name folders and programs of the platform.
    """
    folder = sync_bundle(version.digest, version.stored_as)
    try:
        if version.environment_id is None:
            _refuse_unlocked(folder)
            return SyncedScript(folder, None)
        return SyncedScript(folder, present_environment(version.environment_id))
    except (EnvironmentBuildError, NoFittingInterpreter) as error:
        logger.error("script.not_synced", digest=version.digest, error=str(error))
        raise ExecutorError(
            "This worker lacks the Python or the packages of the script. Its log says why."
        ) from error


def _refuse_unlocked(folder: Path) -> None:
    """Refuse what was onboarded before packages were locked."""
    if folder in _checked:
        return
    if read_requirements(folder):
        raise ExecutorError(
            "The packages of this version were never locked. Onboard the script again."
        )
    _checked.add(folder)
