"""Pytest plugin: the tests' own PostgreSQL and Valkey, started before Django reads its settings.

One PostgreSQL serves all workers of a run, with a database for each. A folder for data and a Valkey
are each worker's own: their tenants have the same names, and so have keys and channels.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from execfabric.embedded import Services

BYTECODE = Path(__file__).parents[1] / ".pytest_cache" / "bytecode"

_cleanup = contextlib.ExitStack()
_folder = Path()


def folder_of_the_run() -> Path:
    """Return the folder that all workers of this run share; it is removed when the last ended."""
    return _folder


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    global _folder
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        # The controller started PostgreSQL and passed its addresses on.
        data = Path(os.environ["EXECFABRIC_DATA_DIR"]) / worker
        data.mkdir(mode=0o711, exist_ok=True)
        _folder = data.parent.parent
        own = _cleanup.enter_context(
            Services(
                _folder / f"services-{worker}",
                fast=True,
                database_url=os.environ["EXECFABRIC_DATABASE_URL"],
                database_owner_url=os.environ["EXECFABRIC_DATABASE_OWNER_URL"],
            )
        )
        os.environ.update(EXECFABRIC_DATA_DIR=str(data), EXECFABRIC_REDIS_URL=own.redis_url)
        return
    _keep_bytecode()
    folder = _folder = Path(tempfile.mkdtemp(prefix="execfabric-test-"))
    folder.chmod(0o711)
    (folder / "data").mkdir(mode=0o711)  # Runs of other users pass through it.
    _cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    services = _cleanup.enter_context(Services(folder / "services", fast=True))
    os.environ.update(
        EXECFABRIC_DATA_DIR=str(folder / "data"),
        EXECFABRIC_DATABASE_URL=services.database_url,
        EXECFABRIC_DATABASE_OWNER_URL=services.database_owner_url,
        EXECFABRIC_REDIS_URL=services.redis_url,
        EXECFABRIC_SECRET_KEY="only-for-tests-" + "x" * 40,
        EXECFABRIC_CREDENTIAL_KEYS="only-for-tests-" + "k" * 40,
        EXECFABRIC_PORT="8000",
        EXECFABRIC_BASE_DOMAIN="localhost",
        EXECFABRIC_ADMIN_USERNAMES="",
    )


def _keep_bytecode() -> None:
    """Have all processes of the tests share compiled modules, whatever the environment says.

    Containers often forbid Python to keep them. Then each of the hundred processes that import
    Django here compiles it, which takes it as long again as all the rest of its start.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(BYTECODE)
    sys.dont_write_bytecode = False


def pytest_unconfigure(config: pytest.Config) -> None:
    # A worker's Valkey ends with its process, in which threads ask for it to the last moment.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _cleanup.close()
