from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.factories.wheels import make_wheel


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the wheel greeting 1.0; uv looks nowhere else.

    It is like no other test's: storage is shared by tests that run at the same time.
    """
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "greeting", code=f"WORD = 'hello'\n# {uuid4()}\n")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return folder
