"""Folders that the service user may enter, and a look at the processes of this machine."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.process_table import processes_of, wait_for


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder; pytest's own lies where root's service user may not go."""
    path = Path(tempfile.mkdtemp(prefix="ef-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    wait_for(lambda: processes_of(path) == [], "all processes of the test gone")
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def no_operator_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the settings of whoever runs the tests."""
    for name in (
        "DATA_DIR",
        "PORT",
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "REDIS_URL",
        "BASE_DOMAIN",
    ):
        monkeypatch.delenv(f"EXECFABRIC_{name}", raising=False)
