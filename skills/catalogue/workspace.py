"""The managed workspace: registered bundles on this host's disk, and their environments.

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
from execfabric.core.storage import open_file, store_file
from executors.contract import ExecutorError
from executors.registry import EXECUTORS
from executors.script.bundle import Bundle, unpack
from executors.script.environment import EnvironmentBuildError, build_environment
from executors.script.executor import ScriptExecutor

from .models import ScriptVersion

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncedScript:
    folder: Path
    """The unpacked bundle; never written to again."""
    python: Path | None
    """Interpreter of the script's own environment, None where it declares no dependencies."""

    def is_present(self) -> bool:
        return self.folder.is_dir() and (self.python is None or self.python.exists())


_synced: dict[Path, SyncedScript] = {}
"""What this process has found in place before; finding it takes a start of the interpreter."""


def bundle_folder(digest: str) -> Path:
    return Path(settings.DATA_DIR) / "workspace" / current_schema() / digest


def store_bundle(bundle: Bundle) -> str:
    """Store bundle in this schema by its digest; return its storage name."""
    return store_file("bundles", f"{bundle.digest}.tar.gz", io.BytesIO(bundle.pack()))


def sync_bundle(digest: str, stored_as: str) -> SyncedScript:
    """Make a stored bundle and its environment present on this host.

    Raises BundleError when what is stored is not what was registered, and EnvironmentBuildError
    with the resolver's words when the dependencies cannot be had.
    """
    folder = bundle_folder(digest)
    known = _synced.get(folder)
    if known is not None and known.is_present():
        return known
    if not folder.is_dir():
        _close_to_others(Path(settings.DATA_DIR) / "workspace")
        with open_file(stored_as) as stored:
            unpack(stored.read(), folder, digest=digest)
    executor = EXECUTORS.get("script")
    if not isinstance(executor, ScriptExecutor):
        raise TypeError("The kind script is served by an executor that has no environments.")
    environments = Path(settings.DATA_DIR) / "environments"
    python = build_environment(
        folder,
        root=environments,
        python=executor.base_python(),
        open_to_all=not executor.level.hides_machine,
    )
    _synced[folder] = SyncedScript(folder, python)
    return _synced[folder]


def _close_to_others(folder: Path) -> None:
    """Keep runs out: each works on a copy, and what lies here is other tenants' code."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def sync_script(version: ScriptVersion) -> SyncedScript:
    """Make a registered version present on this host; see ``sync_bundle``.

    Raises ExecutorError in words for the tenant; those of the installer are for the log, since they
    name folders and servers of the platform.
    """
    try:
        return sync_bundle(version.digest, version.stored_as)
    except EnvironmentBuildError as error:
        logger.error("script.not_synced", digest=version.digest, error=str(error))
        raise ExecutorError(
            "This worker lacks the dependencies of the script and could not install them."
        ) from error
