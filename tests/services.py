"""Pytest plugin: the tests' own PostgreSQL and Valkey, started before Django reads its settings.

One instance serves all workers of a run; each worker has a database of its own in it, and a folder
of its own for data: their tenants have the same names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from execfabric.embedded import Services

_cleanup = contextlib.ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        # The controller started them and passed the addresses on.
        data = Path(os.environ["EXECFABRIC_DATA_DIR"]) / worker
        data.mkdir(mode=0o711, exist_ok=True)
        os.environ["EXECFABRIC_DATA_DIR"] = str(data)
        return
    folder = Path(tempfile.mkdtemp(prefix="execfabric-test-"))
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


def pytest_unconfigure(config: pytest.Config) -> None:
    _cleanup.close()
