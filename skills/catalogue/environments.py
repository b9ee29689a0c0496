"""Environments of scripts: built where a script is onboarded, kept in storage, fetched by workers.

What lies in storage is sealed with the platform's key: an environment is shared by all scripts and
tenants that locked the same packages, so nobody but the platform may say what is in it.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path
from typing import IO

import structlog
from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from execfabric.core.actor import current_schema
from execfabric.core.errors import NotFound
from execfabric.core.storage import delete_file, open_file, store_file
from executors.contract import ExecutorError
from executors.registry import EXECUTORS
from executors.script.environment import EnvironmentBuildError, read_requirements
from executors.script.environment.archive import pack_environment
from executors.script.environment.lock import Lock, lock_script
from executors.script.environment.store import Environments
from executors.script.executor import ScriptExecutor
from executors.script.interpreters import Interpreter, interpreter_for_tag

from .models import ScriptEnvironment

logger = structlog.get_logger(__name__)

FOLDER = "environments"
SALT = "skills.catalogue.environments"
SEAL_BYTES = 64
READ_BYTES = 1024 * 1024
FETCHES = 2
"""A copy that was damaged on its way is asked for once more."""
SWEEP_EVERY_S = 3600.0
_swept_at = -SWEEP_EVERY_S
"""On the monotonic clock; of this process."""


def script_executor() -> ScriptExecutor:
    executor = EXECUTORS.get("script")
    if not isinstance(executor, ScriptExecutor):
        raise TypeError("The kind script is served by an executor that has no environments.")
    return executor


def environments() -> Environments:
    level = script_executor().level
    return Environments(
        Path(settings.DATA_DIR) / FOLDER,
        index_url=settings.PACKAGE_INDEX_URL,
        open_to_all=not level.hides_machine,
        has_sandbox=level.is_sandbox,
    )


def lock_of(folder: Path, *, runtime: str, requires_python: str) -> Lock | None:
    """Resolve what a script folder asks for; None when the platform's Python alone will do.

    Raises ExecutorError with what the author should mend.
    """
    if runtime != "python":
        if read_requirements(folder):
            raise EnvironmentBuildError(
                "Packages are for Python scripts, and this one is a Shell script. Remove "
                "requirements.txt or the script block."
            )
        return None
    return lock_script(
        folder,
        requires_python=requires_python,
        interpreters=script_executor().interpreters(),
        installer=environments().installer,
    )


def build_and_store(lock: Lock) -> Path:
    """Make the environment of a lock present on this host and in storage; return its interpreter.

    The only place where packages are installed. Raises ExecutorError.
    """
    known = environments()
    interpreter = known.find(lock.digest) or known.build(lock, _interpreter_for(lock))
    if lock.text:
        _store(lock.digest, interpreter.parents[1])
    return interpreter


def present_environment(digest: str) -> Path:
    """Return the interpreter of a registered environment; fetch it where this host lacks it.

    Raises ExecutorError with words for the operator.
    """
    _sweep_now_and_then()
    known = environments()
    found = known.find(digest)
    if found is not None:
        return found
    row = ScriptEnvironment.objects.get(digest=digest)
    lock = Lock(row.python, row.python_tag, row.lock)
    interpreter = _interpreter_for(lock)
    if lock.digest != digest:
        raise EnvironmentBuildError("The registered packages are not those of their digest.")
    if not lock.text:
        return known.build(lock, interpreter)  # An interpreter alone needs no index.
    logger.info("environment.fetched", digest=digest)
    return known.restore(digest, interpreter, lambda: _fetch(digest))


def check_stored_environment(digest: str) -> None:
    """Raise ExecutorError unless workers can fetch a registered environment as it was stored."""
    if ScriptEnvironment.objects.get(digest=digest).lock:
        _fetch(digest).close()


def _interpreter_for(lock: Lock) -> Interpreter:
    return interpreter_for_tag(script_executor().interpreters(), lock.tag, lock.version)


def _store(digest: str, environment: Path) -> None:
    """Put an environment into this schema's part of the storage, unless it is there and sound."""
    try:
        _fetch(digest).close()
    except ExecutorError:
        pass
    else:
        return
    with tempfile.TemporaryFile(dir=settings.DATA_DIR) as packed:
        packed.write(b"\0" * SEAL_BYTES)
        pack_environment(environment, packed)
        seal = _seal(digest, packed).encode()
        packed.seek(0)
        packed.write(seal)
        packed.seek(0)
        name = _stored_name(digest)
        delete_file(name)  # One of the same size would be kept.
        store_file(FOLDER, name.rpartition("/")[2], packed)


def _fetch(digest: str) -> IO[bytes]:
    """Return the archive of an environment, verified. Raises EnvironmentBuildError."""
    for _ in range(FETCHES):
        try:
            stored = open_file(_stored_name(digest))
        except NotFound:
            break
        copy = tempfile.TemporaryFile(dir=settings.DATA_DIR)  # noqa: SIM115 - returned open
        with stored:
            while piece := stored.read(READ_BYTES):
                copy.write(piece)
        copy.seek(0)
        found = copy.read(SEAL_BYTES).decode("ascii", "replace")
        if constant_time_compare(found, _seal(digest, copy)):
            copy.seek(SEAL_BYTES)
            return copy
        copy.close()
        logger.error("environment.damaged", digest=digest)
    raise EnvironmentBuildError(
        f"The packages of environment {digest} are not in the storage, or not as they were stored. "
        "Onboard the script again."
    )


def _stored_name(digest: str) -> str:
    return f"{current_schema()}/{FOLDER}/{digest}.tar.gz"


def _seal(digest: str, archive: IO[bytes]) -> str:
    """Return what proves that this platform packed an archive. Reads it from behind its seal."""
    archive.seek(SEAL_BYTES)
    content = hashlib.file_digest(archive, "sha256").hexdigest()  # type: ignore[arg-type]
    return salted_hmac(SALT, f"{digest}\n{content}", algorithm="sha256").hexdigest()


def _sweep_now_and_then() -> None:
    global _swept_at
    now = time.monotonic()
    if now - _swept_at > SWEEP_EVERY_S:
        _swept_at = now
        environments().sweep(settings.ENVIRONMENTS_KEEP_DAYS * 86_400)
