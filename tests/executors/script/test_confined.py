"""What strangers wrote is worked on in the sandbox."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.contract import Limits, StopReason
from executors.script.confined import compile_confined, run_confined, take_compiled
from executors.script.interpreter import find_interpreter
from executors.script.removal import remove_tree
from executors.script.sandbox.level import NamespaceLevel
from tests.executors.conftest import executor_at


@pytest.fixture
def level(open_folder: Path) -> NamespaceLevel:
    level = executor_at("ns", open_folder, warm=False).level
    assert isinstance(level, NamespaceLevel)
    return level


@pytest.fixture
def library() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="library-"))
    folder.chmod(0o755)
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("ANSWER = 42\n")
    (folder / "package" / "broken.py").write_text("def (:\n")
    (folder / "data.txt").write_text("no module\n")
    yield folder
    remove_tree(folder)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    return find_interpreter(None, cache=tmp_path)


def test_modules_are_compiled_where_they_lie(
    library: Path, level: NamespaceLevel, python: Path
) -> None:
    assert compile_confined(library, level=level, python=python) == 1

    (compiled,) = library.rglob("*.pyc")
    assert compiled.parent == library / "package" / "__pycache__"
    assert compiled.name.startswith("__init__.cpython-")
    assert compiled.stat().st_uid == os.geteuid()
    assert compiled.stat().st_mode & 0o777 == 0o644


def test_what_a_compiler_made_up_is_not_taken(
    library: Path, level: NamespaceLevel, python: Path
) -> None:
    """Even one that was taken over by what it read."""
    script = library / "evil"
    script.write_text(
        "import os\n"
        "top = '/room/output/job/script/package'\n"
        "os.makedirs(top)\n"
        "for name in ('other.cpython-311.pyc', '__init__.py', '__init__.cpython-311.pyc'):\n"
        "    os.symlink('/etc/shadow', f'{top}/{name}')\n"
        "os.mkfifo(f'{top}/broken.cpython-311.pyc')\n"
    )
    with run_confined(
        [str(python), "-I", "/job/script/evil"], level=level, python=python, shown=library,
        limits=Limits(timeout_s=30),
    ) as done:  # fmt: skip
        assert done.exit_code == 0, done.log
        assert done.output is not None
        assert take_compiled(done.output, library) == 0

    assert list(library.rglob("*.pyc")) == []


def test_it_sees_nothing_else_and_has_limits(
    library: Path, level: NamespaceLevel, python: Path
) -> None:
    code = (
        f"import os\nprint(sorted(os.listdir('/job')), os.path.exists({str(library)!r}))\n"
        "while True:\n    pass\n"
    )
    with run_confined(
        [str(python), "-I", "-u", "-c", code], level=level, python=python, shown=library,
        limits=Limits(timeout_s=4),
    ) as done:  # fmt: skip
        assert done.stop_reason is StopReason.TIME_LIMIT
        assert done.log == "['harness.bin', 'harness.py', 'input.json', 'inputs', 'script'] False\n"
