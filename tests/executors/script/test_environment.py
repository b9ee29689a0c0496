"""Dependencies: which may be asked for, and an environment really built and used."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from executors.contract import Outcome, StopReason
from executors.script import interpreter
from executors.script.environment import (
    EnvironmentBuildError,
    build_environment,
    read_requirements,
)
from executors.script.environment.installer import Installer
from executors.script.environment.lock import Lock, lock_script
from executors.script.environment.store import Environments
from executors.script.interpreter import (
    NoInterpreter,
    can_start,
    copy_interpreter,
    find_interpreter,
    is_reachable,
)
from executors.script.interpreters import Interpreter, NoFittingInterpreter, probe_interpreter
from tests.executors.conftest import MakeFolder, Runner
from tests.factories.wheels import make_wheel

RUN_UID = 1_879_100_001 if os.geteuid() == 0 else None


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel; uv looks nowhere else, so nothing goes over a network."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "greeting", code="def hello():\n    return 'hello'\n")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    return folder


@pytest.fixture
def python(open_folder: Path) -> Path:
    return find_interpreter(RUN_UID, cache=open_folder / "python")


def probe(python: Path) -> Interpreter:
    known = probe_interpreter(python)
    assert known is not None
    return known


def test_a_script_runs_with_its_own_dependencies(
    run: Runner,
    make_folder: MakeFolder,
    open_folder: Path,
    wheels: Path,
    python: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME")
    folder = make_folder(
        main__py="import greeting\ndef main():\n    return greeting.hello()\n",
        requirements__txt="greeting==1.0  # says hello\n",
    )

    built = build_environment(folder, root=open_folder / "environments", python=python)

    assert built is not None
    assert list(built.parents[1].rglob("greeting*.pyc"))
    result = run.folder(folder, python=built)
    assert (result.outcome, result.output) == (Outcome.SUCCEEDED, "hello"), result.error
    assert "greeting" in run.folder(folder).summary  # The bare interpreter does not have it.


def test_an_environment_is_built_once_however_many_ask(
    make_folder: MakeFolder,
    open_folder: Path,
    wheels: Path,
    python: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = open_folder / "environments-once"
    builds: list[Path] = []
    install = Environments._install

    def count_and_install(self: Environments, folder: Path, lock: Lock) -> None:
        builds.append(folder)
        install(self, folder, lock)

    monkeypatch.setattr(Environments, "_install", count_and_install)
    folder = make_folder(requirements__txt="greeting\n", main__py="")
    found: list[Path | None] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(build_environment(folder, root=root, python=python))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(builds) == 1
    assert len(found) == 3
    assert len(set(found)) == 1


def test_a_package_that_is_not_there_fails_with_the_installers_words(
    make_folder: MakeFolder, open_folder: Path, wheels: Path, python: Path
) -> None:
    root = open_folder / "environments-failed"
    folder = make_folder(requirements__txt="no-such-package==1\n", main__py="")

    with pytest.raises(EnvironmentBuildError, match="no-such-package"):
        build_environment(folder, root=root, python=python)

    assert [path for path in root.iterdir() if not path.name.startswith(".")] == []


def test_a_script_without_dependencies_needs_no_environment(
    make_folder: MakeFolder, open_folder: Path, python: Path
) -> None:
    folder = make_folder(main__py="print(1)\n", requirements__txt="# none\n\n")

    assert build_environment(folder, root=open_folder / "unused", python=python) is None


def test_requirements_are_read_from_file_or_script_block(make_folder: MakeFolder) -> None:
    listed = make_folder(
        "listed",
        requirements__txt="pandas>=2,<3 ; python_version > '3.10'\nOpenPyXL[extra] == 3.1.* \\\n"
        "  --hash=sha256:" + "a" * 64 + "\n\n# comment\n",
    )
    block = make_folder(
        "block",
        main__py='# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n'
        '#   "rich~=13.0",\n'
        "# ]\n# ///\nprint(1)\n",
    )

    assert [line.split()[0] for line in read_requirements(listed).splitlines()] == [
        "OpenPyXL[extra]",
        "pandas>=2,<3",
    ]
    assert read_requirements(block) == "rich~=13.0"


def test_a_script_block_cannot_hide_a_second_line(make_folder: MakeFolder) -> None:
    code = '# /// script\n# dependencies = ["x\\n--index-url http://127.0.0.1"]\n# ///\n'

    with pytest.raises(EnvironmentBuildError, match="Only named packages"):
        read_requirements(make_folder(main__py=code))


@pytest.mark.parametrize(
    "line",
    ["-e .", "--index-url https://example.com", "-r other.txt", "./local.whl", "x @ file:///x.whl",
     "git+https://example.com/x.git", "https://example.com/x.whl", "/etc/passwd", "x; \\\n-e .",
     "x.whl"],
)  # fmt: skip
def test_only_named_packages_can_be_asked_for(make_folder: MakeFolder, line: str) -> None:
    with pytest.raises(EnvironmentBuildError, match="Only named packages"):
        read_requirements(make_folder(requirements__txt=line + "\n"))


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [(">=3.11", True), (">=3.11,<4", True), ("~=3.11", True), ("==3.*", True), (">3.0", True),
     ("<3.11", False), (">=4", False), ("==2.7.*", False), ("!=3.*", False), ("nonsense", False)],
)  # fmt: skip
def test_a_script_for_another_python_is_refused(
    make_folder: MakeFolder, open_folder: Path, python: Path, wanted: str, fits: bool
) -> None:
    folder = make_folder(main__py=f'# /// script\n# requires-python = "{wanted}"\n# ///\n')
    installer = Installer(open_folder / "unused")

    def lock() -> Lock | None:
        return lock_script(folder, interpreters=[probe(python)], installer=installer)

    if fits:
        assert lock() is None
    else:
        with pytest.raises(NoFittingInterpreter, match="Python"):
            lock()


def test_credentials_of_an_index_are_not_repeated(
    make_folder: MakeFolder,
    open_folder: Path,
    python: Path,
    wheels: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.delenv("UV_FIND_LINKS")
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:hunter22@127.0.0.1:9/simple")
    folder = make_folder(requirements__txt="x-y-z\n", main__py="")

    with pytest.raises(EnvironmentBuildError) as caught:
        build_environment(folder, root=open_folder / "environments-index", python=python)

    assert "hunter22" not in str(caught.value)


def test_an_interpreter_below_a_closed_folder_is_out_of_reach(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    (closed / "bin" / "python").symlink_to(shutil.which("python3", path="/usr/bin") or "/bin/sh")
    closed.chmod(0o700)

    assert not is_reachable(closed / "bin" / "python")


def test_a_copied_interpreter_starts_and_sees_only_the_standard_library(open_folder: Path) -> None:
    python = find_interpreter(RUN_UID, cache=open_folder / "copied", candidates=[])

    assert python.is_relative_to(open_folder)
    assert can_start(python, RUN_UID)
    assert not list(python.parent.parent.rglob("site-packages"))
    assert copy_interpreter(open_folder / "copied") == python


def test_a_script_runs_on_a_copied_interpreter(
    run: Runner, open_folder: Path, make_folder: MakeFolder
) -> None:
    python = find_interpreter(RUN_UID, cache=open_folder / "copied", candidates=[])
    folder = make_folder(
        main__py="import sys, ssl, ctypes, decimal\ndef main():\n    return sys.executable\n"
    )

    assert run.folder(folder, python=python).output == str(python)


def test_an_environment_can_stand_on_a_copied_interpreter(
    run: Runner, make_folder: MakeFolder, open_folder: Path, wheels: Path
) -> None:
    python = find_interpreter(RUN_UID, cache=open_folder / "copied", candidates=[])
    folder = make_folder(
        main__py="import greeting\ndef main():\n    return greeting.hello()\n",
        requirements__txt="greeting\n",
    )

    built = build_environment(folder, root=open_folder / "environments", python=python)

    assert run.folder(folder, python=built).output == "hello"


def test_no_interpreter_at_all_is_said_clearly(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "can_start", lambda python, uid: False)

    with pytest.raises(NoInterpreter, match=r"Install Python 3\.11 or newer"):
        find_interpreter(RUN_UID, cache=open_folder / "copied")


def test_an_environment_out_of_reach_could_not_start(run: Runner, make_folder: MakeFolder) -> None:
    folder = make_folder(main__py="print(1)\n")

    result = run.folder(folder, python=Path("/nowhere/bin/python"))

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert result.summary == "This worker cannot run scripts. Its log says why."


def test_only_a_sandbox_starts_the_interpreter_of_an_environment(
    run: Runner, make_folder: MakeFolder, open_folder: Path
) -> None:
    spy = open_folder / f"spy-{run.executor.level.name}-{run.executor.has_zygotes}"
    told = spy / "told"
    spy.mkdir(mode=0o755)
    spy.chmod(0o777)
    python = spy / "python"
    python.write_text(f"#!/bin/sh\ntouch {told}\n")
    python.chmod(0o755)

    run.folder(make_folder(main__py="print(1)\n"), python=python)

    assert told.exists() is (run.executor.level.name == "process")


def test_an_environment_in_a_closed_folder_is_refused_as_root(
    make_folder: MakeFolder, wheels: Path, python: Path, tmp_path: Path
) -> None:
    folder = make_folder(requirements__txt="greeting\n", main__py="")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    if os.geteuid() == 0:
        with pytest.raises(EnvironmentBuildError, match="cannot enter"):
            build_environment(folder, root=closed / "environments", python=python)
    else:
        assert build_environment(folder, root=closed / "environments", python=python)
