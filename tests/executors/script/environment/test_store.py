"""Environments on disk: kept while they are used, removed afterwards, moved as archives."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from executors.script.environment import EnvironmentBuildError
from executors.script.environment.archive import pack_environment
from executors.script.environment.lock import Lock
from executors.script.environment.store import Environments, compile_modules, lock_file
from executors.script.interpreters import Interpreter
from executors.script.level import LevelUnavailable
from executors.script.sandbox.level import NamespaceLevel

DAY_S = 86_400


@pytest.fixture
def environments(open_folder: Path, tmp_path: Path) -> Environments:
    return Environments(open_folder / f"store-{tmp_path.name}", open_to_all=False)


@pytest.fixture
def built(environments: Environments, python: Interpreter) -> str:
    """The digest of an environment without packages."""
    lock = Lock(python.version_text, python.tag, "")
    environments.build(lock, python)
    return lock.digest


def grow_old(environments: Environments, digest: str, age_s: float) -> None:
    then = time.time() - age_s
    os.utime(environments.root / f".{digest}.lock", (then, then))


def archive_of(**files: bytes) -> IO[bytes]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


def test_what_nobody_used_for_long_is_swept(environments: Environments, built: str) -> None:
    grow_old(environments, built, 31 * DAY_S)

    environments.sweep(30 * DAY_S)

    assert environments.find(built) is None
    assert not [path for path in environments.root.iterdir() if built in path.name]


def test_what_was_used_is_kept_and_finding_it_counts_as_use(
    environments: Environments, built: str
) -> None:
    grow_old(environments, built, 31 * DAY_S)
    assert environments.find(built)

    environments.sweep(30 * DAY_S)

    assert environments.find(built)


def test_nothing_is_swept_that_a_run_of_a_day_may_still_use(
    environments: Environments, built: str
) -> None:
    grow_old(environments, built, 1.5 * DAY_S)

    environments.sweep(0)

    assert environments.find(built)


def test_what_a_killed_build_left_is_removed_but_not_one_going_on(
    environments: Environments, built: str
) -> None:
    left, going = "a" * 64, "b" * 64
    for digest in (left, going):
        (environments.root / f".{digest}.partial").mkdir()

    with lock_file(environments.root / f".{going}.lock"):
        environments.sweep(30 * DAY_S)

    assert not (environments.root / f".{left}.partial").exists()
    assert (environments.root / f".{going}.partial").exists()


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    taken = threading.Event()

    def wait_for_it() -> None:
        with lock_file(path) as lock:
            assert path.stat().st_ino == os.fstat(lock).st_ino
            taken.set()

    with lock_file(path):
        waiter = threading.Thread(target=wait_for_it)
        waiter.start()
        time.sleep(0.05)
        path.unlink()
    waiter.join(60)

    assert taken.is_set()


def test_an_archive_restores_what_was_packed_once_for_many(
    environments: Environments, built: str, python: Interpreter
) -> None:
    packages = next((environments.root / built / "lib").glob("python3*/site-packages"))
    (packages / "greeting.py").write_text("WORD = 'hello'\n")
    packed = io.BytesIO()
    pack_environment(environments.root / built, packed)
    fetched: list[int] = []

    def fetch() -> IO[bytes]:
        fetched.append(1)
        return io.BytesIO(packed.getvalue())

    other = Environments(environments.root / "other", open_to_all=False)
    threads = [
        threading.Thread(target=lambda: other.restore(built, python, fetch)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert fetched == [1]
    assert other.find(built)
    assert [p.read_text() for p in (other.root / built).rglob("greeting.py")] == [
        "WORD = 'hello'\n"
    ]


@pytest.mark.parametrize(
    "name",
    ["..__evil", "lib__..__..__..__evil", "__etc__evil", "elsewhere__x", "bin__python", "lib____x"],
)
def test_an_archive_cannot_write_elsewhere_nor_replace_the_interpreter(
    environments: Environments, python: Interpreter, name: str
) -> None:
    digest = "c" * 64

    with pytest.raises(EnvironmentBuildError):
        environments.restore(digest, python, lambda: archive_of(**{name: b"evil"}))

    assert environments.find(digest) is None
    assert not list(environments.root.parent.glob("**/evil"))


def test_a_damaged_archive_leaves_nothing_and_the_next_one_is_taken(
    environments: Environments, python: Interpreter
) -> None:
    digest = "d" * 64
    whole = archive_of(lib__x=os.urandom(100_000)).read()

    with pytest.raises(EnvironmentBuildError):
        environments.restore(digest, python, lambda: io.BytesIO(whole[: len(whole) // 2]))
    assert environments.find(digest) is None

    environments.restore(digest, python, lambda: io.BytesIO(whole))
    assert environments.find(digest)


def test_a_stored_lock_with_an_option_in_it_is_not_installed(
    environments: Environments, python: Interpreter
) -> None:
    lock = Lock(python.version_text, python.tag, "--index-url http://127.0.0.1:9/simple\n")

    with pytest.raises(EnvironmentBuildError, match="no package with its hashes"):
        environments.build(lock, python)

    assert environments.find(lock.digest) is None


@pytest.mark.parametrize("has_sandbox", [True, False])
def test_without_its_sandbox_nothing_is_compiled_where_runs_have_another_one(
    tmp_path: Path, python: Interpreter, monkeypatch: pytest.MonkeyPatch, has_sandbox: bool
) -> None:
    def forbidden(level: NamespaceLevel) -> None:
        raise LevelUnavailable("This machine forbids namespaces.")

    monkeypatch.setattr(NamespaceLevel, "check", forbidden)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "module.py").write_text("x = 1\n")

    compile_modules(tmp_path, python.path, has_sandbox=has_sandbox)

    assert (tmp_path / "lib" / "__pycache__").is_dir() is not has_sandbox
