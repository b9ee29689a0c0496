"""The managed workspace: registered bundles on this host's disk.

A bundle lies in ``workspace/<schema>/<digest>/``; nothing from outside enters that path. A host
that lacks a bundle fetches it from storage.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings

from execfabric.core.actor import current_schema
from execfabric.core.storage import delete_file, open_file, store_file
from executors.contract import ExecutorError
from executors.script.bundle import Bundle, BundleError, unpack
from executors.script.environment import EnvironmentBuildError, read_requirements
from executors.script.environment.store import lock_file
from executors.script.interpreters import NoFittingInterpreter

from .environments import present_environment
from .models import ScriptVersion

logger = structlog.get_logger(__name__)


FETCHES = 2
"""A copy that was damaged on its way is asked for once more."""


@dataclass(frozen=True, slots=True)
class SyncedScript:
    folder: Path
    """The unpacked bundle; never written to again."""
    python: Path | None
    """Interpreter of the script's own environment, None for the platform's own."""


_checked: set[Path] = set()
"""Bundles this process has found to need nothing that was not locked."""


def bundle_folder(digest: str) -> Path:
    return Path(settings.DATA_DIR) / "workspace" / current_schema() / digest


def store_bundle(bundle: Bundle) -> str:
    """Store bundle in this schema by its digest; return its storage name.

    What is stored under that name but is not the bundle is replaced.
    """
    name = f"{bundle.digest}.tar.gz"
    stored_as = store_file("bundles", name, io.BytesIO(bundle.pack()))
    with open_file(stored_as) as stored:
        is_whole = stored.read() == bundle.pack()
    if not is_whole:
        delete_file(stored_as)
        stored_as = store_file("bundles", name, io.BytesIO(bundle.pack()))
    return stored_as


def sync_bundle(digest: str, stored_as: str) -> Path:
    """Make a stored bundle present on this host; return its folder.

    However many ask at once, it is fetched once. Raises BundleError when what is stored is not what
    was registered.
    """
    folder = bundle_folder(digest)
    if folder.is_dir():
        return folder
    _close_to_others(Path(settings.DATA_DIR) / "workspace")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(folder.with_name(f".{digest}.lock")):
        for attempt in range(1, FETCHES + 1):
            if folder.is_dir():
                break
            with open_file(stored_as) as stored:
                data = stored.read()
            try:
                unpack(data, folder, digest=digest)
            except BundleError as error:
                logger.error("bundle.damaged", digest=digest, error=str(error))
                if attempt == FETCHES:
                    raise
    return folder


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
