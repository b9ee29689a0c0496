from __future__ import annotations

import os
from pathlib import Path

import pytest

from executors.script.environment.installer import Installer
from executors.script.interpreter import find_interpreter
from executors.script.interpreters import Interpreter, probe_interpreter

RUN_UID = 1_879_100_001 if os.geteuid() == 0 else None


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; uv looks nowhere else for wheels."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return folder


@pytest.fixture
def python(open_folder: Path) -> Interpreter:
    found = probe_interpreter(find_interpreter(RUN_UID, cache=open_folder / "python"))
    assert found is not None
    return found


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    return Installer(tmp_path / "cache")
